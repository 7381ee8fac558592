//! The lab: a simulated ChatGPT backend, OAuth issuer, OpenAI and Anthropic API, and egress proxies, with scripted faults
//! and a virtual clock.
//! Used by tests, by `serve --demo` and by the benchmark. It refuses to call anything outside itself and to sign
//! anything: its tokens, accounts and answers are recognisably fake.
//!
//! ```text
//! let shutdown = CancellationToken::new();
//! let config = LabConfig::new(vec![LabAccount::new("ada", "plus")], LabClock::fixed(1_800_000_000));
//! let lab = Lab::start_local(config, shutdown.clone()).await?;
//!
//! let auth_json = lab.issue_auth_json(0).unwrap();           // import this into the gateway
//! let upstream = lab.backend_url();                          // …/backend-api
//! let issuer = lab.base_url();                               // POST {issuer}/oauth/token
//!
//! // The second and third turn of account 0 are cut after five events.
//! let cut = lab.script(FaultRule::new(Fault::CutAfterEvents(5)).on(Route::Responses).account(0).skip(1).times(2));
//! // … send traffic …
//! assert_eq!(lab.fired(cut), 2);
//! assert_eq!(lab.tokens(0).unwrap().reuse_detections, 0);
//! assert_eq!(lab.requests().last().unwrap().json()["store"], false);
//! lab.advance(Duration::from_secs(18_000));                  // windows empty, tokens expire
//! ```
//!
//! Sign-ins: `lab.sign_in_as(1)` chooses who sits at `/oauth/authorize`; `lab.confirm_device(code, 1)` ends a device flow.
//! APIs with keys: `lab.openai_url()` and `lab.base_url()` with [`OPENAI_KEY`] and [`ANTHROPIC_KEY`]; [`LabApi`] switches
//! dialects off. Egress proxies: [`proxy::LabProxy`].
//!
//! The "model" behind it (`script`): it echoes the last user text (`You said: …`), calls the shell tool on
//! `use the shell: <cmd>`, any tool on `call <tool> <JSON>`, quotes a tool's output, says just what stands behind
//! `repeat after me: `, and sends exactly N deltas on `stream N events[, pause M ms]`.

mod api;
mod canned;
mod catalogue;
mod clock;
mod config;
mod conn;
mod dialect;
mod errors;
mod events;
mod exchange;
mod fault;
mod form;
mod lab;
mod log;
mod multipart;
pub mod proxy;
mod quota;
mod routes;
mod script;
mod serve;
mod sign_in;
mod state;
mod stream;
mod tokens;
mod validate;

#[cfg(test)]
mod tests;

pub use clock::LabClock;
pub use config::{
    ANTHROPIC_KEY, CLIENT_ID, CompletedOutput, FIVE_HOURS, LabAccount, LabApi, LabConfig, LabCredits,
    LabFeature, LabWindow, MONTH, OPENAI_KEY, WEEK,
};
pub use errors::{API_ERROR_BODIES, ERROR_BODIES, ErrorBody, ErrorPlace, FAILED_EVENTS, UnknownErrorBody};
pub use fault::{Fault, FaultRule, Route, RuleId, RuleState, Stall};
pub use lab::{Lab, start};
pub use log::RequestRecord;
pub use quota::WindowView;
pub use routes::router;
pub use state::{AccountStats, StreamCounts};
pub use tokens::{Lifetime, TokenSet, TokenStats};
