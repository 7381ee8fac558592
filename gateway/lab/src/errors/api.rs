//! The error answers of the APIs that take keys, in their own shapes: data, nothing else.

use super::table::{JSON, row};
use super::{ErrorBody, ErrorPlace};

pub(crate) const OPENAI_NO_KEY: ErrorBody = row(
    "openai_no_key",
    401,
    ErrorPlace::OpenAi,
    JSON,
    r#"{"error":{"message":"You didn't provide an API key.","type":"invalid_request_error","param":null,"code":null}}"#,
);
pub(crate) const OPENAI_INVALID_KEY: ErrorBody = row(
    "openai_invalid_key",
    401,
    ErrorPlace::OpenAi,
    JSON,
    r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
);
pub(crate) const ANTHROPIC_INVALID_KEY: ErrorBody = row(
    "anthropic_invalid_key",
    401,
    ErrorPlace::Anthropic,
    JSON,
    r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"req_lab"}"#,
);

/// Every error answer of the APIs that take keys.
pub const API_ERROR_BODIES: &[ErrorBody] = &[
    OPENAI_NO_KEY,
    OPENAI_INVALID_KEY,
    row("openai_rate_limited", 429, ErrorPlace::OpenAi, JSON, r#"{"error":{"message":"Rate limit reached for gpt-5.5 in organization org-lab on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#).with(&[("retry-after-ms", "120"), ("x-ratelimit-remaining-requests", "0")]),
    row("openai_insufficient_quota", 429, ErrorPlace::OpenAi, JSON, r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#),
    row("openai_model_not_found", 404, ErrorPlace::OpenAi, JSON, r#"{"error":{"message":"The model `gpt-lab` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#),
    row("openai_context_length", 400, ErrorPlace::OpenAi, JSON, r#"{"error":{"message":"Your input exceeds the context window of this model.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#),
    row("openai_forbidden_region", 403, ErrorPlace::OpenAi, JSON, r#"{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,"code":"unsupported_country_region_territory"}}"#),
    row("openai_server_error", 500, ErrorPlace::OpenAi, JSON, r#"{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#),
    row("openai_overloaded", 503, ErrorPlace::OpenAi, JSON, r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"service_unavailable_error","param":null,"code":"engine_overloaded"}}"#).with(&[("retry-after", "5")]),
    ANTHROPIC_INVALID_KEY,
    row("anthropic_invalid_request", 400, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages.0.content: Input should be a valid list"},"request_id":"req_lab"}"#),
    row("anthropic_prompt_too_long", 400, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"},"request_id":"req_lab"}"#),
    row("anthropic_credit_too_low", 400, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."},"request_id":"req_lab"}"#),
    row("anthropic_permission", 403, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource."},"request_id":"req_lab"}"#),
    row("anthropic_not_found", 404, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-lab"},"request_id":"req_lab"}"#),
    row("anthropic_too_large", 413, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"},"request_id":"req_lab"}"#),
    row("anthropic_rate_limited", 429, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 50 requests per minute."},"request_id":"req_lab"}"#).with(&[("retry-after", "12"), ("anthropic-ratelimit-requests-remaining", "0")]),
    row("anthropic_api_error", 500, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"},"request_id":"req_lab"}"#),
    row("anthropic_timeout", 504, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"timeout_error","message":"Request timed out"},"request_id":"req_lab"}"#),
    row("anthropic_overloaded", 529, ErrorPlace::Anthropic, JSON, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_lab"}"#),
];
