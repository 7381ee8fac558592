//! `a=1&b=2`: the fields of forms and queries, decoded, and the encoding of what goes into a query.
//! Refuses nothing: what cannot be decoded stays as it is.

use std::collections::HashMap;
use std::fmt::Write as _;

/// The fields; the last of a name wins.
pub(crate) fn fields(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decode(key), decode(value))).collect()
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                if let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) {
                    out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A value as it may stand in a query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_encoded() {
        assert_eq!(decode("a+b%2Fc%c3%A9"), "a b/cé");
        assert_eq!(decode("plain.-_"), "plain.-_");
        assert_eq!(decode("cut%2"), "cut");
        assert_eq!(encode("a b/cé&="), "a%20b%2Fc%C3%A9%26%3D");
        assert_eq!(fields("a=1&b=x%20y&c"), [("a".into(), "1".into()), ("b".into(), "x y".into())].into());
        assert_eq!(decode(&encode("ü ?&=#+%")), "ü ?&=#+%");
    }
}
