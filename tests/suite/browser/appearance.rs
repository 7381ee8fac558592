//! Light and dark.

use anyhow::{Context, Result};
use serde_json::json;

use super::Site;
use super::page::{Page, id};

/// How light the page's ground is, from 0 to 1.
async fn lightness(page: &Page) -> Result<f64> {
    let look = "
        const canvas = document.createElement('canvas').getContext('2d');
        canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
        return (red + green + blue) / 765";
    page.script(look, Vec::new()).await?.as_f64().context("no colour")
}

async fn choose(page: &Page, theme: &str) -> Result<()> {
    for _ in 0..3 {
        let chosen = page.attribute(&id("theme-toggle"), "data-theme-choice").await?;
        if chosen.as_deref() == Some(theme) {
            return Ok(());
        }
        page.click(&id("theme-toggle")).await?;
    }
    anyhow::bail!("the toggle never came to {theme}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_theme_outlives_a_reload() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    for (theme, is_light) in [("dark", false), ("light", true)] {
        choose(page, theme).await?;
        assert_eq!(lightness(page).await? > 0.5, is_light, "{theme}");
        page.go("/keys").await?;
        page.see("h1", "Client keys").await?;
        assert_eq!(lightness(page).await? > 0.5, is_light, "{theme} after a reload");
        let chosen = page.attribute(&id("theme-toggle"), "data-theme-choice").await?;
        assert_eq!(chosen.as_deref(), Some(theme));
    }
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_choice_the_system_decides() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    for (scheme, is_light) in [("dark", false), ("light", true)] {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        page.browser.devtools("Emulation.setEmulatedMedia", media).await?;
        assert_eq!(lightness(page).await? > 0.5, is_light, "{scheme}");
    }
    site.finish(&[]).await
}
