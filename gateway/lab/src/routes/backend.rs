//! The backend's small answers: models, usage, accounts check, settings, and what it says to strangers.
//! Refuses to run turns; `turn` does.

use http::StatusCode;
use serde_json::json;

use crate::catalogue;
use crate::errors::{self, ErrorBody};
use crate::exchange::{Answer, AnswerBody, Arrived};
use crate::lab::Lab;
use crate::tokens::AuthFailure;

/// The catalogue for the account and client version, with an `ETag`.
pub(super) fn models(lab: &Lab, arrived: &Arrived) -> Answer {
    let account = match arrived.caller {
        Ok(account) => account,
        Err(failure) => return refused(lab, failure),
    };
    let body = catalogue::body(arrived.query("client_version"), allowed_models(lab, account));
    let etag = catalogue::etag(&body);
    if arrived.header("if-none-match") == Some(etag.as_str()) {
        let mut unchanged = Answer::json(StatusCode::NOT_MODIFIED, &json!(null));
        unchanged.body = AnswerBody::Whole(bytes::Bytes::new());
        return unchanged.with("etag", &etag);
    }
    Answer::json(StatusCode::OK, &body).with("etag", &etag)
}

/// The models the account may use; empty means all.
pub(super) fn allowed_models(lab: &Lab, account: usize) -> &[String] {
    lab.shared().accounts.get(account).map_or(&[], |found| found.config.models.as_slice())
}

/// `GET /wham/usage`.
pub(super) fn usage(lab: &Lab, arrived: &Arrived) -> Answer {
    let found = arrived.caller.map(|account| lab.shared().accounts.get(account));
    match found {
        Ok(Some(account)) => {
            let body = account.live.lock().quota.usage_body(&account.config, lab.clock().now());
            Answer::json(StatusCode::OK, &body)
        }
        Ok(None) => not_found(lab, arrived),
        Err(failure) => refused(lab, failure),
    }
}

/// `POST /wham/rate-limit-reset-credits/consume`.
pub(super) fn redeem(lab: &Lab, arrived: &Arrived) -> Answer {
    let found = arrived.caller.map(|account| lab.shared().accounts.get(account));
    let wish = arrived.fields().remove("redeem_request_id").filter(|wish| wish.len() == 36);
    match (found, wish) {
        (Ok(Some(account)), Some(wish)) => {
            let (code, windows) = account.live.lock().quota.redeem(&wish, lab.clock().now());
            Answer::json(StatusCode::OK, &json!({ "code": code, "credit": null, "windows_reset": windows }))
        }
        (Ok(_), _) => not_found(lab, arrived),
        (Err(failure), _) => refused(lab, failure),
    }
}

/// `GET /wham/accounts/check`, which Codex asks before its first turn.
pub(super) fn accounts_check(lab: &Lab, arrived: &Arrived) -> Answer {
    let found = arrived.caller.map(|account| lab.shared().accounts.get(account));
    match found {
        Ok(Some(account)) => {
            let id = &account.config.workspace_id;
            let body = json!({
                "accounts": [{
                    "id": id,
                    "name": account.config.email,
                    "plan_type": account.config.plan,
                    "structure": if account.config.plan == "team" { "workspace" } else { "personal" },
                    "workspace_backend_origin": lab.shared().config.workspace_backend_origin,
                    "account_routing_override": "NO_CONSTRAINT",
                    "profile_picture_url": null,
                }],
                "account_ordering": [id],
                "default_account_id": id,
            });
            Answer::json(StatusCode::OK, &body)
        }
        Ok(None) => not_found(lab, arrived),
        Err(failure) => refused(lab, failure),
    }
}

/// `GET /wham/settings/user`: nothing is set.
pub(super) fn settings(lab: &Lab, arrived: &Arrived) -> Answer {
    match arrived.caller {
        Ok(_) => Answer::json(StatusCode::OK, &json!({"settings": {}})),
        Err(failure) => refused(lab, failure),
    }
}

/// A WebSocket handshake: 426 sends Codex to HTTP at once.
pub(super) fn upgrade(lab: &Lab, _: &Arrived) -> Answer {
    Answer::error(&errors::CLIENT_TOO_OLD, lab.clock().now())
}

/// Any other path.
pub(super) fn not_found(lab: &Lab, _: &Arrived) -> Answer {
    Answer::error(&errors::NOT_FOUND, lab.clock().now())
}

/// What a bad token is told.
pub(super) fn refused(lab: &Lab, failure: AuthFailure) -> Answer {
    Answer::error(&refusal(failure), lab.clock().now())
}

/// The row for it.
pub(crate) fn refusal(failure: AuthFailure) -> ErrorBody {
    match failure {
        AuthFailure::Missing | AuthFailure::WrongWorkspace => errors::UNAUTHORIZED_DETAIL,
        AuthFailure::Unknown => errors::UNPARSABLE_TOKEN_DETAIL,
        AuthFailure::Expired => errors::TOKEN_EXPIRED,
        AuthFailure::Revoked => errors::TOKEN_INVALIDATED,
    }
}
