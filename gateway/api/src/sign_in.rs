//! Signing accounts in from the dashboard or the command line.

use serde::{Deserialize, Serialize};

/// How somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInMethod {
    /// In the browser, which comes back to the gateway's machine.
    Browser,
    /// With a code typed on any device.
    Device,
}

/// `POST /sign-ins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInBegin {
    /// How.
    pub method: SignInMethod,
    /// What to call a new account; its e-mail address otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id of a known account that is to be signed in again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// Where a sign-in stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum SignInStage {
    /// The person has to act.
    Waiting {
        /// What to open.
        url: String,
        /// What to type there.
        user_code: Option<String>,
    },
    /// The tokens are being fetched.
    Exchanging,
    /// Signed in.
    Done {
        /// The account's id.
        account: String,
        /// Its name.
        name: String,
        /// Whether it was known before.
        renewed: bool,
    },
    /// It did not work.
    Failed {
        /// Why.
        why: String,
    },
    /// It was called off.
    Cancelled,
    /// Nobody finished it in time.
    Expired,
}

/// One sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInView {
    /// Its handle.
    pub id: String,
    /// How.
    pub method: SignInMethod,
    /// The account that is signed in again, if one was named.
    pub renews: Option<String>,
    /// Where it stands.
    #[serde(flatten)]
    pub stage: SignInStage,
    /// Whether the browser's way back leads to this machine; where it does not, its last address is pasted.
    pub comes_back: bool,
    /// When it began.
    pub begun_at: i64,
    /// When it ends by itself.
    pub expires_at: i64,
}

/// `POST /sign-ins/callback`: the address on which the browser ended.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInCallback {
    /// The whole address, or its query.
    pub address: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stage's fields stand beside the sign-in's own: none may have the name of another.
    #[test]
    fn every_stage_comes_back_as_it_went() {
        for stage in [
            SignInStage::Waiting { url: "https://issuer.example".into(), user_code: Some("A-B".into()) },
            SignInStage::Exchanging,
            SignInStage::Done { account: "acc_1".into(), name: "ada".into(), renewed: true },
            SignInStage::Failed { why: "no".into() },
            SignInStage::Cancelled,
            SignInStage::Expired,
        ] {
            let view = SignInView {
                id: "flow_1".into(),
                method: SignInMethod::Browser,
                renews: Some("acc_1".into()),
                stage,
                comes_back: true,
                begun_at: 1,
                expires_at: 2,
            };
            let text = serde_json::to_string(&view).unwrap();
            assert_eq!(serde_json::from_str::<SignInView>(&text).unwrap(), view, "{text}");
        }
    }
}
