//! The rows of the error table: data, nothing else.
//! Wording is ours where clients only read codes, and upstream's where they match on the text.

use super::{ErrorBody, ErrorPlace};

pub(super) const JSON: &str = "application/json";

pub(crate) const RATE_LIMIT_EXCEEDED: ErrorBody = row(
    "rate_limit_exceeded",
    429,
    ErrorPlace::Backend,
    JSON,
    r#"{"error":{"message":"Rate limit reached for this account on tokens per min (TPM). Please try again in 1.898s.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
);
pub(crate) const RATE_LIMITED_WITHOUT_CODE: ErrorBody =
    row("rate_limited_without_code", 429, ErrorPlace::Backend, JSON, r#"{"detail":"Too Many Requests"}"#);
pub(crate) const TOKEN_EXPIRED: ErrorBody = row(
    "token_expired",
    401,
    ErrorPlace::Backend,
    JSON,
    r#"{"error":{"message":"Provided authentication token is expired. Please try signing in again.","type":"invalid_request_error","param":null,"code":"token_expired"}}"#,
);
pub(crate) const TOKEN_INVALIDATED: ErrorBody = row(
    "token_invalidated",
    401,
    ErrorPlace::Backend,
    JSON,
    r#"{"error":{"message":"Your authentication token has been invalidated. Please try signing in again.","type":"invalid_request_error","param":null,"code":"token_invalidated"}}"#,
);
pub(crate) const UNAUTHORIZED_DETAIL: ErrorBody =
    row("unauthorized_detail", 401, ErrorPlace::Backend, JSON, r#"{"detail":"Unauthorized"}"#);
pub(crate) const UNPARSABLE_TOKEN_DETAIL: ErrorBody = row(
    "unparsable_token_detail",
    401,
    ErrorPlace::Backend,
    JSON,
    r#"{"detail":"Could not parse your authentication token. Please try signing in again."}"#,
);
pub(crate) const NOT_FOUND: ErrorBody =
    row("not_found_detail", 404, ErrorPlace::Backend, JSON, r#"{"detail":"Not Found"}"#);
pub(crate) const PAYLOAD_TOO_LARGE: ErrorBody =
    row("payload_too_large_detail", 413, ErrorPlace::Backend, JSON, r#"{"detail":"Request body too large"}"#);
pub(crate) const CLIENT_TOO_OLD: ErrorBody =
    row("client_too_old", 426, ErrorPlace::Backend, JSON, r#"{"detail":"Upgrade Required"}"#);
pub(crate) const REFRESH_TOKEN_REUSED: ErrorBody = row(
    "refresh_token_reused",
    401,
    ErrorPlace::Token,
    JSON,
    r#"{"error":{"message":"Your refresh token has already been used to generate a new access token. Please try signing in again.","type":"invalid_request_error","param":null,"code":"refresh_token_reused"}}"#,
);
pub(crate) const REFRESH_TOKEN_EXPIRED: ErrorBody = row(
    "refresh_token_expired",
    401,
    ErrorPlace::Token,
    JSON,
    r#"{"error":{"message":"Your refresh token has expired. Please try signing in again.","type":"invalid_request_error","param":null,"code":"refresh_token_expired"}}"#,
);
pub(crate) const REFRESH_TOKEN_INVALIDATED: ErrorBody = row(
    "refresh_token_invalidated",
    401,
    ErrorPlace::Token,
    JSON,
    r#"{"error":{"message":"Your session has ended. Please log in again.","type":"invalid_request_error","param":null,"code":"refresh_token_invalidated"}}"#,
);
pub(crate) const INVALID_GRANT: ErrorBody = row(
    "invalid_grant",
    400,
    ErrorPlace::Token,
    JSON,
    r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#,
);
pub(crate) const INVALID_CLIENT: ErrorBody = row(
    "invalid_client",
    401,
    ErrorPlace::Token,
    JSON,
    r#"{"error":"invalid_client","error_description":"Unknown client."}"#,
);
pub(crate) const UNSUPPORTED_GRANT: ErrorBody = row(
    "unsupported_grant_type",
    400,
    ErrorPlace::Token,
    JSON,
    r#"{"error":"unsupported_grant_type","error_description":"Only refresh_token and authorization_code are supported."}"#,
);

/// Every error answer the lab can give on request.
pub const ERROR_BODIES: &[ErrorBody] = &[
    // Limits.
    row("usage_limit_reached", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The usage limit has been reached","type":"usage_limit_reached","plan_type":"plus","resets_at":@RESETS_AT@,"resets_in_seconds":@RESETS_IN@}}"#).with(&[("x-codex-active-limit", "premium"), ("x-codex-primary-used-percent", "100")]),
    row("usage_limit_reached_with_code", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The usage limit has been reached","type":"usage_limit_reached","code":"usage_limit_reached","plan_type":"plus","resets_in_seconds":@RESETS_IN@}}"#),
    row("usage_limit_reached_without_reset", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The usage limit has been reached","type":"usage_limit_reached","plan_type":"free"}}"#),
    row("usage_limit_reached_as_403", 403, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The usage limit has been reached","type":"usage_limit_reached","plan_type":"team","resets_at":@RESETS_AT@}}"#),
    row("usage_limit_text_403", 403, ErrorPlace::Backend, JSON, r#"{"detail":"You’ve hit your usage limit. Visit https://chatgpt.com/codex/settings/usage to purchase more credits."}"#),
    RATE_LIMIT_EXCEEDED,
    row("rate_limit_exceeded_retry_after", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Rate limit reached for this account on requests per min (RPM). Please try again in 7s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#).with(&[("retry-after", "7")]),
    row("rate_limit_exceeded_long_hint", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Rate limit reached. Please try again in 1h2m3s.","type":"requests","code":"rate_limit_exceeded"}}"#),
    RATE_LIMITED_WITHOUT_CODE,
    row("rate_limited_null_code", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Too many concurrent requests for this account.","type":null,"param":null,"code":null}}"#),
    row("rate_limited_empty", 429, ErrorPlace::Backend, "", "").with(&[("retry-after", "7")]),
    row("rate_limited_http_date", 429, ErrorPlace::Backend, JSON, r#"{"detail":"Too Many Requests"}"#).with(&[("retry-after", "@DATE@")]),
    row("rate_limited_far_date", 429, ErrorPlace::Backend, JSON, r#"{"detail":"Too Many Requests"}"#).with(&[("retry-after", "Fri, 31 Dec 2100 23:59:59 GMT")]),
    row("insufficient_quota", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#),
    row("quota_exceeded", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The quota of this workspace is exceeded.","type":"quota_exceeded","code":"quota_exceeded"}}"#),
    row("usage_not_included", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Usage of Codex is not included in this plan.","type":"usage_not_included","plan_type":"free"}}"#),
    // Overload and broken backends.
    row("server_is_overloaded", 503, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Our servers are currently overloaded. Please try again later.","type":"server_error","code":"server_is_overloaded"}}"#),
    row("slow_down", 503, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Requests to this model are being slowed down. Please try again later.","type":"server_error","code":"slow_down"}}"#),
    row("overloaded_error", 503, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#),
    row("model_at_capacity", 429, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Selected model is at capacity. Please try a different model.","type":"invalid_request_error"}}"#),
    row("server_error", 500, ErrorPlace::Backend, JSON, r#"{"error":{"message":"An error occurred while processing your request. You can retry your request.","type":"server_error","code":"server_error"}}"#),
    row("upstream_error", 502, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The backend could not be reached.","type":"upstream_error","code":"upstream_error"}}"#),
    row("bad_gateway_empty", 502, ErrorPlace::Backend, "", ""),
    row("bad_gateway_html", 502, ErrorPlace::Backend, "text/html", "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"),
    row("unavailable_plain_text", 503, ErrorPlace::Backend, "text/plain", "upstream connect error or disconnect/reset before headers. reset reason: connection termination"),
    row("unavailable_retry_after", 503, ErrorPlace::Backend, JSON, r#"{"detail":"Service Unavailable"}"#).with(&[("retry-after", "2")]),
    row("gateway_timeout_html", 504, ErrorPlace::Backend, "text/html", "<html><head><title>504 Gateway Time-out</title></head><body></body></html>"),
    row("message_only", 500, ErrorPlace::Backend, JSON, r#"{"message":"Internal server error"}"#),
    row("top_level_fields", 400, ErrorPlace::Backend, JSON, r#"{"type":"error","status_code":400,"code":"invalid_request","error_type":"invalid_request_error","message":"The request could not be processed.","param":"input"}"#),
    row("truncated_json", 500, ErrorPlace::Backend, "application/json; charset=utf-8", r#"{"error":{"message":"An error occ"#),
    row("cloudflare_challenge", 403, ErrorPlace::Backend, "text/html; charset=UTF-8", r#"<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head><body><noscript>Enable JavaScript and cookies to continue</noscript></body></html>"#).with(&[("server", "cloudflare"), ("cf-mitigated", "challenge"), ("cf-ray", "0000000000000000-LAB")]),
    // Tokens, sessions and accounts.
    TOKEN_EXPIRED,
    TOKEN_INVALIDATED,
    row("token_revoked", 401, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Encountered invalidated oauth token for user, failing request","type":"invalid_request_error","param":null,"code":"token_revoked"}}"#),
    row("app_session_terminated", 401, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Your session has ended. Please sign in again.","type":"invalid_request_error","code":"app_session_terminated"}}"#),
    row("account_session_expired", 401, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The session of this account has expired.","type":"invalid_request_error","code":"account_session_expired"}}"#),
    row("account_auth_invalidated", 401, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The sign-in of this account was invalidated.","type":"invalid_request_error","code":"account_auth_invalidated"}}"#),
    UNAUTHORIZED_DETAIL,
    UNPARSABLE_TOKEN_DETAIL,
    row("unauthorized_empty", 401, ErrorPlace::Backend, "", ""),
    row("missing_scope", 401, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The token is missing a scope for this operation.","type":"invalid_request_error","code":"missing_scope"}}"#),
    row("account_deactivated", 401, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Your OpenAI account has been deactivated, please check your email for more information.","type":"invalid_request_error","param":null,"code":"account_deactivated"}}"#),
    row("account_deactivated_message_only", 403, ErrorPlace::Backend, JSON, r#"{"message":"This account has been deactivated."}"#),
    row("account_suspended", 403, ErrorPlace::Backend, JSON, r#"{"error":{"message":"This account is suspended.","type":"invalid_request_error","code":"account_suspended"}}"#),
    row("account_deleted", 403, ErrorPlace::Backend, JSON, r#"{"error":{"message":"This account was deleted.","type":"invalid_request_error","code":"account_deleted"}}"#),
    row("deactivated_workspace", 402, ErrorPlace::Backend, JSON, r#"{"detail":{"code":"deactivated_workspace"}}"#),
    row("deactivated_workspace_403", 403, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The workspace is deactivated.","code":"deactivated_workspace"}}"#),
    row("payment_required_detail", 402, ErrorPlace::Backend, JSON, r#"{"detail":"Payment Required"}"#),
    row("forbidden_detail", 403, ErrorPlace::Backend, JSON, r#"{"detail":"Forbidden"}"#),
    row("agent_runtime_deleted", 403, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The agent runtime has been deleted.","code":"biscuit_baker_service_agent_error_status"}}"#),
    // Requests that no account can serve, or not this one.
    row("model_not_supported", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account.","type":"invalid_request_error"}}"#),
    row("model_not_supported_detail", 400, ErrorPlace::Backend, JSON, r#"{"detail":"The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account."}"#),
    row("unknown_provider_for_model", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"unknown provider for model gpt-5.5","type":"invalid_request_error"}}"#),
    row("model_not_found", 404, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The model 'gpt-5.5' does not exist or you do not have access to it.","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#),
    row("context_length_exceeded", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#),
    row("invalid_prompt", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The prompt was refused: it appears to violate the usage policy.","type":"invalid_request_error","code":"invalid_prompt"}}"#),
    row("cyber_policy", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"This request was flagged for possible cybersecurity risk. See chatgpt.com/cyber for access when authorized for security work.","type":"invalid_request_error","code":"invalid_prompt"}}"#),
    row("previous_response_not_found", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Previous response with id 'resp_lab' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}"#),
    row("invalid_previous_response_id", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Invalid `previous_response_id`.","type":"invalid_request_error"}}"#),
    row("missing_tool_output", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"No tool output found for function call call_lab.","type":"invalid_request_error","param":"input"}}"#),
    row("invalid_encrypted_content", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"The encrypted content could not be verified.","type":"invalid_request_error","code":"invalid_encrypted_content"}}"#),
    row("unsupported_value", 400, ErrorPlace::Backend, JSON, r#"{"error":{"message":"Unsupported value: 'ultra' is not supported with this model.","type":"invalid_request_error","param":"reasoning.effort","code":"unsupported_value"}}"#),
    row("unsupported_parameter_detail", 400, ErrorPlace::Backend, JSON, r#"{"detail":"Unsupported parameter: max_output_tokens"}"#),
    row("instructions_required_detail", 400, ErrorPlace::Backend, JSON, r#"{"detail":"Instructions are required"}"#),
    NOT_FOUND,
    PAYLOAD_TOO_LARGE,
    CLIENT_TOO_OLD,
    // The token endpoint.
    REFRESH_TOKEN_REUSED,
    REFRESH_TOKEN_EXPIRED,
    REFRESH_TOKEN_INVALIDATED,
    row("invalid_refresh_token", 401, ErrorPlace::Token, JSON, r#"{"error":{"message":"The refresh token is not valid.","type":"invalid_request_error","code":"invalid_refresh_token"}}"#),
    INVALID_GRANT,
    INVALID_CLIENT,
    row("unauthorized_client", 400, ErrorPlace::Token, JSON, r#"{"error":"unauthorized_client","error_description":"This client may not use the grant."}"#),
    UNSUPPORTED_GRANT,
    row("access_denied", 403, ErrorPlace::Token, JSON, r#"{"error":"access_denied","error_description":"The sign-in was refused."}"#),
    row("token_error_code_form", 401, ErrorPlace::Token, JSON, r#"{"error_code":"token_invalidated","message":"The session was invalidated."}"#),
    row("token_code_form", 401, ErrorPlace::Token, JSON, r#"{"code":"account_deactivated","message":"The account was deactivated."}"#),
    row("token_rate_limited", 429, ErrorPlace::Token, JSON, r#"{"error":"slow_down","error_description":"Too many requests."}"#),
    row("token_server_error", 500, ErrorPlace::Token, JSON, r#"{"error":{"message":"Internal error.","code":"server_error"}}"#),
    row("token_unavailable_html", 503, ErrorPlace::Token, "text/html", "<html><body>Service Unavailable</body></html>"),
    row("token_bad_gateway_empty", 502, ErrorPlace::Token, "", ""),
    row("token_cloudflare_challenge", 403, ErrorPlace::Token, "text/html; charset=UTF-8", "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>").with(&[("server", "cloudflare"), ("cf-mitigated", "challenge")]),
];

/// Codes and messages that arrive inside a started stream, as `response.failed`.
pub const FAILED_EVENTS: &[(&str, &str)] = &[
    ("rate_limit_exceeded", "Rate limit reached for this account. Please try again in 1.898s."),
    ("usage_limit_reached", "The usage limit has been reached"),
    ("insufficient_quota", "You exceeded your current quota, please check your plan and billing details."),
    ("server_error", "An error occurred while processing your request."),
    ("server_is_overloaded", "Our servers are currently overloaded. Please try again later."),
    ("slow_down", "Requests to this model are being slowed down. Please try again later."),
    ("context_length_exceeded", "Your input exceeds the context window of this model."),
    ("invalid_prompt", "The prompt was refused."),
    ("previous_response_not_found", "Previous response not found."),
    ("token_expired", "Provided authentication token is expired."),
];

pub(super) const fn row(
    name: &'static str,
    status: u16,
    place: ErrorPlace,
    content_type: &'static str,
    text: &'static str,
) -> ErrorBody {
    ErrorBody { name, status, place, content_type, text, headers: &[] }
}

impl ErrorBody {
    pub(super) const fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }
}
