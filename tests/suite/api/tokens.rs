//! Tokens that end, are refused, or are dead: each rotation happens once, whoever needs it, and nobody but the owner of
//! a dead account notices.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use gateway_domain::AccountState;
use gateway_lab::{
    ERROR_BODIES, ErrorPlace, Fault, FaultRule, Lab, LabAccount, LabClock, LabConfig, Route, Stall,
};
use gateway_scheduler::Availability;
use serde_json::json;
use switchyard_tests::{Admin, Answer, InProcess, eventually, turn};

use super::{NOW, lab, still_serves};

/// Long enough that requests pile up behind a rotation.
const SLOW_ISSUER: Duration = Duration::from_millis(200);

/// Sends this many turns at once; all must be served.
async fn crowd(gateway: &InProcess, size: usize) -> Result<()> {
    let body = turn("hello");
    let answers = join_all((0..size).map(|_| gateway.ask(&body))).await;
    for answer in answers {
        let answer = answer?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    }
    Ok(())
}

fn refreshes(lab: &Lab, account: usize) -> Result<u64> {
    let stats = lab.tokens(account).context("no such account")?;
    ensure!(stats.reuse_detections == 0, "a spent refresh token was used again");
    Ok(stats.refreshes)
}

fn slow_issuer(lab: &Lab) {
    lab.script(FaultRule::new(Fault::StallBeforeHeaders(Stall::For(SLOW_ISSUER))).on(Route::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_soon_is_renewed_once_without_anybody_waiting() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    slow_issuer(&gateway.lab);
    gateway.lab.advance(Duration::from_secs(3_600 - 120));
    crowd(&gateway, 50).await?;
    eventually("the token is renewed", async || Ok((refreshes(&gateway.lab, 0)? > 0).then_some(()))).await?;
    crowd(&gateway, 50).await?;
    assert_eq!(refreshes(&gateway.lab, 0)?, 1);
    gateway.stop().await
}

/// Whoever only looks at tokens that end soon (quota polls of a large pool do) sets off a few rotations, not one for each.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_large_pool_that_end_together_are_renewed_a_few_at_a_time() -> Result<()> {
    const ACCOUNTS: usize = 40;
    let accounts = (0..ACCOUNTS).map(|nth| LabAccount::new(&format!("user-{nth}"), "plus")).collect();
    let gateway = InProcess::start(LabConfig::new(accounts, LabClock::fixed(NOW))).await?;
    let never = Fault::StallBeforeHeaders(Stall::For(Duration::from_secs(20)));
    let stalled = gateway.lab.script(FaultRule::new(never).on(Route::Token));
    gateway.lab.advance(Duration::from_secs(3_600 - 120));
    let inner = gateway.running.gateway.clone();
    let look = async || -> Result<()> {
        for id in inner.accounts().keys() {
            let token = inner.keeper().token(id, inner.now()).await?;
            ensure!(!token.token.expose().is_empty(), "it is still good");
        }
        Ok(())
    };
    look().await?;
    eventually("the first are asked for", async || {
        look().await?;
        Ok((gateway.lab.fired(stalled) >= 4).then_some(()))
    })
    .await?;
    for _ in 0..20 {
        crowd(&gateway, 4).await?;
        look().await?;
    }
    // Those that were looked at, and the background's own.
    assert!(gateway.lab.fired(stalled) <= 8, "{} at once", gateway.lab.fired(stalled));
    gateway.lab.unscript(stalled);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ended_is_renewed_once_and_everybody_waits_for_it() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    slow_issuer(&gateway.lab);
    gateway.lab.advance(Duration::from_hours(2));
    crowd(&gateway, 50).await?;
    assert_eq!(refreshes(&gateway.lab, 0)?, 1);
    let refused = gateway.lab.requests().iter().filter(|seen| seen.status == Some(401)).count();
    assert_eq!(refused, 0, "an ended token is never sent");
    gateway.stop().await
}

/// Nobody has to ask: an idle gateway keeps its tokens fresh.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_in_the_background() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    gateway.lab.advance(Duration::from_secs(3_600 - 240));
    eventually("all tokens are renewed", async || {
        let renewed: Result<Vec<u64>> = (0..3).map(|account| refreshes(&gateway.lab, account)).collect();
        Ok((renewed? == [1, 1, 1]).then_some(()))
    })
    .await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_and_the_same_account_serves() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    slow_issuer(&gateway.lab);
    for round in 1..=3 {
        for account in 0..2 {
            gateway.lab.expire_access_tokens(account);
        }
        let body = turn("hello");
        let answers = join_all((0..20).map(|_| gateway.ask(&body))).await;
        for answer in answers {
            let answer = answer?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
            assert_eq!(gateway.decision(&answer.headers)?.attempts.len(), 1, "no other account was needed");
        }
        for account in 0..2 {
            assert_eq!(refreshes(&gateway.lab, account)?, round, "account {account}");
        }
    }
    gateway.stop().await
}

/// An account whose tokens are refused however fresh they are does not take the others with it.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_stays_refused_is_left_alone() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    gateway.lab.script(FaultRule::new(Fault::Unauthorized401).on(Route::Responses).account(0));
    for _ in 0..6 {
        crowd(&gateway, 1).await?;
    }
    assert_eq!(refreshes(&gateway.lab, 0)?, 1, "renewed once, then left alone");
    assert_eq!(refreshes(&gateway.lab, 1)?, 0);
    gateway.stop().await
}

/// What the issuer may say to a rotation, and whether the account is dead by that.
const ISSUER_SAYS: &[(&str, bool)] = &[
    ("refresh_token_reused", true),
    ("refresh_token_expired", true),
    ("refresh_token_invalidated", true),
    ("invalid_refresh_token", true),
    ("invalid_grant", true),
    ("invalid_client", true),
    ("unauthorized_client", true),
    ("access_denied", true),
    ("token_error_code_form", true),
    ("token_code_form", true),
    ("unsupported_grant_type", false),
    ("token_rate_limited", false),
    ("token_server_error", false),
    ("token_unavailable_html", false),
    ("token_bad_gateway_empty", false),
    ("token_cloudflare_challenge", false),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_issuer_says_decides_whether_an_account_is_dead() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    for row in ERROR_BODIES.iter().filter(|row| row.place == ErrorPlace::Token) {
        let known = ISSUER_SAYS.iter().find(|(name, _)| *name == row.name);
        let (_, dead) = known.with_context(|| format!("{} has no meaning yet", row.name))?;
        gateway.lab.script(FaultRule::new(*row).on(Route::Token).account(0));
        gateway.lab.advance(Duration::from_hours(2));
        // The other account serves, whatever becomes of this one.
        crowd(&gateway, 4).await.context(row.name)?;
        // Whether the crowd came to it or not: its tokens are to be rotated now, and what comes of it is looked at below.
        let known = gateway.running.gateway.accounts();
        let ada =
            known.values().find(|account| account.name == "ada@example.test").context("no such account")?;
        drop(gateway.running.gateway.refresh_account(&ada.id).await);
        let state = state_of(&admin, "ada@example.test").await?;
        assert_eq!(state == "sign_in_needed", *dead, "{}: {state}", row.name);
        gateway.lab.clear_faults();
        if *dead {
            gateway.import(0).await?;
        }
        // Its cooldown ends, and it is as good as before.
        gateway.lab.advance(Duration::from_secs(90));
        each_serves(&gateway).await.context(row.name)?;
    }
    gateway.stop().await
}

async fn state_of(admin: &Admin, name: &str) -> Result<String> {
    let accounts: Vec<gateway_api::AccountView> = serde_json::from_value(admin.get("/accounts").await?)?;
    let found = accounts.into_iter().find(|account| account.name == name).context("no such account")?;
    let reason_matters = found.state == gateway_api::AccountStateView::SignInNeeded;
    ensure!(!reason_matters || found.state_reason.is_some_and(|reason| reason.contains("auth.json")));
    Ok(serde_json::to_value(found.state)?.as_str().unwrap_or_default().to_owned())
}

/// That each account can serve when it is the only one.
async fn each_serves(gateway: &InProcess) -> Result<()> {
    let inner = &gateway.running.gateway;
    let all: Vec<_> = inner.accounts().keys().cloned().collect();
    for wanted in &all {
        for id in &all {
            let state = if id == wanted { AccountState::Active } else { AccountState::Paused };
            inner.set_account_state(id, state).await?;
        }
        crowd(gateway, 1).await.with_context(|| format!("{wanted} alone"))?;
    }
    for id in &all {
        inner.set_account_state(id, AccountState::Active).await?;
    }
    Ok(())
}

/// The upstream declares the sign-in over while the token looked good.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_account_waits_for_its_owner_and_says_so() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    gateway.lab.revoke(0);
    for _ in 0..4 {
        crowd(&gateway, 1).await?;
    }
    assert_eq!(state_of(&admin, "ada@example.test").await?, "sign_in_needed");
    assert_eq!(refreshes(&gateway.lab, 0)?, 0, "a dead sign-in is not renewed");
    // It is remembered across a restart, and a new sign-in mends it.
    let gateway = gateway.restarted().await?;
    let waiting = |slot: &gateway_scheduler::Slot| matches!(slot.availability, Availability::SignInNeeded(_));
    assert_eq!(
        gateway.running.gateway.with_pool(|pool| pool.members().filter(|slot| waiting(slot)).count()),
        1
    );
    gateway.import(0).await?;
    each_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_every_account_is_dead_the_caller_is_told_to_sign_in() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    gateway.lab.revoke(0);
    gateway.lab.revoke(1);
    let first = gateway.ask(&turn("x")).await?;
    assert_eq!((first.status, first.error()?.code.as_str()), (503, "account_unauthorized"));
    let next = gateway.ask(&turn("x")).await?;
    assert_eq!((next.status, next.error()?.code.as_str()), (503, "no_account"));
    gateway.import(0).await?;
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// The issuer rotated and its answer was lost on the way. An issuer that forgives gives the same tokens again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_the_issuer_is_asked_for_again() -> Result<()> {
    let config = LabConfig { reuse_leeway: Duration::from_mins(5), ..lab(2) };
    let gateway = InProcess::start(config).await?;
    gateway.lab.script(FaultRule::new(Fault::DropAnswer).on(Route::Token).account(0).once());
    gateway.lab.advance(Duration::from_hours(2));
    for _ in 0..4 {
        crowd(&gateway, 1).await?;
    }
    eventually("the lost tokens are there", async || {
        Ok((gateway.lab.tokens(0).context("no account")?.leeway_replays == 1).then_some(()))
    })
    .await?;
    gateway.lab.advance(Duration::from_secs(90));
    each_serves(&gateway).await?;
    assert_eq!(refreshes(&gateway.lab, 0)?, 1);
    gateway.stop().await
}

/// Two gateways share a database: they share each rotation as well.
#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_on_one_database_rotate_once() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let other = gateway.another().await?;
    let url = format!("http://{}/v1/responses", other.address);
    slow_issuer(&gateway.lab);
    for round in 1..=3 {
        for account in 0..3 {
            gateway.lab.expire_access_tokens(account);
        }
        let body = turn("hello");
        let ask_other = async || {
            let request =
                gateway.http.post(&url).header("content-type", "application/json").body(body.to_string());
            Answer::read(request.send().await?).await
        };
        let (here, there) = tokio::join!(crowd(&gateway, 12), join_all((0..12).map(|_| ask_other())));
        here?;
        for answer in there {
            let answer = answer?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        }
        for account in 0..3 {
            assert_eq!(refreshes(&gateway.lab, account)?, round, "account {account}");
        }
    }
    other.stop().await;
    gateway.stop().await
}

/// An account that is renewed elsewhere (the CLI, another gateway) is picked up without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_from_outside_is_noticed() -> Result<()> {
    let gateway = InProcess::start_empty(lab(1), |_| {}).await?;
    let store = gateway.store().await?;
    let auth = gateway.lab.issue_auth_json(0).context("no account")?;
    let clock = gateway_core::ports::SystemClock;
    gateway_core::accounts::import_auth_json(&*store.accounts(), &clock, &auth.to_string(), Some("mine"))
        .await?;
    store.close().await;
    eventually("the account serves", async || {
        Ok((gateway.ask(&turn("x")).await?.status == 200).then_some(()))
    })
    .await?;
    let answer = gateway.ask(&json!({ "model": "gpt-5.5", "input": "x" })).await?;
    assert_eq!(&*gateway.decision(&answer.headers)?.attempts[0].account_name, "mine");
    gateway.stop().await
}
