//! Every page in both themes and four widths: none may scroll sideways. The pictures are kept in `target/screenshots`,
//! for people to look at.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use gateway_lab::{ErrorBody, Fault, FaultRule, LabConfig, Route};
use serde_json::{Value, json};
use switchyard_tests::{PASSWORD, eventually, repository};

use super::page::{Page, id};
use crate::clients::Rig;

/// A narrow phone, a tablet on end, a laptop, a desk.
const WIDTHS: [u32; 4] = [360, 820, 1280, 1440];
const THEMES: [&str; 2] = ["light", "dark"];

pub(super) struct Tour {
    pub(super) page: Page,
    folder: PathBuf,
}

impl Tour {
    /// With a browser that stands before a gateway.
    pub(super) fn new(page: Page) -> Result<Self> {
        let folder = repository().join("target/screenshots");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { page, folder })
    }

    /// Looks at a page in every way. `ready` is what shows that it is drawn.
    pub(super) async fn visit(&self, name: &str, path: &str, ready: (&str, &str)) -> Result<()> {
        self.page.go(path).await?;
        self.look(name, ready).await
    }

    /// Looks at the page that is shown, without loading it anew.
    pub(super) async fn look(&self, name: &str, ready: (&str, &str)) -> Result<()> {
        for theme in THEMES {
            let media = json!({ "features": [
                { "name": "prefers-color-scheme", "value": theme },
                { "name": "prefers-reduced-motion", "value": "reduce" },
            ]});
            self.page.browser.devtools("Emulation.setEmulatedMedia", media).await?;
            for width in WIDTHS {
                self.page.resize(width, 900).await?;
                self.page.see(ready.0, ready.1).await?;
                self.page.fits_its_width(&format!("{name}, {theme}, {width} px")).await?;
                self.keep(&format!("{name}-{theme}-{width}")).await?;
            }
        }
        Ok(())
    }

    /// A picture of the whole page.
    async fn keep(&self, name: &str) -> Result<()> {
        let size = "return [innerWidth, document.documentElement.scrollHeight]";
        let size = self.page.script(size, Vec::new()).await?;
        let number = |at: usize| u32::try_from(size[at].as_u64().unwrap_or(0));
        self.page.resize(number(0)?, number(1)?.max(900)).await?;
        let picture = self.page.browser.client.screenshot().await?;
        ensure!(picture.starts_with(b"\x89PNG"), "no picture of {name}");
        std::fs::write(self.folder.join(name).with_extension("png"), picture)?;
        Ok(())
    }
}

/// Requests of every kind: served, moved to another account, broken, refused.
async fn traffic(rig: &Rig) -> Result<String> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let send = async |body: Value| -> Result<String> {
        let request = http.post(format!("{}/v1/responses", rig.gateway.url)).body(body.to_string());
        let answer = request.header("content-type", "application/json").send().await?;
        let id = answer.headers().get("x-request-id").context("no id")?.to_str()?.to_owned();
        // Read to its end; a broken one breaks here.
        drop(answer.bytes().await);
        Ok(id)
    };
    let turn = |text: &str| json!({ "model": "gpt-5.5", "input": text, "stream": true });
    for text in ["one", "two", "stream 20 events, pause 10 ms"] {
        send(turn(text)).await?;
    }
    send(json!({ "model": "no-such-model", "input": "x", "stream": true })).await?;
    rig.lab.script(FaultRule::new(Fault::CutAfterEvents(6)).on(Route::Responses).once());
    send(turn("broken")).await?;
    let limit = ErrorBody::named("usage_limit_reached").context("the lab lost a row")?;
    rig.lab.script(FaultRule::new(limit).on(Route::Responses).once());
    send(
        json!({ "model": "gpt-5.5", "input": "moved", "stream": true, "prompt_cache_key": "conversation-7" }),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_every_screen() -> Result<()> {
    let rig = Rig::start_with(LabConfig::demo()).await?;
    let tour = Tour::new(Page::open(&rig.gateway.url).await?)?;
    let page = &tour.page;
    tour.visit("setup", "/", ("h1", "Welcome to Switchyard")).await?;
    page.set_up(PASSWORD).await?;
    page.see_count(&id("window-bar"), 6).await?;
    tour.visit("overview-quiet", "/", (".empty", "No requests yet")).await?;
    tour.visit("keys-empty", "/keys", (".empty", "No keys yet")).await?;

    let request = traffic(&rig).await?;
    page.go("/keys").await?;
    for label in ["anna's laptop", "ci"] {
        page.fill(&id("key-label"), label).await?;
        page.click(&id("key-submit")).await?;
        page.see(&id("key-row"), label).await?;
    }
    tour.keep("key-created-dark-1440").await?;
    tour.visit("overview", "/", (&id("decision-row"), "gpt-5.5")).await?;
    tour.visit("decisions", "/decisions", (&id("decision-row"), "gpt-5.5")).await?;
    tour.visit("decision", &format!("/decisions/{request}"), (&id("decision-sentence"), "after")).await?;
    let cooling = account_named(page, "Cooling").await?;
    tour.visit("account", &format!("/accounts/{cooling}"), (&id("cooldowns"), "Ends")).await?;
    tour.visit("keys", "/keys", (&id("key-row"), "ci")).await?;
    tour.visit("not-found", "/no/such/page", ("h1", "No such page")).await?;
    page.click(&id("sign-out")).await?;
    tour.visit("sign-in", "/", ("h1", "Sign in")).await?;
    tour.page.close(&[]).await?;
    rig.finish().await
}

/// The account whose row says this.
async fn account_named(page: &Page, words: &str) -> Result<String> {
    page.go("/").await?;
    page.see(&id("account-row"), words).await?;
    let find = "return [...document.querySelectorAll('[data-testid=account-row]')]
        .find(row => row.innerText.includes(arguments[0]))?.dataset.accountId ?? null";
    eventually("a row", async || Ok(page.script(find, vec![words.into()]).await?.as_str().map(str::to_owned)))
        .await
}
