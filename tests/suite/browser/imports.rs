//! Bringing accounts in from text: the preview that stores nothing, the import, and what is said of each line.

use anyhow::{Context, Result};
use gateway_lab::{Lab, LabAccount, LabClock, LabConfig};

use super::lab_site::LabSite;
use super::page::id;

const START: &str = "/accounts/new/import";

/// The row of the import's table that says this.
async fn row(site: &LabSite, words: &str) -> Result<String> {
    site.page.see(&id("import-row"), words).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_stores_nothing_and_the_import_says_what_became_of_each_line() -> Result<()> {
    let site = LabSite::start(1).await?;
    let page = &site.page;
    page.go(START).await?;
    page.click(&id("import-preview")).await?;
    page.see(".form-error", "Paste the text first").await?;

    let known = site.lab.issue_auth_json(0).context("no account")?;
    let new = site.lab.issue_auth_json(1).context("no account")?;
    page.fill(&id("import-text"), &format!("[{known},{new},{new},{{\"tokens\":{{}}}}]")).await?;
    page.click(&id("import-preview")).await?;
    let sum = page.see(&id("import-sum"), "1 will be added").await?;
    assert!(sum.contains("1 is a duplicate"), "{sum}");
    page.see_count(&id("import-row"), 4).await?;
    assert!(row(&site, "grace@example.test").await?.contains("Will be added"));
    assert!(row(&site, "Duplicate").await?.contains("new"));
    assert!(row(&site, "Will be skipped").await?.len() > "Will be skipped".len(), "no reason");
    assert_eq!(site.accounts().await?.len(), 1, "a preview stores nothing");

    page.click(&id("import-submit")).await?;
    page.see(&id("toast"), "Imported").await?;
    page.see(&id("import-sum"), "1 added").await?;
    assert!(row(&site, "grace@example.test").await?.contains("Added"));
    assert_eq!(page.script("return document.querySelector('#import-text').value", vec![]).await?, "");
    assert_eq!(site.accounts().await?.len(), 2);
    page.click(&format!("{} a", id("import-row"))).await?;
    page.see("dl.facts", "acc-lab-").await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn several_files_are_chosen_previewed_and_left_out() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    let config = LabConfig::new(vec![LabAccount::new("linus", "pro")], LabClock::real());
    // Another seed: labs of the same one issue the same tokens.
    let elsewhere = Lab::new(LabConfig { seed: 2, ..config });
    let mut paths = Vec::new();
    for (name, auth) in
        [("ada.json", site.lab.issue_auth_json(0)), ("linus.json", elsewhere.issue_auth_json(0))]
    {
        let path = site.folder.path().join(name);
        std::fs::write(&path, auth.context("no account")?.to_string())?;
        paths.push(path.display().to_string());
    }
    page.go(START).await?;
    page.give(&id("import-files"), &paths.join("\n")).await?;
    page.see_count(&id("import-file"), 2).await?;
    page.click(&id("import-preview")).await?;
    page.see(&id("import-sum"), "2 will be added").await?;
    assert!(row(&site, "linus").await?.contains("linus.json"));

    // Another choice makes the preview void.
    page.click("[aria-label='Leave out linus.json']").await?;
    page.see_gone(&id("import-result")).await?;
    page.click(&id("import-preview")).await?;
    page.see(&id("import-sum"), "1 will be added").await?;
    page.click(&id("import-submit")).await?;
    page.see(&id("import-sum"), "1 added").await?;
    page.see_gone(&id("import-file")).await?;
    assert_eq!(site.accounts().await?.len(), 1);
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_beside_the_field() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    page.go(START).await?;
    page.fill(&id("import-text"), "{\"tokens\": ").await?;
    page.click(&id("import-preview")).await?;
    page.see("#import-text-note .form-error", "ends too early").await?;
    assert_eq!(page.attribute(&id("import-text"), "aria-invalid").await?.as_deref(), Some("true"));
    page.fill(&id("import-text"), "{\"unrelated\": true}").await?;
    page.see_gone("#import-text-note .form-error").await?;
    page.click(&id("import-preview")).await?;
    // Either the whole text is refused, or its one entry is.
    page.see("main", "skipped").await?;
    assert!(site.accounts().await?.is_empty());
    site.finish(&["/api/admin/accounts/import"]).await
}
