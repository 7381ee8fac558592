//! SHA-256 in hexadecimal digits.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// All 64 digits.
pub(crate) fn full(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The first 16 digits: enough to find a version again.
pub(crate) fn short(digest: &[u8; 32]) -> String {
    hex(digest.first_chunk::<8>().unwrap_or(&[0; 8]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
