//! The gateway goes away and comes back while somebody looks.

use anyhow::{Context, Result};
use switchyard_tests::{PASSWORD, Spawned};

use super::Site;
use super::page::id;

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
