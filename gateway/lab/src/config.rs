//! What a lab is made of: accounts, their windows, the clock and the switches of the simulated backend.
//! Refuses to hold running state; that lives in `state`.

use std::time::Duration;

use serde::Serialize;

use crate::clock::LabClock;

/// The client id every Codex login uses; the token endpoint refuses any other.
pub const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// The key that the OpenAI-shaped routes take unless configured otherwise.
pub const OPENAI_KEY: &str = "sk-lab-openai";
/// The key that the Anthropic-shaped routes take unless configured otherwise.
pub const ANTHROPIC_KEY: &str = "sk-ant-lab";

/// Five hours, the usual primary window.
pub const FIVE_HOURS: u64 = 18_000;
/// Seven days, the usual secondary window.
pub const WEEK: u64 = 604_800;
/// Thirty days, the free plan's only window.
pub const MONTH: u64 = 2_592_000;

/// One quota window as it stands when the lab starts.
#[derive(Debug, Clone, PartialEq)]
pub struct LabWindow {
    /// Length of the window.
    pub seconds: u64,
    /// How full it is, 0 to 100.
    pub used_percent: f64,
    /// Seconds until it empties.
    pub resets_in_s: u64,
    /// How much one turn adds.
    pub percent_per_turn: f64,
}

impl LabWindow {
    /// A window of this length, this full, emptying in this many seconds; a turn adds half a percent.
    #[must_use]
    pub const fn new(seconds: u64, used_percent: f64, resets_in_s: u64) -> Self {
        Self { seconds, used_percent, resets_in_s, percent_per_turn: 0.5 }
    }

    /// The same window with another fill per turn.
    #[must_use]
    pub const fn filling(self, percent_per_turn: f64) -> Self {
        Self { percent_per_turn, ..self }
    }
}

/// Bought credits, which let a turn through when the windows are full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabCredits {
    /// Whether any were bought.
    pub has_credits: bool,
    /// Whether they never run out.
    pub unlimited: bool,
    /// What is left, written as upstream does.
    pub balance: String,
}

impl Default for LabCredits {
    fn default() -> Self {
        Self { has_credits: false, unlimited: false, balance: "0".to_owned() }
    }
}

/// The windows of one feature, which limit that feature alone.
#[derive(Debug, Clone, PartialEq)]
pub struct LabFeature {
    /// How upstream calls it for people (`GPT-5.3-Codex-Spark`).
    pub name: String,
    /// How it is metered (`codex_bengalfox`).
    pub metered: String,
    /// Primary first, then secondary; zero to two.
    pub windows: Vec<LabWindow>,
}

/// The APIs that take keys, beside the ChatGPT backend: `/v1/responses`, `/v1/chat/completions`, `/v1/messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabApi {
    /// Good as a bearer; when empty nobody is asked for one.
    pub openai_keys: Vec<String>,
    /// Good in `x-api-key`; when empty nobody is asked for one.
    pub anthropic_keys: Vec<String>,
    /// Further models; the catalogue's and the Claude ones are always there.
    pub models: Vec<String>,
    /// Whether `/v1/responses` is there.
    pub responses: bool,
    /// Whether `/v1/chat/completions` is there.
    pub chat: bool,
    /// Whether `/v1/messages` and its token count are there.
    pub messages: bool,
    /// Whether messages that ask for thinking get some, signed; thinking that was signed elsewhere is refused then.
    pub thinks: bool,
    /// Whether `/v1/models` is there.
    pub lists_models: bool,
    /// Whether `/v1/responses/compact` is there.
    pub compact: bool,
    /// Whether `/v1/embeddings` is there.
    pub embeddings: bool,
    /// Whether `/v1/audio/transcriptions` is there.
    pub audio: bool,
    /// Whether `/v1/images/generations` and `/v1/images/edits` are there.
    pub images: bool,
}

impl Default for LabApi {
    fn default() -> Self {
        Self {
            openai_keys: vec![OPENAI_KEY.to_owned()],
            anthropic_keys: vec![ANTHROPIC_KEY.to_owned()],
            models: Vec::new(),
            responses: true,
            chat: true,
            messages: true,
            thinks: false,
            lists_models: true,
            compact: true,
            embeddings: true,
            audio: true,
            images: true,
        }
    }
}

/// One fake ChatGPT account.
#[derive(Debug, Clone, PartialEq)]
pub struct LabAccount {
    /// `chatgpt_account_id`, sent as the `chatgpt-account-id` header.
    pub workspace_id: String,
    /// `chatgpt_user_id`.
    pub user_id: String,
    /// Obviously fake, under `example.test`.
    pub email: String,
    /// `free`, `plus`, `pro`, `team`, …
    pub plan: String,
    /// Primary first, then secondary; zero to two.
    pub windows: Vec<LabWindow>,
    /// Bought credits.
    pub credits: LabCredits,
    /// Windows of single features.
    pub features: Vec<LabFeature>,
    /// How often the windows may be reset by hand.
    pub reset_credits: u32,
    /// Models this account may use; empty means all of the catalogue.
    pub models: Vec<String>,
}

impl LabAccount {
    /// A fake account named after `name`, with half-empty windows of five hours and a week.
    #[must_use]
    pub fn new(name: &str, plan: &str) -> Self {
        Self {
            workspace_id: format!("acc-lab-{name}"),
            user_id: format!("user-lab-{name}"),
            email: format!("{name}@example.test"),
            plan: plan.to_owned(),
            windows: vec![
                LabWindow::new(FIVE_HOURS, 0.0, FIVE_HOURS),
                LabWindow::new(WEEK, 0.0, WEEK).filling(0.1),
            ],
            credits: LabCredits::default(),
            features: Vec::new(),
            reset_credits: 0,
            models: Vec::new(),
        }
    }

    /// The same account with other windows.
    #[must_use]
    pub fn with_windows(mut self, windows: impl IntoIterator<Item = LabWindow>) -> Self {
        self.windows = windows.into_iter().collect();
        self
    }
}

/// What `response.completed` says in `response.output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletedOutput {
    /// Every item of the turn.
    Full,
    /// An empty list, as the real backend sometimes answers with `store: false`.
    Empty,
}

/// Everything that shapes a lab.
#[derive(Debug, Clone)]
pub struct LabConfig {
    /// The accounts; an account's index is its place here.
    pub accounts: Vec<LabAccount>,
    /// Drives token expiry and windows.
    pub clock: LabClock,
    /// Goes into every id, so that two labs in one test do not hand out the same ones.
    pub seed: u32,
    /// How long an access token lives.
    pub access_token_lifetime: Duration,
    /// For this long after a rotation the spent refresh token is answered with the same new tokens again.
    /// Zero, the default, is the strict rule: a second use is reuse.
    pub reuse_leeway: Duration,
    /// Whether a detected reuse also kills the tokens that descend from the reused one.
    pub revoke_family_on_reuse: bool,
    /// What the last event lists as output.
    pub completed_output: CompletedOutput,
    /// The APIs that take keys.
    pub api: LabApi,
    /// Whether the device flow is offered; 404 otherwise.
    pub device_flow: bool,
    /// How often a device sign-in may be asked about, in seconds; 5 upstream.
    pub device_interval: u32,
    /// Whether polling a device sign-in faster than its interval (by the lab's clock) is answered `slow_down`.
    pub device_slow_down: bool,
    /// Whether a turn starts with a reasoning item.
    pub reasoning: bool,
    /// Whether a turn starts with a `codex.rate_limits` event.
    pub rate_limits_event: bool,
    /// Whether `instructions` must be present, as older backends demand.
    pub require_instructions: bool,
    /// Whether encrypted reasoning of another account is refused.
    pub bind_encrypted_content: bool,
    /// Refuse bodies whose estimated tokens exceed this.
    pub context_window: Option<u64>,
    /// What `wham/accounts/check` names as the backend. The real one names itself, and a Codex that reaches the lab
    /// over plain HTTP accepts just that: `NO_CONSTRAINT` makes it insist on HTTPS.
    pub workspace_backend_origin: String,
    /// How many requests the log keeps; zero turns it off.
    pub request_log: usize,
    /// Larger bodies are answered 413.
    pub max_body_bytes: usize,
    /// Whether `GET /codex/responses` can be upgraded to a WebSocket; answered 426 otherwise.
    pub sockets: bool,
    /// Answer `/codex/responses` from precomputed bytes: no log, no faults, no validation, windows stand still.
    pub canned_bench: bool,
}

impl LabConfig {
    /// A strict backend with these accounts on this clock.
    #[must_use]
    pub fn new(accounts: Vec<LabAccount>, clock: LabClock) -> Self {
        Self {
            accounts,
            clock,
            seed: 1,
            access_token_lifetime: Duration::from_hours(1),
            reuse_leeway: Duration::ZERO,
            revoke_family_on_reuse: false,
            completed_output: CompletedOutput::Full,
            api: LabApi::default(),
            device_flow: true,
            device_interval: 5,
            device_slow_down: false,
            reasoning: true,
            rate_limits_event: false,
            require_instructions: false,
            bind_encrypted_content: false,
            context_window: None,
            workspace_backend_origin: "https://chatgpt.com".to_owned(),
            request_log: 1024,
            max_body_bytes: 128 * 1024 * 1024,
            sockets: false,
            canned_bench: false,
        }
    }

    /// Three accounts with different plans and quotas, on the machine's clock: what `serve --demo` shows.
    #[must_use]
    pub fn demo() -> Self {
        let hours = |h: u64| h * 3600;
        let accounts = vec![
            LabAccount::new("ada", "plus").with_windows([
                LabWindow::new(FIVE_HOURS, 62.0, hours(2)).filling(1.5),
                LabWindow::new(WEEK, 35.0, hours(70)).filling(0.4),
            ]),
            LabAccount::new("grace", "pro").with_windows([
                LabWindow::new(FIVE_HOURS, 8.0, hours(4)).filling(0.3),
                LabWindow::new(WEEK, 21.0, hours(110)).filling(0.1),
            ]),
            LabAccount::new("team", "team").with_windows([
                LabWindow::new(FIVE_HOURS, 90.0, hours(1)).filling(2.0),
                LabWindow::new(WEEK, 74.0, hours(20)).filling(0.5),
            ]),
        ];
        Self::new(accounts, LabClock::real())
    }

    /// The demo's accounts in the form the benchmark needs: fast, unlogged, never full.
    #[must_use]
    pub fn bench() -> Self {
        Self { canned_bench: true, request_log: 0, ..Self::demo() }
    }
}
