//! What the gateway does for its accounts while nobody asks: learning whose they are, sharing tokens with a Codex CLI,
//! keeping idle sign-ins alive, testing who comes back, listing models, starting windows, removing old settlements.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_core::co_owned::Shared;
use gateway_core::ports::NewAccount;
use gateway_core::ports::storage::Claim;
use gateway_core::refresh::{Adopted, adopt};
use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountKind, AccountSettings, AccountState, Credentials, Secret,
    Timestamp,
};
use gateway_lab::{ANTHROPIC_KEY, LabConfig, Lifetime, OPENAI_KEY, Route};
use gateway_scheduler::Health;
use serde_json::Value;
use switchyard_tests::{Admin, InProcess, eventually, turn};

use super::{NOW, lab, still_serves};

/// The only account there is.
fn only(gateway: &InProcess) -> Result<Account> {
    gateway.running.gateway.accounts().values().next().cloned().context("no account")
}

async fn account(gateway: &InProcess, id: &AccountId) -> Result<Account> {
    gateway.running.gateway.sync_accounts().await?;
    gateway.running.gateway.accounts().get(id).cloned().context("the account is gone")
}

/// Imports a refresh token of which nothing else is known.
async fn bare(gateway: &InProcess, name: &str) -> Result<AccountId> {
    let tokens = gateway.lab.login(0, Lifetime::Normal).context("no such account")?;
    let new = NewAccount {
        id: AccountId::generate(),
        kind: AccountKind::Codex,
        name: name.to_owned(),
        identity: AccountIdentity::default(),
        plan: None,
        settings: AccountSettings::default(),
        created_at: Timestamp::from_secs(NOW),
    };
    let id = new.id.clone();
    let credentials = Credentials {
        access_token: Secret::from(""),
        refresh_token: Some(Secret::new(tokens.refresh_token)),
        id_token: None,
        expires_at: Some(Timestamp::from_millis(0)),
        refreshed_at: Timestamp::from_secs(NOW),
    };
    let store = gateway.store().await?;
    store.accounts().import(new, credentials).await?;
    store.close().await;
    gateway.running.gateway.sync_accounts().await?;
    Ok(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_refresh_token_learns_whose_it_is_and_a_second_one_of_the_same_seat_is_set_aside() -> Result<()>
{
    let gateway = InProcess::start_empty(lab(1), |_| {}).await?;
    let first = bare(&gateway, "first").await?;
    eventually("it is known whose it is", async || {
        let account = account(&gateway, &first).await?;
        Ok(account.identity.seat().is_some().then_some(()))
    })
    .await?;
    let known = account(&gateway, &first).await?;
    assert_eq!((known.plan.as_deref(), &known.state), (Some("plus"), &AccountState::Active));
    still_serves(&gateway).await?;

    let second = bare(&gateway, "second").await?;
    let reason = eventually("the second one is set aside", async || {
        Ok(match account(&gateway, &second).await?.state {
            AccountState::SignInNeeded { reason } => Some(reason.0),
            _ => None,
        })
    })
    .await?;
    assert_eq!(reason, "seat_of_another_account");
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// Shares the only account's tokens with a file; answers where it is.
async fn share(gateway: &InProcess, text: &str) -> Result<std::path::PathBuf> {
    let path = gateway.folder().join("auth.json");
    std::fs::write(&path, text)?;
    let account = only(gateway)?;
    let settings = AccountSettings { co_owned: Some(path.clone()), ..account.settings };
    gateway.running.gateway.put_account_settings(&account.id, settings).await?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_a_codex_cli_renewed_are_taken_over_and_ours_are_given_back() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let id = only(&gateway)?.id;
    gateway.lab.advance(Duration::from_secs(60));
    let mut auth = gateway.lab.issue_auth_json(0).context("no such account")?;
    auth["kept"] = Value::from("by us");
    let path = share(&gateway, &auth.to_string()).await?;
    // Whoever looks first (the watcher or the rotation) takes the CLI's tokens; none of ours is spent for them.
    gateway.running.gateway.refresh_account(&id).await?;
    let store = gateway.store().await?;
    let (credentials, _) = store.accounts().credentials(&id).await?;
    let theirs = auth["tokens"]["refresh_token"].as_str().context("no refresh token")?;
    let taken = credentials.refresh_token.as_ref().is_some_and(|token| token.expose() == theirs);
    let refreshes = gateway.lab.tokens(0).context("no account")?.refreshes;
    // The watcher may have been quicker, and then the rotation that was asked for spends the CLI's token.
    ensure!(taken == (refreshes == 0), "{refreshes} rotations, taken over: {taken}");
    still_serves(&gateway).await?;

    gateway.lab.advance(Duration::from_secs(60));
    gateway.running.gateway.refresh_account(&id).await?;
    let (credentials, _) = store.accounts().credentials(&id).await?;
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let ours = credentials.refresh_token.context("no refresh token")?;
    assert_eq!(file["tokens"]["refresh_token"].as_str(), Some(ours.expose().as_str()));
    assert_eq!(file["kept"], "by us");
    let stats = gateway.lab.tokens(0).context("no account")?;
    assert_eq!((stats.refreshes, stats.reuse_detections), (refreshes + 1, 0));
    store.close().await;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_shared_file_spends_nothing_and_respects_who_rotates() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let accounts = gateway.running.gateway.accounts();
    let ada = accounts.values().find(|one| one.name.contains("ada")).context("no ada")?.clone();
    let store = gateway.store().await?;
    let clock = gateway_core::ports::SystemClock;
    gateway.lab.advance(Duration::from_secs(60));
    let text = |index| gateway.lab.issue_auth_json(index).map(|auth| Secret::new(auth.to_string()));
    let (hers, other) = (text(0).context("no file")?, text(1).context("no file")?);
    let shared = Shared { path: "/nowhere".into(), identity: ada.identity.clone() };
    let look = |text: Secret| {
        let (store, id, shared) = (store.accounts(), ada.id.clone(), shared.clone());
        async move { adopt(&*store, &clock, &id, &shared, &text).await }
    };
    assert_eq!(look(other).await?, Adopted::NothingNewer, "somebody else's tokens");
    // Somebody rotates (by the machine's clock, as the look does): the file is left for the next time.
    let now = gateway_core::ports::Clock::now(&clock);
    let me = gateway_core::ports::ClaimHolder("me".into());
    let until = now.plus(Duration::from_secs(600));
    let claim = store.accounts().claim_refresh(&ada.id, &me, now, until).await?;
    ensure!(matches!(claim, Claim::Granted { .. }));
    assert_eq!(look(hers.clone()).await?, Adopted::Busy);
    store.accounts().abandon_refresh(&ada.id, &me).await?;
    assert_eq!(look(hers.clone()).await?, Adopted::Newer);
    assert_eq!(look(hers).await?, Adopted::NothingNewer, "they are ours now");
    assert_eq!(gateway.lab.tokens(0).context("no account")?.refreshes, 0);
    still_serves(&gateway).await?;
    store.close().await;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_rest_are_kept_alive_paused_ones_too() -> Result<()> {
    let config = LabConfig { access_token_lifetime: Duration::from_hours(240), ..lab(2) };
    let gateway = InProcess::start(config).await?;
    let paused = only(&gateway)?.id;
    gateway.running.gateway.set_account_state(&paused, AccountState::Paused).await?;
    gateway.lab.advance(Duration::from_hours(11));
    gateway.lab.advance(Duration::from_hours(2));
    eventually("both were rotated", async || {
        let done: Vec<u64> =
            (0..2).filter_map(|at| gateway.lab.tokens(at)).map(|one| one.refreshes).collect();
        Ok((done == [1, 1]).then_some(()))
    })
    .await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_comes_back_to_a_quiet_pool_is_tested_until_it_is_trusted() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let core = gateway.running.gateway.clone();
    let id = only(&gateway)?.id;
    gateway.lab.set_window(0, 0, 100.0);
    let refused = gateway.ask(&turn("hello")).await?;
    ensure!(refused.status == 429, "{}", refused.text());
    gateway.lab.advance(Duration::from_hours(6));
    let now = || core.now();
    let health = || {
        core.with_pool(|pool| {
            pool.find(&id).and_then(|at| pool.slot(at)).map(|slot| slot.health(None, now()))
        })
    };
    eventually("it is trusted again", async || {
        // Tests of one account keep a distance on the clock.
        gateway.lab.advance(Duration::from_secs(30));
        Ok((health() == Some(Health::Healthy)).then_some(()))
    })
    .await?;
    let turns = gateway.lab.requests().iter().filter(|seen| seen.route == Route::Responses).count();
    assert_eq!(turns, 1, "no test cost anything");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_list_names_what_every_upstream_has_in_the_callers_shape() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let settings = serde_json::json!({ "base_url": gateway.lab.openai_url() });
    admin.add_key("anthropic", "claude", ANTHROPIC_KEY, serde_json::json!({})).await?;
    let compatible = admin.add_key("openai-compatible", "local", OPENAI_KEY, settings).await?;
    let get = async |path: &str, anthropic: bool| -> Result<(u16, Value)> {
        let mut request = gateway.http.get(format!("{}{path}", gateway.url));
        if anthropic {
            request = request.header("anthropic-version", "2023-06-01");
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await?)?))
    };
    let owner = |list: &Value, id: &str| -> Option<String> {
        let found = list["data"].as_array()?.iter().find(|model| model["id"] == id)?;
        Some(found["owned_by"].as_str()?.to_owned())
    };
    eventually("all models are listed", async || {
        let (_, list) = get("/v1/models", false).await?;
        let there = owner(&list, "claude-lab-sonnet").as_deref() == Some("anthropic")
            && owner(&list, "gpt-5.5").as_deref() == Some("openai");
        Ok(there.then_some(()))
    })
    .await?;
    let (status, model) = get("/v1/models/claude-lab-sonnet", false).await?;
    assert_eq!((status, model["owned_by"].as_str()), (200, Some("anthropic")));
    let (status, model) = get("/v1/models/gpt-5.5", true).await?;
    assert_eq!((status, model["type"].as_str()), (200, Some("model")));
    let (_, list) = get("/v1/models", true).await?;
    assert_eq!((list["has_more"].as_bool(), list["data"][0]["type"].as_str()), (Some(false), Some("model")));
    let (status, error) = get("/v1/models/nothing", false).await?;
    assert_eq!((status, error["error"]["code"].as_str()), (404, Some("model_not_found")));
    let (status, error) = get("/v1/models/nothing", true).await?;
    assert_eq!(
        (status, error["type"].as_str(), error["error"]["type"].as_str()),
        (404, Some("error"), Some("not_found_error"))
    );
    let compatible = AccountId::parse(&compatible)?;
    eventually("its dialects are remembered", async || {
        Ok((!account(&gateway, &compatible).await?.settings.dialects.is_empty()).then_some(()))
    })
    .await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_has_reset_is_started_with_one_turn_if_the_operator_wants_it() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let core = gateway.running.gateway.clone();
    let account = only(&gateway)?;
    let settings = AccountSettings { warm_up: true, ..account.settings };
    core.put_account_settings(&account.id, settings).await?;
    for index in 0..2 {
        gateway.lab.set_window(index, 0, 100.0);
    }
    eventually("the models are known", async || Ok((!core.catalogue().slugs().is_empty()).then_some(())))
        .await?;
    let turns = || {
        let seen = gateway.lab.requests();
        seen.iter().filter(|seen| seen.route == Route::Responses).map(|seen| seen.account).collect::<Vec<_>>()
    };
    assert_eq!(turns(), [], "nothing is started while it is in use");
    gateway.lab.advance(Duration::from_hours(6));
    let settled = gateway.settlements(1).await?;
    assert_eq!((&*settled[0].client, &*settled[0].outcome), ("warm-up", "completed"));
    assert_eq!(settled[0].account.as_ref(), Some(&account.id));
    assert!(settled[0].usage.is_some());
    // Another round or two pass; the window runs.
    gateway.lab.advance(Duration::from_secs(120));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(turns().len(), 1);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn settlements_are_removed_when_they_are_too_old() -> Result<()> {
    let keep = Some(Duration::from_hours(24 * 7));
    let gateway = InProcess::start_with(lab(1), |settings| settings.keep_settlements = keep).await?;
    still_serves(&gateway).await?;
    assert_eq!(gateway.settlements(1).await?.len(), 1);
    gateway.lab.advance(Duration::from_hours(24 * 8));
    let store = gateway.store().await?;
    eventually("it is gone", async || Ok(store.ledger().newest(10).await?.is_empty().then_some(()))).await?;
    store.close().await;
    gateway.stop().await
}
