//! Functions on plain numbers and texts.

use rhai::ImmutableString;

use super::book::{Book, say};

/// The share left of a window, 0.0 to 1.0, or `unknown` when nobody knows how much is used.
pub(super) fn left(used: f64, unknown: f64) -> f64 {
    if used.is_nan() { unknown } else { (1.0 - used).clamp(0.0, 1.0) }
}

/// The number itself unless it is unknown.
pub(super) fn known_or(value: f64, unknown: f64) -> f64 {
    if value.is_nan() { unknown } else { value }
}

/// FNV-1a: the same on every machine and in every version, which sticky choices need. Not for secrets.
pub(super) fn hash64(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        hash = absorb(hash, part);
    }
    mix(hash)
}

/// One more part, with a separator no UTF-8 text holds, so that parts do not run together.
fn absorb(hash: u64, part: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    step(part.bytes().fold(hash, step), 0xff)
}

/// Spreads every bit over all others; FNV alone leaves similar texts close together.
pub(super) fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Above 0.0 and below 1.0, evenly: the upper bits, which a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a float")]
pub(super) fn fraction(hash: u64) -> f64 {
    ((hash >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

/// The library's own would build a text of any size before its size is checked.
fn replaced(text: &str, find: &str, by: &str) -> Result<ImmutableString, Box<rhai::EvalAltResult>> {
    if find.is_empty() {
        return Ok(text.into());
    }
    let found = text.matches(find).count();
    let grown = text.len().saturating_add(found.saturating_mul(by.len()));
    if grown > crate::engine::MAX_STRING_BYTES {
        return Err(super::complaint("replace would make the text too large"));
    }
    Ok(text.replace(find, by).into())
}

pub(super) fn register(book: &mut Book) {
    say!(book, Function, "Numbers and texts";
        "left(used: float, unknown: float) -> float" "the share left, 0.0 to 1.0; `unknown` when nobody knows"
            => left;
        "known_or(number: float, unknown: float) -> float" "the number itself unless it is unknown" => known_or;
        "is_known(number: float) -> bool" "whether it is not NaN" => |value: f64| !value.is_nan();
        "clamp(number: float, low: float, high: float) -> float" "no less than `low`, no more than `high`"
            => |value: f64, low: f64, high: f64| value.max(low).min(high);
        "fixed(number: float, digits: int) -> String" "a number as text" => |value: f64, digits: i64| {
            let digits = usize::try_from(digits.clamp(0, 9)).unwrap_or(0);
            ImmutableString::from(format!("{value:.digits$}"))
        };
        // Without its sign bit, so that `hash64(text) % n` is an index.
        "hash64(text: String) -> int" "the same number for the same text for ever; never negative"
            => |text: ImmutableString| super::request::integer(hash64(&[&text]) >> 1);
        "fraction(text: String) -> float" "the same for the same text for ever, evenly between 0.0 and 1.0"
            => |text: ImmutableString| fraction(hash64(&[&text]));
    );
    book.engine.register_fn("replace", |text: &mut ImmutableString, find: &str, by: &str| {
        replaced(text, find, by).map(|made| *text = made)
    });
    book.engine.register_fn("replace", |text: &mut ImmutableString, find: char, by: &str| {
        replaced(text, find.encode_utf8(&mut [0; 4]), by).map(|made| *text = made)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change_and_parts_do_not_run_together() {
        assert_eq!(hash64(&["session"]), 13_921_786_611_441_369_276);
        assert_ne!(hash64(&["ab", "c"]), hash64(&["a", "bc"]));
    }

    #[test]
    fn fractions_stay_between_their_ends() {
        assert!(fraction(0) > 0.0 && fraction(u64::MAX) < 1.0);
    }
}
