//! Every error body of the facts, with what it means.

use super::*;
use FailureKind as K;
use Retry::{Never, OtherAccount as Other, SameAccount as Same};
use gateway_domain::Window;

const NOW: Timestamp = Timestamp::from_secs(1_775_000_000);

fn check(status: u16, body: &str, kind: K, retry: Retry) -> Failure {
    let failure = classify_answer(status, body.as_bytes(), None, &QuotaSnapshot::default(), NOW);
    assert_eq!((failure.kind, failure.retry), (kind, retry), "{status} {body}");
    failure
}

#[test]
fn the_table() {
    let limit = check(
        429,
        r#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","plan_type":"free","resets_at":1775317531,"resets_in_seconds":317531}}"#,
        K::QuotaExhausted,
        Other,
    );
    assert_eq!(limit.resets_at, Some(Timestamp::from_secs(1_775_317_531)));
    let only_span = check(
        403,
        r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":60}}"#,
        K::QuotaExhausted,
        Other,
    );
    assert_eq!(only_span.resets_at, Some(Timestamp::from_secs(1_775_000_060)));

    let hinted = check(
        429,
        r#"{"error":{"code":"rate_limit_exceeded","message":"Rate limit reached. Please try again in 1.898s."}}"#,
        K::RateLimited,
        Other,
    );
    assert_eq!(hinted.retry_after, Some(Duration::from_millis(1_898)));
    check(429, "", K::RateLimited, Other);
    check(429, r#"{"detail":"Too many requests"}"#, K::RateLimited, Other);
    check(429, r#"{"error":{"code":"insufficient_quota"}}"#, K::QuotaExhausted, Other);
    check(403, r#"{"error":{"code":"usage_not_included","message":"x"}}"#, K::QuotaExhausted, Other);
    check(403, "{\"detail\":\"You\u{2019}ve hit your usage limit.\"}", K::QuotaExhausted, Other);

    check(401, r#"{"error":{"code":"token_expired","message":"x"}}"#, K::AccountUnauthorized, Same);
    check(401, r#"{"detail":"Unauthorized"}"#, K::AccountUnauthorized, Same);
    check(401, r#"{"error":{"code":"missing_scope","message":"x"}}"#, K::AccountUnauthorized, Other);
    check(401, r#"{"error":{"code":"token_invalidated"}}"#, K::AccountUnauthorized, Other);
    check(
        401,
        r#"{"error":{"code":"token_revoked","message":"Encountered invalidated oauth token for user"}}"#,
        K::AccountUnauthorized,
        Other,
    );
    check(403, r#"{"error":{"code":"account_deactivated"}}"#, K::AccountUnauthorized, Other);
    check(402, r#"{"detail":{"code":"deactivated_workspace"}}"#, K::AccountUnauthorized, Other);
    check(403, "<!DOCTYPE html><title>Just a moment</title>", K::UpstreamFault, Other);

    check(
        400,
        r#"{"detail":"The 'gpt-9' model is not supported when using Codex with a ChatGPT account."}"#,
        K::ModelNotSupported,
        Other,
    );
    check(400, r#"{"detail":"Unsupported parameter: user"}"#, K::Refused, Never);
    check(
        400,
        r#"{"error":{"code":"context_length_exceeded","message":"x","type":"invalid_request_error","param":"input"}}"#,
        K::Refused,
        Never,
    );
    check(404, r#"{"detail":"Not Found"}"#, K::Refused, Never);

    check(503, r#"{"error":{"code":"server_is_overloaded"}}"#, K::Overloaded, Other);
    check(
        500,
        r#"{"error":{"message":"Selected model is at capacity. Please try a different model."}}"#,
        K::Overloaded,
        Other,
    );
    check(529, "", K::Overloaded, Other);
    check(500, r#"{"error":{"type":"server_error"}}"#, K::UpstreamFault, Other);
    check(502, "<html>bad gateway</html>", K::UpstreamFault, Other);
    check(502, "", K::UpstreamFault, Other);
    check(504, "", K::UpstreamTimeout, Other);
    check(426, "", K::UpstreamFault, Other);
}

#[test]
fn a_429_without_a_code_is_read_with_its_headers() {
    let reset = Timestamp::from_secs(1_775_009_999);
    let quota = QuotaSnapshot {
        short: Some(Window { seconds: 18_000, used: 1.0, resets_at: Some(reset) }),
        ..QuotaSnapshot::default()
    };
    let failure = classify_answer(429, b"", Some("7"), &quota, NOW);
    assert_eq!((failure.kind, failure.resets_at), (K::QuotaExhausted, Some(reset)));
    let burst = classify_answer(429, b"", Some("7"), &QuotaSnapshot::default(), NOW);
    assert_eq!((burst.kind, burst.retry_after), (K::RateLimited, Some(Duration::from_secs(7))));
}

#[test]
fn errors_inside_a_stream_are_told_by_their_code() {
    for (error, kind, retry) in [
        (r#"{"code":"rate_limit_exceeded","message":"try again in 11.054s"}"#, K::RateLimited, Other),
        (r#"{"code":"server_is_overloaded"}"#, K::Overloaded, Other),
        (r#"{"code":"context_length_exceeded"}"#, K::Refused, Never),
        (r#"{"code":"missing_scope"}"#, K::AccountUnauthorized, Other),
        (r#"{"type":"permission_error","message":"x"}"#, K::AccountUnauthorized, Other),
        (
            r#"{"code":"biscuit_baker_service_agent_error_status","message":"The agent runtime has been deleted."}"#,
            K::AccountUnauthorized,
            Other,
        ),
        // The caller's own faults.
        (
            r#"{"type":"invalid_request_error","message":"No tool output found for function call x."}"#,
            K::Refused,
            Never,
        ),
        (r#"{"code":"array_above_max_length"}"#, K::Refused, Never),
        (r#"{"code":"bad_request"}"#, K::Refused, Never),
        (r#"{"code":"invalid_api_key"}"#, K::AccountUnauthorized, Same),
        (
            r#"{"type":"invalid_request_error","message":"The 'x' model is not supported when using Codex."}"#,
            K::ModelNotSupported,
            Other,
        ),
        (r#"{"type":"timeout_error","message":"Request timed out"}"#, K::UpstreamTimeout, Other),
        (r#"{"type":"request_too_large","message":"x"}"#, K::Refused, Never),
        (r#"{"code":"never_heard_of"}"#, K::UpstreamFault, Other),
        ("broken", K::UpstreamFault, Other),
    ] {
        let failure = classify_error_object(error, NOW);
        assert_eq!((failure.kind, failure.retry), (kind, retry), "{error}");
    }
}

#[test]
fn a_wait_is_told_in_seconds_or_as_a_date() {
    let now = Timestamp::from_secs(1_800_000_000);
    for (text, secs) in [
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("99999999999", Some(LONGEST_WAIT.as_secs())),
        ("Fri, 15 Jan 2027 08:00:09 GMT", Some(9)),
        ("Friday, 15-Jan-27 08:01:00 GMT", Some(60)),
        ("Fri Jan 15 08:00:01 2027", Some(1)),
        ("Fri, 15 Jan 2027 08:00:00 GMT", None),
        ("Fri, 15 Jan 2027 07:59:59 GMT", None),
        ("Fri, 31 Dec 2100 23:59:59 GMT", None),
        ("soon", None),
        ("-1", None),
        ("", None),
    ] {
        let failure = classify_answer(429, b"", Some(text), &QuotaSnapshot::default(), now);
        assert_eq!(failure.retry_after, secs.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn waits_are_read_from_texts() {
    for (text, ms) in
        [("try again in 1h2m3s", 3_723_000), ("Try again in 500ms.", 500), ("try again in 11.054s", 11_054)]
    {
        let wait = hinted_wait(Some(text)).unwrap();
        assert_eq!(wait.as_millis(), ms, "{text}");
    }
    assert_eq!(hinted_wait(Some("try again in a moment")), None);
    assert_eq!(hinted_wait(Some("try again in 99999999999999999h")).unwrap(), LONGEST_WAIT);
}
