//! The gateway goes away and comes back while somebody looks.

use std::time::Duration;

use anyhow::{Context, Result};
use switchyard_tests::{PASSWORD, Spawned};

use super::Site;
use super::page::id;

/// For ten visits; without a connection to spare the browser waits for most of a minute.
const VISITS_TIME: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_gateway_is_noticed_and_so_is_its_return() -> Result<()> {
    let mut site = Site::signed_in().await?;
    site.page.see(".live-dot", "Live").await?;
    assert_eq!(site.page.text(&id("connection-lost")).await?, None);

    site.gateway.kill()?;
    site.page.see(&id("connection-lost"), "Connection lost").await?;
    site.page.see(".live-dot", "Offline").await?;
    // The last picture stays.
    site.page.see_count(&id("account-row"), 3).await?;

    let port = site.gateway.url.rsplit_once(':').context("no port")?.1.parse()?;
    site.gateway = Spawned::serve_on(port, &site.folder.path().join("data"), &["--demo"], &[])?;
    // Sessions do not outlive the gateway; the page finds out by itself.
    site.page.see("h1", "Sign in").await?;
    site.page.see_gone(&id("connection-lost")).await?;
    site.page.sign_in(PASSWORD).await?;
    site.page.see("h1", "Overview").await?;
    site.page.see(".live-dot", "Live").await?;
    site.page.see_count(&id("account-row"), 3).await?;
    site.finish(&["/api/admin/events", "/api/admin/session", "ERR_CONNECTION_REFUSED"]).await
}

/// A browser opens six connections to one address and no more. Pages that were left stay in its memory for a minute,
/// so that going back is quick; a live stream that stays open with them would soon take all of them.
#[tokio::test(flavor = "multi_thread")]
async fn pages_left_behind_keep_no_connection() -> Result<()> {
    let site = Site::signed_in().await?;
    let visits = async {
        for _ in 0..5 {
            for (path, title) in [("/keys", "Client keys"), ("/", "Overview")] {
                site.page.go(path).await?;
                site.page.see("h1", title).await?;
                site.page.see(".live-dot", "Live").await?;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(VISITS_TIME, visits)
        .await
        .context("the gateway became unreachable for the browser")??;
    // Back out of the browser's memory, the picture is live again.
    site.page.browser.client.back().await?;
    site.page.see("h1", "Client keys").await?;
    site.page.see(".live-dot", "Live").await?;
    site.served("hello").await?;
    site.page.click("nav a[href='/']").await?;
    site.page.see_count(&id("decision-row"), 1).await?;
    site.finish(&[]).await
}
