//! Functions on plain numbers and texts.

use rhai::{Engine, ImmutableString};

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
        for byte in part.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // A separator no UTF-8 text holds, so that parts do not run together.
        hash = (hash ^ 0xff).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash)
}

/// Spreads every bit over all others; FNV alone leaves similar texts close together.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("left", left)
        .register_fn("known_or", known_or)
        .register_fn("clamp", |value: f64, low: f64, high: f64| value.max(low).min(high))
        .register_fn("is_known", |value: f64| !value.is_nan())
        .register_fn("fixed", |value: f64, digits: i64| -> ImmutableString {
            let digits = usize::try_from(digits.clamp(0, 9)).unwrap_or(0);
            format!("{value:.digits$}").into()
        })
        // Without its sign bit, so that `hash64(text) % n` is an index.
        .register_fn("hash64", |text: ImmutableString| super::request::integer(hash64(&[&text]) >> 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change_and_parts_do_not_run_together() {
        assert_eq!(hash64(&["session"]), 13_921_786_611_441_369_276);
        assert_ne!(hash64(&["ab", "c"]), hash64(&["a", "bc"]));
    }
}
