//! Everything can be reached and used without a mouse.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use switchyard_tests::eventually;

use super::Site;
use super::page::{Page, id};

const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";

/// Where the focus is: what it is called, and whether one can see it.
async fn focused(page: &Page) -> Result<(String, bool)> {
    let look = "
        const one = document.activeElement;
        // A link that stands for its whole row draws the outline around the row.
        const outlined = [null, '::after'].map(part => getComputedStyle(one, part))
            .some(style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0);
        const box = one.getBoundingClientRect();
        const inside = box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0;
        const label = one.labels?.[0]?.innerText;
        const name = one.getAttribute('aria-label') || label || one.innerText || one.id || one.tagName;
        return [name.trim(), inside && outlined]";
    let found = page.script(look, Vec::new()).await?;
    let name = found[0].as_str().context("no name")?.to_owned();
    Ok((name, found[1] == Value::Bool(true)))
}

/// Waits until the focus came to something with this name.
async fn see_focus(page: &Page, name: &str) -> Result<()> {
    let what = format!("the focus on {name:?}");
    eventually(&what, async || Ok((focused(page).await?.0 == name).then_some(()))).await
}

/// Tabs until the focus is on something with this name.
async fn tab_to(page: &Page, name: &str) -> Result<()> {
    let mut seen = Vec::new();
    for _ in 0..40 {
        page.press(TAB).await?;
        let (here, visible) = focused(page).await?;
        ensure!(visible, "the focus on {here:?} cannot be seen");
        if here == name {
            return Ok(());
        }
        seen.push(here);
    }
    anyhow::bail!("{name:?} is not among {seen:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_tab_skips_to_the_content_and_all_controls_follow() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    page.go("/").await?;
    page.see_count(&id("account-row"), 3).await?;
    page.press(TAB).await?;
    assert_eq!(focused(page).await?, ("Skip to the content".to_owned(), true));
    let mut names = Vec::new();
    for _ in 0..14 {
        page.press(TAB).await?;
        let (name, visible) = focused(page).await?;
        assert!(visible, "the focus on {name:?} cannot be seen");
        names.push(name);
    }
    let order = [
        "Switchyard, overview",
        "Overview",
        "Accounts",
        "Proxies",
        "Decisions",
        "Keys",
        "Theme: automatic",
        "Sign out",
        "Policy",
    ];
    assert_eq!(names.get(..order.len()).context("too few")?, order, "{names:?}");
    assert!(names.contains(&"Add account".to_owned()), "{names:?}");
    assert!(names.iter().any(|name| name.contains("ada")), "{names:?}");

    page.go("/").await?;
    page.see_count(&id("account-row"), 3).await?;
    page.press(TAB).await?;
    page.press(ENTER).await?;
    see_focus(page, "Overview").await?;

    // It stays where it is while the figures around it move.
    tab_to(page, "ada@example.test").await?;
    site.served("hello").await?;
    page.see(&id("decision-row"), "Completed").await?;
    assert_eq!(focused(page).await?, ("ada@example.test".to_owned(), true));
    page.press(ENTER).await?;
    page.see("h1", "ada@example.test").await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_and_kept_by_keys_alone() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    tab_to(page, "Keys").await?;
    page.press(ENTER).await?;
    page.see("h1", "Client keys").await?;
    see_focus(page, "Client keys").await?;
    tab_to(page, "Who is it for?").await?;
    page.press("by hand").await?;
    page.press(ENTER).await?;
    page.see(&id("key-row"), "by hand").await?;
    tab_to(page, "Revoke the key of by hand").await?;
    page.press(ENTER).await?;
    page.see("dialog[open]", "Revoke the key of by hand?").await?;
    // The dialog keeps the focus, and Escape means no.
    for _ in 0..4 {
        page.press(TAB).await?;
        let held =
            "const one = document.activeElement; return !!one.closest('dialog') || one === document.body";
        assert_eq!(page.script(held, Vec::new()).await?, Value::Bool(true), "{:?}", focused(page).await?);
    }
    page.press(ESCAPE).await?;
    page.see_gone("dialog[open]").await?;
    see_focus(page, "Revoke the key of by hand").await?;
    page.see_count(&id("key-row"), 1).await?;
    site.finish(&[]).await
}
