//! Wire shapes of the admin API and of live events, shared by the gateway and the dashboard.
//!
//! Plain data and serde only; builds for wasm32. Times are milliseconds since the Unix epoch, spans are
//! milliseconds, shares run from 0.0 to 1.0, and what is unknown is `null`, never zero.
//! Shapes we own refuse unknown fields where they come in.

mod account_settings;
mod accounts;
mod decisions;
mod extensions;
mod imports;
mod live;
mod replay;
mod session;
mod sign_in;

pub use account_settings::{
    AccountSettingsPatch, AccountSettingsView, AccountTested, AddKeyAccount, EgressView, PinView,
    PreferenceView, ProxyHealthView, ProxyPatch, ProxyTested, ProxyView,
};
pub use accounts::{
    AccountDetail, AccountPatch, AccountStateView, AccountView, AccountsQuery, CooldownView, ImportAccounts,
    ImportOutcome, ImportResult, MAX_ACCOUNTS_PAGE, Redeemed, WindowView,
};
pub use decisions::{
    AttemptView, CandidateView, DecisionSummary, DecisionView, ExtensionActView, PolicyChoice, PolicyView,
    RankingView,
};
pub use extensions::{
    BreakerView, DecidedView, ExtensionChecked, ExtensionDetail, ExtensionHitView, ExtensionPatch,
    ExtensionPlaced, ExtensionRefusedView, ExtensionUpload, ExtensionView, HookCallsView, HookFailureView,
    LendingView, LogLineView, PlaceView, ReleaseView,
};
pub use imports::{
    ExportFormat, ExportRequest, ImportFormat, ImportReport, ImportRequest, ImportRowOutcome, ImportRowView,
    ImportSeat,
};
pub use live::{MAX_OVERVIEW_ACCOUNTS, Overview, PoolTotals, RatePoint, TokenTotals};
pub use replay::{
    CheckStepView, DryRun, DryRunView, PolicyChecked, PolicyDetail, PolicyDraft, ReplayDifferenceView,
    ReplaySideView, ReplayView,
};
pub use session::{
    ClientKeyCreate, ClientKeyCreated, ClientKeyView, Credentials, KeyScopeView, SessionState, SessionView,
};
pub use sign_in::{SignInBegin, SignInCallback, SignInMethod, SignInStage, SignInView};

use serde::{Deserialize, Serialize};

/// Where everything of this API lives.
pub const ADMIN_PREFIX: &str = "/api/admin";

/// The header that every changing request must carry (any value): a page of another origin cannot set it.
pub const CSRF_HEADER: &str = "x-switchyard-admin";

/// What every refused admin call answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// Machine-readable, snake case, stable.
    pub code: String,
    /// For people: what happened and what to do next.
    pub message: String,
    /// The field it is about, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
