//! The lines of the fault matrix: data, nothing else.
//!
//! Told: status and code (for Anthropic: type) when no account can do better. Then: with another account, it *moves* there,
//! the same account *renews* its token, or the error *stays* with the caller. Held: what keeps the account away
//! afterwards, for whom, how long and by whose word (`-`: nothing; a fault counts from the third in a row). After: the
//! same, when it comes after content; nothing is tried again then. As the first event of a stream it is told as with a
//! status, but for the lines of [`FIRST`].

/// One error body.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) told: &'static str,
    pub(super) then: &'static str,
    pub(super) held: &'static str,
    pub(super) after: &'static str,
}

const fn line(
    name: &'static str,
    told: &'static str,
    then: &'static str,
    held: &'static str,
    after: &'static str,
) -> Line {
    Line { name, told, then, held, after }
}

/// The ChatGPT backend, asked in Responses.
#[rustfmt::skip] // One body, one line.
pub(super) const BACKEND: &[Line] = &[
    line("usage_limit_reached",                "429 usage_limit_reached",        "moves",  "account 3600 s, upstream reset", "account 3600 s, backoff"),
    line("usage_limit_reached_with_code",      "429 usage_limit_reached",        "moves",  "account 3600 s, upstream reset", "account 3600 s, backoff"),
    line("usage_limit_reached_without_reset",  "429 usage_limit_reached",        "moves",  "account 3600 s, backoff",        "account 3600 s, backoff"),
    line("usage_limit_reached_as_403",         "429 usage_limit_reached",        "moves",  "account 3600 s, upstream reset", "account 3600 s, backoff"),
    line("usage_limit_text_403",               "429 usage_limit_reached",        "moves",  "account 3600 s, backoff",        "cannot be"),
    line("insufficient_quota",                 "429 usage_limit_reached",        "moves",  "account 3600 s, backoff",        "account 3600 s, backoff"),
    line("quota_exceeded",                     "429 usage_limit_reached",        "moves",  "account 3600 s, backoff",        "account 3600 s, backoff"),
    line("usage_not_included",                 "429 usage_limit_reached",        "moves",  "account 3600 s, backoff",        "account 3600 s, backoff"),
    line("rate_limit_exceeded",                "429 rate_limit_exceeded",        "moves",  "account 1.898 s, retry-after",   "account 1.898 s, retry-after"),
    line("rate_limit_exceeded_retry_after",    "429 rate_limit_exceeded",        "moves",  "account 7 s, retry-after",       "account 7 s, retry-after"),
    line("rate_limit_exceeded_long_hint",      "429 rate_limit_exceeded",        "moves",  "account 3723 s, retry-after",    "account 3723 s, retry-after"),
    line("rate_limited_without_code",          "429 rate_limit_exceeded",        "moves",  "account 1 s, backoff",           "cannot be"),
    line("rate_limited_null_code",             "429 rate_limit_exceeded",        "moves",  "account 1 s, backoff",           "cannot be"),
    line("rate_limited_empty",                 "429 rate_limit_exceeded",        "moves",  "account 7 s, retry-after",       "cannot be"),
    line("rate_limited_http_date",             "429 rate_limit_exceeded",        "moves",  "account 9 s, retry-after",       "cannot be"),
    line("rate_limited_far_date",              "429 rate_limit_exceeded",        "moves",  "account 1 s, backoff",           "cannot be"),
    line("server_is_overloaded",               "503 server_is_overloaded",       "moves",  "-",                              "-"),
    line("slow_down",                          "503 server_is_overloaded",       "moves",  "-",                              "-"),
    line("overloaded_error",                   "503 server_is_overloaded",       "moves",  "-",                              "-"),
    line("model_at_capacity",                  "503 server_is_overloaded",       "moves",  "-",                              "-"),
    line("unavailable_plain_text",             "503 server_is_overloaded",       "moves",  "-",                              "cannot be"),
    line("unavailable_retry_after",            "503 server_is_overloaded",       "moves",  "-",                              "cannot be"),
    line("server_error",                       "502 upstream_fault",             "moves",  "-",                              "-"),
    line("upstream_error",                     "502 upstream_fault",             "moves",  "-",                              "-"),
    line("bad_gateway_empty",                  "502 upstream_fault",             "moves",  "-",                              "cannot be"),
    line("bad_gateway_html",                   "502 upstream_fault",             "moves",  "-",                              "cannot be"),
    line("message_only",                       "502 upstream_fault",             "moves",  "-",                              "cannot be"),
    line("truncated_json",                     "502 upstream_fault",             "moves",  "-",                              "cannot be"),
    line("cloudflare_challenge",               "502 upstream_fault",             "moves",  "-",                              "cannot be"),
    line("client_too_old",                     "502 upstream_fault",             "moves",  "-",                              "cannot be"),
    line("gateway_timeout_html",               "504 upstream_timeout",           "moves",  "-",                              "cannot be"),
    line("token_expired",                      "503 account_unauthorized",       "renews", "account 60 s, backoff",          "account 60 s, backoff"),
    line("unauthorized_detail",                "503 account_unauthorized",       "renews", "account 60 s, backoff",          "cannot be"),
    line("unparsable_token_detail",            "503 account_unauthorized",       "renews", "account 60 s, backoff",          "cannot be"),
    line("unauthorized_empty",                 "503 account_unauthorized",       "renews", "account 60 s, backoff",          "cannot be"),
    line("missing_scope",                      "503 account_unauthorized",       "moves",  "-",                              "-"),
    line("token_invalidated",                  "503 account_unauthorized",       "moves",  "sign-in",                        "account 60 s, backoff"),
    line("token_revoked",                      "503 account_unauthorized",       "moves",  "sign-in",                        "account 60 s, backoff"),
    line("app_session_terminated",             "503 account_unauthorized",       "moves",  "sign-in",                        "account 60 s, backoff"),
    line("account_session_expired",            "503 account_unauthorized",       "moves",  "sign-in",                        "account 60 s, backoff"),
    line("account_auth_invalidated",           "503 account_unauthorized",       "moves",  "sign-in",                        "account 60 s, backoff"),
    line("account_deactivated",                "503 account_unauthorized",       "moves",  "sign-in",                        "account 60 s, backoff"),
    line("account_suspended",                  "503 account_unauthorized",       "moves",  "sign-in",                        "account 60 s, backoff"),
    line("account_deleted",                    "503 account_unauthorized",       "moves",  "sign-in",                        "account 60 s, backoff"),
    line("deactivated_workspace",              "503 account_unauthorized",       "moves",  "sign-in",                        "cannot be"),
    line("deactivated_workspace_403",          "503 account_unauthorized",       "moves",  "sign-in",                        "account 300 s, backoff"),
    line("account_deactivated_message_only",   "503 account_unauthorized",       "moves",  "account 60 s, backoff",          "cannot be"),
    line("payment_required_detail",            "503 account_unauthorized",       "moves",  "account 60 s, backoff",          "cannot be"),
    line("forbidden_detail",                   "503 account_unauthorized",       "moves",  "account 60 s, backoff",          "cannot be"),
    line("agent_runtime_deleted",              "503 account_unauthorized",       "moves",  "account 86400 s, backoff",       "account 86400 s, backoff"),
    line("model_not_supported",                "404 model_not_found",            "moves",  "model 1800 s, backoff",          "model 1800 s, backoff"),
    line("model_not_supported_detail",         "404 model_not_found",            "moves",  "model 1800 s, backoff",          "cannot be"),
    line("unknown_provider_for_model",         "404 model_not_found",            "moves",  "model 1800 s, backoff",          "model 1800 s, backoff"),
    line("model_not_found",                    "404 model_not_found",            "moves",  "model 1800 s, backoff",          "model 1800 s, backoff"),
    line("top_level_fields",                   "400 invalid_request",            "stays",  "-",                              "cannot be"),
    line("context_length_exceeded",            "400 context_length_exceeded",    "stays",  "-",                              "-"),
    line("invalid_prompt",                     "400 invalid_prompt",             "stays",  "-",                              "-"),
    line("cyber_policy",                       "400 invalid_prompt",             "stays",  "-",                              "-"),
    line("previous_response_not_found",        "400 previous_response_not_found", "stays",  "-",                              "-"),
    line("invalid_previous_response_id",       "400 invalid_request_error",      "stays",  "-",                              "-"),
    line("missing_tool_output",                "400 invalid_request_error",      "stays",  "-",                              "-"),
    line("invalid_encrypted_content",          "400 invalid_encrypted_content",  "stays",  "-",                              "-"),
    line("unsupported_value",                  "400 unsupported_value",          "stays",  "-",                              "-"),
    line("unsupported_parameter_detail",       "400 invalid_request_error",      "stays",  "-",                              "cannot be"),
    line("instructions_required_detail",       "400 invalid_request_error",      "stays",  "-",                              "cannot be"),
    line("not_found_detail",                   "404 invalid_request_error",      "stays",  "-",                              "cannot be"),
    line("payload_too_large_detail",           "413 invalid_request_error",      "stays",  "-",                              "cannot be"),
];

/// The OpenAI API, asked in chat completions.
#[rustfmt::skip] // One body, one line.
pub(super) const OPENAI: &[Line] = &[
    line("openai_no_key",                      "503 account_unauthorized",       "moves",  "sign-in",                        "-"),
    line("openai_invalid_key",                 "503 account_unauthorized",       "moves",  "sign-in",                        "account 60 s, backoff"),
    line("openai_rate_limited",                "429 rate_limit_exceeded",        "moves",  "account 1 s, retry-after",       "account 1 s, retry-after"),
    line("openai_insufficient_quota",          "429 usage_limit_reached",        "moves",  "account 3600 s, backoff",        "account 3600 s, backoff"),
    line("openai_model_not_found",             "404 model_not_found",            "moves",  "model 1800 s, backoff",          "model 1800 s, backoff"),
    line("openai_context_length",              "400 context_length_exceeded",    "stays",  "-",                              "-"),
    line("openai_forbidden_region",            "503 account_unauthorized",       "moves",  "account 60 s, backoff",          "account 60 s, backoff"),
    line("openai_server_error",                "502 upstream_fault",             "moves",  "-",                              "-"),
    line("openai_overloaded",                  "503 server_is_overloaded",       "moves",  "-",                              "-"),
];

/// The Anthropic API, asked in messages.
#[rustfmt::skip] // One body, one line.
pub(super) const ANTHROPIC: &[Line] = &[
    line("anthropic_invalid_key",              "503 overloaded_error",           "moves",  "sign-in",                        "account 60 s, backoff"),
    line("anthropic_invalid_request",          "400 invalid_request_error",      "stays",  "-",                              "-"),
    line("anthropic_prompt_too_long",          "400 invalid_request_error",      "stays",  "-",                              "-"),
    line("anthropic_credit_too_low",           "429 rate_limit_error",           "moves",  "account 3600 s, backoff",        "account 3600 s, backoff"),
    line("anthropic_permission",               "503 overloaded_error",           "moves",  "account 60 s, backoff",          "account 60 s, backoff"),
    line("anthropic_not_found",                "404 not_found_error",            "moves",  "model 1800 s, backoff",          "model 1800 s, backoff"),
    line("anthropic_too_large",                "413 request_too_large",          "stays",  "-",                              "-"),
    line("anthropic_rate_limited",             "429 rate_limit_error",           "moves",  "account 12 s, retry-after",      "account 1 s, backoff"),
    line("anthropic_api_error",                "502 api_error",                  "moves",  "-",                              "-"),
    line("anthropic_timeout",                  "504 timeout_error",              "moves",  "-",                              "-"),
    line("anthropic_overloaded",               "503 overloaded_error",           "moves",  "-",                              "-"),
];

/// What is told otherwise when it comes as the first event: there is no status then, and what has no code of its own is
/// read by its type.
#[rustfmt::skip] // One body, one line.
pub(super) const FIRST: &[(&str, &str)] = &[
    ("openai_no_key",       "400 invalid_request_error"),
    ("openai_overloaded",   "502 upstream_fault"),
];
