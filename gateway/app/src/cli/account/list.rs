//! `switchyard account list`.

use gateway_domain::AccountState;

use crate::Settings;
use crate::cli::tell;
use crate::run::open_store;

pub(super) async fn run(settings: &Settings) -> anyhow::Result<()> {
    let store = open_store(settings).await?;
    let accounts = store.accounts().list().await?;
    store.close().await;
    if accounts.is_empty() {
        tell("no account yet; add one with `switchyard account import ~/.codex/auth.json`");
    }
    for stored in accounts {
        let account = stored.account;
        let state = match account.state {
            AccountState::Active => "active".to_owned(),
            AccountState::Paused => "paused".to_owned(),
            AccountState::SignInNeeded { reason } => format!("sign in again ({})", reason.0),
        };
        let plan = account.plan.unwrap_or_else(|| "unknown plan".to_owned());
        tell(&format!("{}  {}  {plan}  {state}", account.id, account.name));
    }
    Ok(())
}
