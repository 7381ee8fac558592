//! The fault matrix: every error answer that an upstream is known to give, before the first byte and after content, for a
//! stream and for one object, with one account and with three. One line per body, in `table`; this file walks it and
//! prints what differs, line under line.

mod table;

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use gateway_domain::ModelName;
use gateway_lab::{ANTHROPIC_KEY, ErrorBody, Fault, FaultRule, LabApi, LabConfig, OPENAI_KEY, Route};
use gateway_scheduler::{Availability, Slot};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, Ended, InProcess, Speaks};

use super::{lab, quotas_known};
use table::{ANTHROPIC, BACKEND, FIRST, Line, OPENAI};

/// Where content is out already, in every dialect.
const AFTER_CONTENT: usize = 14;

/// Whose errors a walk goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upstream {
    Backend,
    OpenAi,
    Anthropic,
}

impl Upstream {
    const fn client(self) -> Speaks {
        match self {
            Self::Backend => Speaks::Responses,
            Self::OpenAi => Speaks::Chat,
            Self::Anthropic => Speaks::Messages,
        }
    }

    const fn route(self) -> Route {
        match self {
            Self::Backend => Route::Responses,
            Self::OpenAi => Route::ApiChat,
            Self::Anthropic => Route::ApiMessages,
        }
    }

    const fn lines(self) -> &'static [Line] {
        match self {
            Self::Backend => BACKEND,
            Self::OpenAi => OPENAI,
            Self::Anthropic => ANTHROPIC,
        }
    }

    const fn model(self) -> &'static str {
        match self {
            Self::Anthropic => "claude-lab-sonnet",
            _ => "gpt-5.5",
        }
    }
}

/// One gateway whose accounts are all alike.
struct Stand {
    gateway: InProcess,
    admin: Admin,
    upstream: Upstream,
    accounts: usize,
}

impl Stand {
    async fn new(upstream: Upstream, accounts: usize) -> Result<Self> {
        let keys = |first: &str| (0..accounts).map(|nth| format!("{first}-{nth}")).collect();
        let api = LabApi {
            openai_keys: keys(OPENAI_KEY),
            anthropic_keys: keys(ANTHROPIC_KEY),
            ..LabApi::default()
        };
        let gateway = InProcess::start_empty(LabConfig { api, ..lab(accounts) }, |_| {}).await?;
        let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
        let stand = Self { gateway, admin, upstream, accounts };
        stand.sign_in().await?;
        if upstream == Upstream::Backend {
            // Fresh numbers end a usage limit: the first ones must not come between a failure and the look at it.
            quotas_known(&stand.gateway).await?;
        }
        Ok(stand)
    }

    async fn sign_in(&self) -> Result<()> {
        for nth in 0..self.accounts {
            let (kind, key) = match self.upstream {
                Upstream::Backend => {
                    self.gateway.import(nth).await?;
                    continue;
                }
                Upstream::OpenAi => ("openai", OPENAI_KEY),
                Upstream::Anthropic => ("anthropic", ANTHROPIC_KEY),
            };
            self.admin.add_key(kind, &format!("account {nth}"), &format!("{key}-{nth}"), json!({})).await?;
        }
        Ok(())
    }

    async fn ask(&self, stream: bool) -> Result<Answer> {
        let client = self.upstream.client();
        let body = client.question(self.upstream.model(), "stream 20 events", stream).to_string();
        Answer::read(self.gateway.post_to(client.path(), HeaderMap::new(), body).await?).await
    }

    /// Asks once while the fault happens so often; says how often it did.
    async fn ask_under(&self, fault: Fault, times: Option<u32>, stream: bool) -> Result<(Answer, u32)> {
        let rule = FaultRule { times, ..FaultRule::new(fault).on(self.upstream.route()) };
        let rule = self.gateway.lab.script(rule);
        let answer = self.ask(stream).await?;
        let fired = self.gateway.lab.fired(rule);
        self.gateway.lab.unscript(rule);
        Ok((answer, fired))
    }

    /// Status and code, or status and type where errors have no code.
    fn told(&self, answer: &Answer) -> Result<String> {
        let client = self.upstream.client();
        let (kind, _) = client.error(answer)?;
        let code = answer.json()["error"]["code"].as_str().map(str::to_owned).unwrap_or(kind);
        Ok(format!("{} {code}", answer.status))
    }

    /// What is held against each account, the worst first.
    fn held(&self) -> Result<Vec<String>> {
        let inner = &self.gateway.running.gateway;
        let (now, model) = (inner.now(), ModelName::parse(self.upstream.model())?);
        let of = |slot: &Slot| {
            if matches!(slot.availability, Availability::SignInNeeded(_)) {
                return "sign-in".to_owned();
            }
            let Some(cooldown) = slot.cooldown_at(Some(&model), now) else { return "-".to_owned() };
            let reach = if cooldown.model.is_some() { "model" } else { "account" };
            let seconds = now.millis_until(cooldown.until) as f64 / 1000.0;
            format!("{reach} {seconds} s, {}", cooldown.source.label())
        };
        let mut held: Vec<String> = inner.with_pool(|pool| pool.members().map(of).collect());
        held.sort_by(|a, b| (a == "-").cmp(&(b == "-")).then_with(|| b.cmp(a)));
        Ok(held)
    }

    /// As if nothing had happened.
    async fn recover(&self) -> Result<()> {
        let inner = &self.gateway.running.gateway;
        let dead = self.held()?.contains(&"sign-in".to_owned());
        if dead && self.upstream == Upstream::Backend {
            self.sign_in().await?;
        } else if dead {
            let ids: Vec<_> = inner.accounts().keys().cloned().collect();
            for id in ids {
                self.admin.call(reqwest::Method::DELETE, &format!("/accounts/{id}"), None).await?;
            }
            self.sign_in().await?;
        }
        for id in inner.accounts().keys() {
            inner.clear_cooldowns(id)?;
        }
        ensure!(self.held()?.iter().all(|held| held == "-"), "{:?}", self.held()?);
        Ok(())
    }
}

/// What was seen of one body; the cells of its line.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    told: String,
    then: String,
    held: String,
    first: String,
    after: String,
}

impl Seen {
    fn line(&self, name: &str) -> String {
        let Self { told, then, held, first, after } = self;
        format!("{name:34} | {told:32} | {then:6} | {held:30} | {first:32} | {after}")
    }
}

/// Several looks at the same thing must agree.
fn agree(looks: &[String]) -> String {
    match looks {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => first.clone(),
        _ => looks.join(" / "),
    }
}

/// The whole pool fails in this way: what the caller is told, and what is held against every account.
async fn nobody_can(stand: &Stand, row: ErrorBody) -> Result<(String, String)> {
    let (mut told, mut held) = (Vec::new(), Vec::new());
    for stream in [true, false] {
        let (answer, _) = stand.ask_under(row.into(), None, stream).await?;
        told.push(stand.told(&answer)?);
        held.extend(stand.held()?);
        stand.recover().await?;
    }
    // A request's own fault is told by the first account; the others were not asked and hold nothing.
    Ok((agree(&told), agree(&held)))
}

/// One account fails once: whether another one serves, or the same one with a new token.
async fn what_then(stand: &Stand, row: ErrorBody, told: &str) -> Result<String> {
    let mut then = Vec::new();
    for stream in [true, false] {
        let (answer, fired) = stand.ask_under(row.into(), Some(1), stream).await?;
        ensure!(fired == 1, "it happened {fired} times");
        let attempts = stand.gateway.decision(&answer.headers)?.attempts;
        let accounts = attempts.len();
        then.push(if answer.status == 200 {
            let heard = stand.upstream.client().hear(&answer)?;
            ensure!(heard.ended == Ended::Well && heard.text.ends_with("tick 20 "), "{heard:?}");
            if accounts == 1 { "renews" } else { "moves" }.to_owned()
        } else {
            ensure!(stand.told(&answer)? == told, "told otherwise: {}", stand.told(&answer)?);
            "stays".to_owned()
        });
        let others = stand.held()?.split_off(1);
        ensure!(others.iter().all(|held| held == "-"), "held against those who did nothing: {others:?}");
        stand.recover().await?;
    }
    Ok(agree(&then))
}

/// The code and the message of a body, as they come in an event.
fn in_an_event(row: &ErrorBody, now: i64) -> Option<(String, String)> {
    let body: Value = serde_json::from_str(&row.render(now)).ok()?;
    let error = body.get("error").filter(|error| error.is_object())?;
    let text = |name: &str| error[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some((text("code").or_else(|| text("type"))?, text("message")?))
}

/// The same trouble as the first event of a stream, before anything went out: what the caller is told when nobody can
/// do better.
async fn as_first_event(stand: &Stand, row: ErrorBody) -> Result<String> {
    let Some((code, message)) = in_an_event(&row, super::NOW) else { return Ok("cannot be".to_owned()) };
    let mut told = Vec::new();
    // Only the backend answers in events whatever was asked for.
    let asks: &[bool] = if stand.upstream == Upstream::Backend { &[true, false] } else { &[true] };
    for stream in asks.iter().copied() {
        let fault = Fault::FailedEvent { code: code.clone(), message: message.clone(), after_events: 0 };
        let (answer, _) = stand.ask_under(fault, None, stream).await?;
        told.push(stand.told(&answer)?);
        stand.recover().await?;
    }
    Ok(agree(&told))
}

/// The same trouble after content: nothing is tried again, the failure is the last event, and what is held against the
/// account. Rows without a code cannot come in an event.
async fn after_content(stand: &Stand, row: ErrorBody) -> Result<String> {
    let Some((code, message)) = in_an_event(&row, super::NOW) else { return Ok("cannot be".to_owned()) };
    let fault =
        Fault::FailedEvent { code: code.clone(), message: message.clone(), after_events: AFTER_CONTENT };
    let (answer, fired) = stand.ask_under(fault, None, true).await?;
    ensure!(fired == 1, "after content it was sent {fired} times");
    let heard = stand.upstream.client().hear(&answer)?;
    ensure!(heard.text.starts_with("tick 1 "), "{heard:?}");
    let Ended::Failed(error) = &heard.ended else { anyhow::bail!("it ends as if it were whole: {heard:?}") };
    let name = if stand.upstream == Upstream::Anthropic { "type" } else { "code" };
    ensure!(error[name] == code.as_str() && error["message"] == message.as_str(), "{error}");
    let decision = stand.gateway.decision(&answer.headers)?;
    ensure!(decision.attempts.len() == 1 && decision.outcome.label() != "completed", "{decision:?}");
    let held = stand.held()?;
    ensure!(held.iter().skip(1).all(|held| held == "-"), "held against the others: {held:?}");
    stand.recover().await?;
    Ok(held.into_iter().next().unwrap_or_default())
}

/// Walks all lines; every difference is told at the end, as lines of the table.
async fn walk(upstream: Upstream, accounts: usize) -> Result<()> {
    let stand = Stand::new(upstream, accounts).await?;
    let mut differences = String::new();
    for line in upstream.lines() {
        let row = ErrorBody::named(line.name).with_context(|| format!("no body is called {}", line.name))?;
        let wanted = Seen {
            told: line.told.to_owned(),
            then: line.then.to_owned(),
            held: line.held.to_owned(),
            first: first(line).to_owned(),
            after: line.after.to_owned(),
        };
        let found = look(&stand, row, &wanted).await.with_context(|| line.name)?;
        if found != wanted {
            writeln!(differences, "wanted {}\nfound  {}", wanted.line(line.name), found.line(line.name))?;
        }
    }
    ensure!(differences.is_empty(), "{upstream:?}, {accounts} account(s):\n{differences}");
    stand.gateway.stop().await
}

async fn look(stand: &Stand, row: ErrorBody, wanted: &Seen) -> Result<Seen> {
    let (told, held) = nobody_can(stand, row).await.context("before the first byte")?;
    // One account cannot move.
    let then = match stand.accounts {
        1 => wanted.then.clone(),
        _ => what_then(stand, row, &told).await.context("once")?,
    };
    let first = as_first_event(stand, row).await.context("as the first event")?;
    let after = after_content(stand, row).await.context("after content")?;
    Ok(Seen { told, then, held, first, after })
}

/// What a line wants told of its body as the first event.
fn first(line: &Line) -> &str {
    let otherwise = FIRST.iter().find(|(name, _)| *name == line.name).map(|(_, told)| *told);
    otherwise.unwrap_or(if line.after == "cannot be" { "cannot be" } else { line.told })
}

#[test]
fn every_body_has_its_line() {
    use gateway_lab::{API_ERROR_BODIES, ERROR_BODIES, ErrorPlace};
    for row in ERROR_BODIES.iter().chain(API_ERROR_BODIES) {
        let lines = match row.place {
            ErrorPlace::Backend => BACKEND,
            ErrorPlace::OpenAi => OPENAI,
            ErrorPlace::Anthropic => ANTHROPIC,
            // Rotations have a table of their own, in `tokens`.
            ErrorPlace::Token => continue,
        };
        let count = lines.iter().filter(|line| line.name == row.name).count();
        assert_eq!(count, 1, "{} has {count} lines", row.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backends_errors_with_one_account() -> Result<()> {
    walk(Upstream::Backend, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backends_errors_with_three_accounts() -> Result<()> {
    walk(Upstream::Backend, 3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_errors_with_one_account() -> Result<()> {
    walk(Upstream::OpenAi, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_errors_with_three_accounts() -> Result<()> {
    walk(Upstream::OpenAi, 3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropics_errors_with_one_account() -> Result<()> {
    walk(Upstream::Anthropic, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropics_errors_with_three_accounts() -> Result<()> {
    walk(Upstream::Anthropic, 3).await
}
