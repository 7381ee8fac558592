//! Redeeming a reset credit: what is asked of the ChatGPT backend, and what it answers (facts: codex-lb 1.7, codex2api
//! 1.9).
//!
//! Refuses: trying again. A credit is spent once; the same request id asks about the same redemption.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

/// What became of a wish to redeem a reset credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redemption {
    /// A credit was spent, and this many windows are empty again, if the backend said how many.
    Reset {
        /// How many.
        windows: Option<u32>,
    },
    /// This very wish was carried out before.
    AlreadyRedeemed,
    /// No window is used, so nothing was spent.
    NothingToReset,
    /// The account has none.
    NoCredit,
}

impl Redemption {
    /// The word in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Reset { .. } => "reset",
            Self::AlreadyRedeemed => "already_redeemed",
            Self::NothingToReset => "nothing_to_reset",
            Self::NoCredit => "no_credit",
        }
    }

    /// Whether the account's windows are empty because of it.
    #[must_use]
    pub const fn did_reset(self) -> bool {
        matches!(self, Self::Reset { .. } | Self::AlreadyRedeemed)
    }
}

/// What is sent. The id makes a second sending the same wish.
#[must_use]
pub fn redeem_body(request_id: &str) -> Bytes {
    Bytes::from(json!({ "redeem_request_id": request_id }).to_string())
}

/// Reads the answer; `None` when it is none that we know, and the credit may or may not be spent.
#[must_use]
pub fn redemption(body: &[u8]) -> Option<Redemption> {
    #[derive(Deserialize)]
    struct Answer {
        code: String,
        #[serde(default)]
        windows_reset: Option<serde_json::Value>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let windows = answer.windows_reset.and_then(|windows| windows.as_u64());
    Some(match answer.code.as_str() {
        "reset" => Redemption::Reset { windows: windows.and_then(|windows| u32::try_from(windows).ok()) },
        "already_redeemed" => Redemption::AlreadyRedeemed,
        "nothing_to_reset" => Redemption::NothingToReset,
        "no_credit" => Redemption::NoCredit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers() {
        for (body, expect) in [
            (
                r#"{"code":"reset","credit":{"id":"c"},"windows_reset":2}"#,
                Some(Redemption::Reset { windows: Some(2) }),
            ),
            (r#"{"code":"reset"}"#, Some(Redemption::Reset { windows: None })),
            (r#"{"code":"reset","windows_reset":[]}"#, Some(Redemption::Reset { windows: None })),
            (r#"{"code":"already_redeemed"}"#, Some(Redemption::AlreadyRedeemed)),
            (r#"{"code":"nothing_to_reset","windows_reset":0}"#, Some(Redemption::NothingToReset)),
            (r#"{"code":"no_credit","credit":null}"#, Some(Redemption::NoCredit)),
            (r#"{"code":"soon"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(redemption(body.as_bytes()), expect, "{body}");
        }
        assert_eq!(redeem_body("a-b"), r#"{"redeem_request_id":"a-b"}"#);
    }
}
