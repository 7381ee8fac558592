//! The claims of a JWT, read without checking its signature. Refuses: trust.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_domain::Timestamp;
use serde_json::Value;

/// The claim that holds the workspace, the seat and the plan.
pub(super) const AUTH_CLAIM: &str = "https://api.openai.com/auth";
/// The claim of access tokens that holds the e-mail address.
const PROFILE_CLAIM: &str = "https://api.openai.com/profile";
/// Who the workspace is.
pub(super) const WORKSPACE: &str = "chatgpt_account_id";
/// Which plan it has.
pub(super) const PLAN: &str = "chatgpt_plan_type";
/// Who the seat is, the surest first.
pub(super) const USER: &[&str] = &["chatgpt_user_id", "user_id", "chatgpt_account_user_id", "sub"];

/// The claims of a JWT; empty when it is none.
#[derive(Default)]
pub(super) struct Claims(Value);

impl Claims {
    pub(super) fn read(token: &str) -> Self {
        let mut parts = token.split('.').skip(1);
        let claims = match (parts.next(), parts.next(), parts.next()) {
            (Some(claims), Some(_), None) => URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok(),
            _ => None,
        };
        let claims = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok()).filter(Value::is_object);
        Self(claims.unwrap_or_default())
    }

    pub(super) fn is_some(&self) -> bool {
        self.0.is_object()
    }

    /// A claim of the workspace's object, or of the same name at the top.
    pub(super) fn auth(&self, name: &str) -> Option<String> {
        text(self.0.get(AUTH_CLAIM).and_then(|auth| auth.get(name))).or_else(|| text(self.0.get(name)))
    }

    pub(super) fn email(&self) -> Option<String> {
        text(self.0.get("email"))
            .or_else(|| text(self.0.get(PROFILE_CLAIM).and_then(|profile| profile.get("email"))))
    }

    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.0.get("exp").and_then(Value::as_i64).filter(|secs| *secs > 0).map(Timestamp::from_secs)
    }

    /// When it was issued, as finely as it says.
    pub(super) fn issued_at(&self) -> Option<Timestamp> {
        self.moment("iat")
    }

    /// When its owner signed in; rotations keep that.
    pub(super) fn signed_in_at(&self) -> Option<Timestamp> {
        self.moment("auth_time")
    }

    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    fn moment(&self, name: &str) -> Option<Timestamp> {
        let secs = self.0.get(name)?.as_f64().filter(|secs| (1.0..1e11).contains(secs))?;
        Some(Timestamp::from_millis((secs * 1_000.0).round() as i64))
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}
