//! Signing people in: the authorize address (PKCE), the exchange of its code, and the device flow (facts: codex-lb 1.6,
//! codex2api 1.2). State, verifier and waiting belong to the caller; nothing is asked twice here.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_core::ports::{DeviceAnswer, DeviceCode, IssuedTokens, SignInError, SignInIssuer, Way};
use gateway_domain::{Secret, Timestamp};
use http::HeaderValue;
use reqwest::Url;
use serde_json::{Value, json};

use crate::oauth::{CLIENT_ID, JSON, OAuthIssuer, TokenAnswer, error_code};

/// What a sign-in asks for; without `offline_access` there is no refresh token.
const SCOPE: &str = "openid profile email offline_access";
/// Where the person types the device code.
const DEVICE_PAGE: &str = "codex/device";
/// The redirect that belongs to a device sign-in's code. Nobody is redirected; the exchange must name it.
const DEVICE_CALLBACK: &str = "deviceauth/callback";
/// Between two questions, when the issuer does not say.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The longest interval taken from the issuer.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(60);
/// How long a device code lives, when the issuer does not say.
const DEVICE_CODE_LIFE: Duration = Duration::from_secs(900);
/// The longest life taken from the issuer.
const MAX_DEVICE_CODE_LIFE: Duration = Duration::from_secs(3_600);

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

impl OAuthIssuer {
    async fn trade(
        &self,
        code: Secret,
        verifier: Secret,
        redirect_uri: String,
    ) -> Result<IssuedTokens, SignInError> {
        let body = form(&[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT_ID),
            ("code", code.expose()),
            ("code_verifier", verifier.expose()),
            ("redirect_uri", &redirect_uri),
        ]);
        let (status, body) =
            self.post(&Way::Direct, &self.token, FORM, body).await.map_err(SignInError::Passing)?;
        if !(200..300).contains(&status) {
            return Err(refused(status, &body));
        }
        all_tokens(&body)
    }

    async fn device(&self) -> Result<DeviceCode, SignInError> {
        let body = json!({ "client_id": CLIENT_ID }).to_string();
        let (status, body) = self
            .post(&Way::Direct, &self.user_code, JSON, body.into())
            .await
            .map_err(SignInError::Passing)?;
        match status {
            200..300 => device_code(&body, self.base.text_at(DEVICE_PAGE), self.clock.now()),
            404 => Err(SignInError::NotOffered),
            _ => Err(refused(status, &body)),
        }
    }

    async fn poll(&self, device: DeviceCode) -> Result<DeviceAnswer, SignInError> {
        let body = json!({
            "device_auth_id": device.device_auth_id.expose(),
            "user_code": device.user_code,
        });
        let (status, body) = self
            .post(&Way::Direct, &self.device_token, JSON, body.to_string().into())
            .await
            .map_err(SignInError::Passing)?;
        device_answer(status, &body, self.base.text_at(DEVICE_CALLBACK))
    }
}

impl SignInIssuer for OAuthIssuer {
    fn authorize_url(&self, state: &str, challenge: &str, redirect_uri: &str) -> String {
        let address = self.base.text_at("oauth/authorize");
        // No originator: we are none of those that it names.
        let query = [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", redirect_uri),
            ("scope", SCOPE),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
            ("state", state),
            ("id_token_add_organizations", "true"),
            ("codex_cli_simplified_flow", "true"),
        ];
        Url::parse_with_params(&address, query).map_or(address, String::from)
    }

    fn exchange(
        &self,
        code: Secret,
        verifier: Secret,
        redirect_uri: String,
    ) -> BoxFuture<'_, Result<IssuedTokens, SignInError>> {
        self.trade(code, verifier, redirect_uri).boxed()
    }

    fn begin_device(&self) -> BoxFuture<'_, Result<DeviceCode, SignInError>> {
        self.device().boxed()
    }

    fn poll_device(&self, code: DeviceCode) -> BoxFuture<'_, Result<DeviceAnswer, SignInError>> {
        self.poll(code).boxed()
    }
}

/// `a=1&b=2`, encoded as forms are.
fn form(fields: &[(&str, &str)]) -> Bytes {
    // A URL's query is encoded in the same way.
    let url = Url::parse_with_params("http://form.invalid", fields);
    Bytes::from(url.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default())
}

fn refused(status: u16, body: &Bytes) -> SignInError {
    let code = error_code(body);
    match (status, code) {
        (429 | 500.., Some(code)) => SignInError::Passing(format!("status {status}, {code}")),
        (429 | 500.., None) => SignInError::Passing(format!("status {status}")),
        (_, code) => SignInError::Refused { code: code.unwrap_or_else(|| format!("http_{status}")) },
    }
}

/// A sign-in without a refresh token would end within the hour, and without an id token nobody knows whose it is.
fn all_tokens(body: &Bytes) -> Result<IssuedTokens, SignInError> {
    let passing = |why: &str| SignInError::Passing(why.to_owned());
    let answer: TokenAnswer =
        serde_json::from_slice(body).map_err(|_| passing("it answered something else than tokens"))?;
    let tokens = IssuedTokens::from(answer);
    if tokens.access_token.expose().is_empty() {
        Err(passing("it gave no access token"))
    } else if tokens.refresh_token.is_none() {
        Err(passing("it gave no refresh token (scope offline_access); sign in again"))
    } else if tokens.id_token.is_none() {
        Err(passing("it gave no id token; sign in again"))
    } else {
        Ok(tokens)
    }
}

fn device_code(body: &Bytes, verification_url: String, now: Timestamp) -> Result<DeviceCode, SignInError> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| value.get(*name)?.as_str());
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let wrong = || SignInError::Passing("it answered something else than a device code".to_owned());
    let interval = seconds(value.get("interval")).unwrap_or(POLL_INTERVAL);
    let expires_in = seconds(value.get("expires_in"))
        .or_else(|| until(value.get("expires_at"), now))
        .unwrap_or(DEVICE_CODE_LIFE);
    Ok(DeviceCode {
        device_auth_id: Secret::new(text(&["device_auth_id"]).ok_or_else(wrong)?),
        user_code: text(&["user_code", "usercode"]).ok_or_else(wrong)?,
        verification_url,
        interval: interval.clamp(Duration::from_secs(1), MAX_POLL_INTERVAL),
        expires_in: expires_in.min(MAX_DEVICE_CODE_LIFE),
    })
}

/// The answer to a question whether a device sign-in was confirmed. 403 and 404 mean "not yet", unless a code says more.
fn device_answer(status: u16, body: &Bytes, redirect_uri: String) -> Result<DeviceAnswer, SignInError> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if (200..300).contains(&status) {
        if let (Some(code), Some(verifier)) = (text("authorization_code"), text("code_verifier")) {
            let (code, verifier) = (Secret::from(code), Secret::from(verifier));
            return Ok(DeviceAnswer::Code { code, verifier, redirect_uri });
        }
        if text("access_token").is_some() {
            return all_tokens(body).map(DeviceAnswer::Tokens);
        }
        return match text("status") {
            Some("slow_down") => Ok(DeviceAnswer::SlowDown),
            Some(_) => Ok(DeviceAnswer::Pending),
            None => Err(SignInError::Passing("it answered something else than a sign-in".to_owned())),
        };
    }
    match (status, error_code(body).as_deref()) {
        (_, Some("slow_down")) | (429, _) => Ok(DeviceAnswer::SlowDown),
        (_, Some("authorization_pending")) => Ok(DeviceAnswer::Pending),
        (400..500, Some(code)) if over(code) => Err(SignInError::Refused { code: code.to_owned() }),
        (403 | 404, _) => Ok(DeviceAnswer::Pending),
        _ => Err(refused(status, body)),
    }
}

/// Codes after which no confirmation can come any more.
fn over(code: &str) -> bool {
    matches!(
        code,
        "expired_token"
            | "token_expired"
            | "device_code_expired"
            | "access_denied"
            | "authorization_declined"
            | "invalid_grant"
    )
}

/// A number of seconds, or a text that holds one.
fn seconds(value: Option<&Value>) -> Option<Duration> {
    let seconds = match value? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

/// From now until a moment in RFC 3339.
fn until(value: Option<&Value>, now: Timestamp) -> Option<Duration> {
    let at: jiff::Timestamp = value?.as_str()?.parse().ok()?;
    let left = at.as_millisecond().checked_sub(now.as_millis())?;
    Some(Duration::from_millis(u64::try_from(left).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(body: &str) -> Result<DeviceCode, SignInError> {
        let now = Timestamp::from_secs(1_800_000_000);
        device_code(&Bytes::copy_from_slice(body.as_bytes()), "https://issuer/codex/device".to_owned(), now)
    }

    #[test]
    fn device_codes_of_every_spelling_are_read() {
        for (body, user_code, interval, expires_in) in [
            (
                r#"{"device_auth_id":"d","user_code":"ABCD-EFGH","interval":"5","expires_in":900}"#,
                "ABCD-EFGH",
                5,
                900,
            ),
            (r#"{"device_auth_id":"d","usercode":"X","interval":7,"expires_in":"60"}"#, "X", 7, 60),
            (r#"{"device_auth_id":"d","user_code":"X","interval":0}"#, "X", 5, 900),
            (r#"{"device_auth_id":"d","user_code":"X","interval":"9999","expires_in":1e9}"#, "X", 60, 3_600),
            (r#"{"device_auth_id":"d","user_code":"X","expires_at":"2999-01-01T00:00:00Z"}"#, "X", 5, 3_600),
            (r#"{"device_auth_id":"d","user_code":"X","expires_at":"2027-01-15T08:01:30Z"}"#, "X", 5, 90),
            (r#"{"device_auth_id":"d","user_code":"X","expires_at":"nonsense"}"#, "X", 5, 900),
        ] {
            let code = device(body).unwrap();
            assert_eq!(code.user_code, user_code, "{body}");
            assert_eq!(
                (code.interval.as_secs(), code.expires_in.as_secs()),
                (interval, expires_in),
                "{body}"
            );
        }
        for body in ["", "<html>", r#"{"user_code":"X"}"#, r#"{"device_auth_id":"d","user_code":""}"#] {
            assert!(matches!(device(body), Err(SignInError::Passing(_))), "{body}");
        }
    }

    #[test]
    fn every_answer_to_a_poll_is_understood() {
        let tokens = r#"{"access_token":"a","refresh_token":"r","id_token":"i"}"#;
        for (status, body, expected) in [
            (200, r#"{"authorization_code":"c","code_verifier":"v"}"#, "code"),
            (200, tokens, "tokens"),
            (200, r#"{"access_token":"a"}"#, "passing"),
            (200, r#"{"status":"pending"}"#, "pending"),
            (200, r#"{"status":"slow_down"}"#, "slow"),
            (200, "{}", "passing"),
            (403, "", "pending"),
            (404, "<html>", "pending"),
            (403, r#"{"error":{"code":"deviceauth_authorization_unknown"}}"#, "pending"),
            (400, r#"{"error":"authorization_pending"}"#, "pending"),
            (400, r#"{"error":"slow_down"}"#, "slow"),
            (403, r#"{"error":{"code":"slow_down"}}"#, "slow"),
            (429, "", "slow"),
            (403, r#"{"error":"access_denied"}"#, "refused access_denied"),
            (400, r#"{"error":"expired_token"}"#, "refused expired_token"),
            (400, "", "refused http_400"),
            (500, "", "passing"),
            (503, r#"{"error":"access_denied"}"#, "passing"),
        ] {
            let answer = device_answer(status, &Bytes::copy_from_slice(body.as_bytes()), "r".to_owned());
            let found = match answer {
                Ok(DeviceAnswer::Pending) => "pending".to_owned(),
                Ok(DeviceAnswer::SlowDown) => "slow".to_owned(),
                Ok(DeviceAnswer::Code { .. }) => "code".to_owned(),
                Ok(DeviceAnswer::Tokens(_)) => "tokens".to_owned(),
                Err(SignInError::Refused { code }) => format!("refused {code}"),
                Err(SignInError::NotOffered) => "not offered".to_owned(),
                Err(SignInError::Passing(_)) => "passing".to_owned(),
            };
            assert_eq!(found, expected, "{status} {body}");
        }
    }

    #[test]
    fn a_sign_in_needs_all_three_tokens() {
        let with = |body: &str| all_tokens(&Bytes::copy_from_slice(body.as_bytes()));
        assert!(with(r#"{"access_token":"a","refresh_token":"r","id_token":"i","expires_in":3600}"#).is_ok());
        for (body, missing) in [
            (r#"{"access_token":"a","id_token":"i"}"#, "refresh token"),
            (r#"{"access_token":"a","refresh_token":"","id_token":"i"}"#, "refresh token"),
            (r#"{"access_token":"a","refresh_token":"r"}"#, "id token"),
            (r#"{"access_token":"","refresh_token":"r","id_token":"i"}"#, "access token"),
            ("{}", "something else"),
        ] {
            let error = with(body).unwrap_err().to_string();
            assert!(error.contains(missing), "{body}: {error}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form(&[("a", "1 2"), ("b", "x/y&z=é")]), "a=1+2&b=x%2Fy%26z%3D%C3%A9");
    }
}
