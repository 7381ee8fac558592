//! What a visitor does and sees. Everything waits for its moment, because the pages redraw themselves while one looks.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fantoccini::Locator;
use fantoccini::elements::Element;
use serde_json::{Value, json};
use switchyard_tests::eventually;

use super::chromium::Chromium;

/// How often a page is measured before it counts as too wide, and the pause between.
const LAYOUTS: u32 = 10;
const LAYOUT_TIME: Duration = Duration::from_millis(100);

/// An element by its `data-testid`.
pub(super) fn id(testid: &str) -> String {
    format!("[data-testid=\"{testid}\"]")
}

/// A tab with the dashboard.
pub(super) struct Page {
    pub(super) browser: Chromium,
    base: String,
}

impl Page {
    /// Opens the dashboard of a gateway in a fresh browser.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let page = Self { browser: Chromium::start().await?, base: url.to_owned() };
        // As on a phone: they lie over the page and take no room.
        page.browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await?;
        page.go("/").await?;
        Ok(page)
    }

    /// Loads a path anew.
    pub(super) async fn go(&self, path: &str) -> Result<()> {
        self.browser.client.goto(&format!("{}{path}", self.base)).await?;
        Ok(())
    }

    /// Sets the first password.
    pub(super) async fn set_up(&self, password: &str) -> Result<()> {
        self.fill(&id("setup-password"), password).await?;
        self.click(&id("setup-submit")).await
    }

    /// Signs in.
    pub(super) async fn sign_in(&self, password: &str) -> Result<()> {
        self.fill(&id("login-password"), password).await?;
        self.click(&id("login-submit")).await
    }

    /// Runs a function body with arguments in the page.
    pub(super) async fn script(&self, body: &str, arguments: Vec<Value>) -> Result<Value> {
        Ok(self.browser.client.execute(body, arguments).await?)
    }

    /// The texts of all elements that fit, as shown.
    pub(super) async fn texts(&self, css: &str) -> Result<Vec<String>> {
        let texts = "return [...document.querySelectorAll(arguments[0])].map(one => one.innerText)";
        Ok(serde_json::from_value(self.script(texts, vec![json!(css)]).await?)?)
    }

    /// The text of the first element that fits, if there is one.
    pub(super) async fn text(&self, css: &str) -> Result<Option<String>> {
        Ok(self.texts(css).await?.into_iter().next())
    }

    /// An attribute of the first element that fits.
    pub(super) async fn attribute(&self, css: &str, name: &str) -> Result<Option<String>> {
        let get = "return document.querySelector(arguments[0])?.getAttribute(arguments[1]) ?? null";
        Ok(serde_json::from_value(self.script(get, vec![json!(css), json!(name)]).await?)?)
    }

    /// Waits until an element that fits contains the words; returns its whole text.
    pub(super) async fn see(&self, css: &str, words: &str) -> Result<String> {
        let what = format!("{words:?} in {css}");
        let seen = eventually(&what, async || {
            Ok(self.texts(css).await?.into_iter().find(|text| text.contains(words)))
        });
        match seen.await {
            Ok(text) => Ok(text),
            Err(error) => Err(error.context(format!("the page shows: {}", self.body().await))),
        }
    }

    /// Waits until this many elements fit.
    pub(super) async fn see_count(&self, css: &str, count: usize) -> Result<()> {
        let what = format!("{count} of {css}");
        let seen =
            eventually(&what, async || Ok((self.texts(css).await?.len() == count).then_some(()))).await;
        match seen {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(format!("the page shows: {}", self.body().await))),
        }
    }

    /// Waits until no element fits.
    pub(super) async fn see_gone(&self, css: &str) -> Result<()> {
        self.see_count(css, 0).await
    }

    async fn body(&self) -> String {
        self.text("body").await.ok().flatten().unwrap_or_default()
    }

    /// Finds an element and does something with it; again when it was redrawn in between.
    async fn with(&self, css: &str, act: impl AsyncFn(Element) -> Result<()>) -> Result<()> {
        let mut last = None;
        let what = format!("acting on {css}");
        let done = eventually(&what, async || {
            let acted = match self.browser.client.find(Locator::Css(css)).await {
                Ok(element) => act(element).await,
                Err(error) => Err(error.into()),
            };
            Ok(acted.map_err(|error| last = Some(error)).ok())
        })
        .await;
        match (done, last) {
            (Err(error), Some(last)) => {
                Err(error.context(format!("{last:#}; the page shows: {}", self.body().await)))
            }
            (done, _) => done,
        }
    }

    /// Clicks, in the middle of the screen: the header lies over the top of it.
    pub(super) async fn click(&self, css: &str) -> Result<()> {
        let centre = "document.querySelector(arguments[0])?.scrollIntoView({ block: 'center' })";
        self.with(css, async |element| {
            self.script(centre, vec![json!(css)]).await?;
            Ok(element.click().await?)
        })
        .await
    }

    /// Clears a field and types.
    pub(super) async fn fill(&self, css: &str, text: &str) -> Result<()> {
        self.with(css, async |element| {
            element.clear().await?;
            Ok(element.send_keys(text).await?)
        })
        .await
    }

    /// Gives files to a file input: their paths, one a line.
    pub(super) async fn give(&self, css: &str, paths: &str) -> Result<()> {
        self.with(css, async |element| Ok(element.send_keys(paths).await?)).await
    }

    /// What is saved goes there, without a question.
    pub(super) async fn save_downloads_in(&self, folder: &std::path::Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        let behaviour = json!({ "behavior": "allow", "downloadPath": folder.display().to_string() });
        self.browser.devtools("Browser.setDownloadBehavior", behaviour).await?;
        Ok(())
    }

    /// Chooses an option of a list by its value.
    pub(super) async fn choose(&self, css: &str, value: &str) -> Result<()> {
        self.with(css, async |element| Ok(element.select_by_value(value).await?)).await
    }

    /// Presses keys where the focus is.
    pub(super) async fn press(&self, keys: &str) -> Result<()> {
        let focused = self.browser.client.active_element().await?;
        Ok(focused.send_keys(keys).await?)
    }

    /// Makes the screen this large.
    pub(super) async fn resize(&self, width: u32, height: u32) -> Result<()> {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.browser.devtools("Emulation.setDeviceMetricsOverride", screen).await?;
        // Not only the size has to be the new one; the page must have been drawn in it.
        let drawn = "
            const done = arguments[0];
            requestAnimationFrame(() => requestAnimationFrame(() => done([innerWidth, innerHeight])))";
        eventually("the new size", async || {
            let size = self.browser.client.execute_async(drawn, Vec::new()).await?;
            Ok((size == json!([width, height])).then_some(()))
        })
        .await
    }

    /// Fails when the page scrolls sideways, or when something sticks out to the right, cut off.
    pub(super) async fn fits_its_width(&self, what: &str) -> Result<()> {
        let measure = "
            const root = document.documentElement;
            const wide = [...document.querySelectorAll('body *')]
                .filter(one => one.getBoundingClientRect().right > root.clientWidth + 1)
                .filter(one => !one.closest('.visually-hidden'))
                .map(one => one.tagName + '.' + one.getAttribute('class')).slice(0, 5);
            return [root.scrollWidth, root.clientWidth, wide]";
        let mut measured = json!([]);
        // A screen that was just made smaller may be laid out once more by the rules for the size it had.
        for _ in 0..LAYOUTS {
            measured = self.script(measure, Vec::new()).await?;
            let (whole, screen) = (measured[0].as_u64(), measured[1].as_u64());
            let is_cut = measured[2].as_array().is_none_or(|wide| !wide.is_empty());
            if whole.is_some() && whole <= screen && !is_cut {
                return Ok(());
            }
            tokio::time::sleep(LAYOUT_TIME).await;
        }
        bail!("{what} is wider than the screen: {measured}")
    }

    /// Fails on anything that the console complained about, and ends the browser.
    pub(super) async fn close(self, expected: &[&str]) -> Result<()> {
        let bad = |(level, message): &(String, String)| {
            let is_expected = expected.iter().any(|part| message.contains(part));
            matches!(level.as_str(), "SEVERE" | "WARNING") && !is_expected
        };
        let complaints = self.browser.console().await.context("read the console")?;
        let complaints: Vec<_> = complaints.into_iter().filter(bad).collect();
        ensure!(complaints.is_empty(), "the console says: {complaints:#?}");
        Ok(())
    }
}
