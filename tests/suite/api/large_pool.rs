//! A pool that is larger than the overview: the live event stays small and shows what matters, the list comes in pages,
//! and requests go on meanwhile. What ten thousand accounts cost is measured in `bench`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use gateway_api::{
    AccountView, ImportFormat, ImportRequest, MAX_ACCOUNTS_PAGE, MAX_OVERVIEW_ACCOUNTS, Overview,
};
use gateway_lab::{ErrorBody, FaultRule, Route};
use reqwest::Method;
use serde_json::json;
use switchyard_tests::{Admin, InProcess, turn};

use super::{lab, still_serves};

/// More than two pages, and six times what the overview shows.
const ACCOUNTS: usize = 2 * MAX_ACCOUNTS_PAGE + 200;
/// The most that an overview of any pool takes: some 500 bytes for each account shown.
const MOST_BYTES: usize = 600 * MAX_OVERVIEW_ACCOUNTS;

/// Adds accounts by made-up keys: nobody renews or measures them.
async fn fill(gateway: &InProcess, admin: &Admin) -> Result<()> {
    let mut text = String::new();
    for nth in 0..ACCOUNTS - 1 {
        writeln!(text, "{}made-up-{nth:05}-{}", concat!("sk", "-"), "x".repeat(40))?;
    }
    let request =
        ImportRequest { text, format: ImportFormat::Auto, name: None, dry_run: false, replace: false };
    admin.expect(200, Method::POST, "/accounts/import", Some(&json!(request))).await?;
    gateway.import(0).await
}

async fn page(admin: &Admin, offset: usize, limit: usize) -> Result<Vec<AccountView>> {
    Ok(serde_json::from_value(admin.get(&format!("/accounts?offset={offset}&limit={limit}")).await?)?)
}

/// The first live event.
async fn event(gateway: &InProcess, admin: &Admin) -> Result<String> {
    let request = gateway.http.get(format!("{}/api/admin/events", gateway.url));
    let mut chunks = request.header("cookie", &admin.cookie).send().await?.bytes_stream();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&chunks.next().await.context("the events end")??)?);
    }
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_pool_is_shown_in_parts_and_listed_in_pages() -> Result<()> {
    let gateway = InProcess::start_empty(lab(1), |_| {}).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    fill(&gateway, &admin).await?;

    let all: Vec<AccountView> = serde_json::from_value(admin.get("/accounts").await?)?;
    assert_eq!(all.len(), ACCOUNTS);
    assert!(all.is_sorted_by(|a, b| (&a.name, &a.id) < (&b.name, &b.id)), "by name");
    let mut paged = Vec::new();
    for offset in [0, MAX_ACCOUNTS_PAGE, 2 * MAX_ACCOUNTS_PAGE, 3 * MAX_ACCOUNTS_PAGE] {
        // More than a page holds is not given.
        paged.push(page(&admin, offset, 10 * MAX_ACCOUNTS_PAGE).await?);
    }
    assert_eq!(
        paged.iter().map(Vec::len).collect::<Vec<_>>(),
        [MAX_ACCOUNTS_PAGE, MAX_ACCOUNTS_PAGE, 200, 0]
    );
    let ids = |rows: &[AccountView]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&paged.concat()), ids(&all));
    assert_eq!(admin.call(Method::GET, "/accounts?page=2", None).await?.status, 400);

    // One is in trouble, one is pinned; both must be among the few.
    let served = all.iter().find(|row| row.email.is_some()).context("no account of the lab's")?;
    let pinned = all.iter().rfind(|row| row.id != served.id).context("no other account")?;
    let pin = async |id: &str| admin.expect(200, Method::PUT, "/pin", Some(&json!({ "account": id }))).await;
    pin(&served.id).await?;
    still_serves(&gateway).await?;
    let limit = ErrorBody::named("usage_limit_reached").context("no such body")?;
    gateway.lab.script(FaultRule::new(limit).on(Route::Responses));
    assert_ne!(gateway.ask(&turn("hello")).await?.status, 200, "nobody else has a key that opens anything");
    pin(&pinned.id).await?;
    let seen = event(&gateway, &admin).await?;
    ensure!(seen.len() < MOST_BYTES, "the event has {} bytes", seen.len());
    let data = seen.lines().find_map(|line| line.strip_prefix("data: ")).context("no data")?;
    let live: Overview = serde_json::from_str(data)?;
    assert_eq!((live.pool.accounts, live.accounts.len()), (ACCOUNTS, MAX_OVERVIEW_ACCOUNTS));
    assert!(live.pool.serving < ACCOUNTS);
    let shown: BTreeSet<&str> = live.accounts.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(shown.len(), MAX_OVERVIEW_ACCOUNTS, "nobody twice");
    assert!(shown.contains(served.id.as_str()) && shown.contains(pinned.id.as_str()));
    let asked: Overview = serde_json::from_value(admin.get("/overview").await?)?;
    assert_eq!(asked.accounts.len(), MAX_OVERVIEW_ACCOUNTS);

    gateway.stop().await
}
