//! Many accounts at once, in and out: by the command line and by the admin API.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use gateway_api::{ImportReport, ImportRowOutcome, ImportSeat};
use gateway_lab::{Lab, LabAccount, LabClock, LabConfig};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, InProcess, PASSWORD};

use super::cli::run;
use super::{lab, still_serves};

/// A lab nobody calls; it only signs in.
fn issuer() -> Lab {
    let accounts = ["ada", "grace", "edsger"].map(|name| LabAccount::new(name, "plus")).into();
    Lab::new(LabConfig::new(accounts, LabClock::real()))
}

fn auth(lab: &Lab, account: usize) -> Result<Value> {
    lab.issue_auth_json(account).context("the lab has no such account")
}

fn put(folder: &Path, file: &str, text: &str) -> Result<String> {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().context("no folder")?)?;
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

#[test]
fn the_home_of_codexlb_is_previewed_imported_and_recognised() -> Result<()> {
    let (folder, lab) = (tempfile::tempdir()?, issuer());
    put(folder.path(), "lb/accounts/work/auth.json", &auth(&lab, 0)?.to_string())?;
    put(folder.path(), "lb/accounts/home/auth.json", &auth(&lab, 1)?.to_string())?;
    put(folder.path(), "lb/accounts/broken/auth.json", "{\"tokens\":")?;
    let home = folder.path().join("lb").to_string_lossy().into_owned();
    let import = |more: &[&str]| {
        let arguments = [&["account", "import", &home], more].concat();
        run(folder.path(), &arguments, &[], "")
    };
    let previewed = import(&["--dry-run"])?;
    assert_eq!(previewed.code, Some(1), "one cannot be taken: {previewed:?}");
    for part in ["WOULD BE", "work", "home", "accounts/broken/auth.json", "not JSON", "2 added, 1 skipped"] {
        assert!(previewed.out.contains(part), "{part}: {previewed:?}");
    }
    let list = run(folder.path(), &["account", "list"], &[], "")?;
    assert!(list.out.contains("no account yet"), "a preview writes nothing: {list:?}");

    let imported = import(&["--json"])?;
    assert_eq!(imported.code, Some(1), "{imported:?}");
    let report: ImportReport = serde_json::from_str(&imported.out)?;
    let of = |report: &ImportReport| -> Vec<_> {
        report.rows.iter().map(|row| (row.name.clone().unwrap_or_default(), row.outcome)).collect()
    };
    use ImportRowOutcome::{Added, Duplicate, Skipped};
    let rows = |outcome| {
        vec![("broken".to_owned(), Skipped), ("home".to_owned(), outcome), ("work".to_owned(), outcome)]
    };
    assert_eq!(of(&report), rows(Added));
    let again: ImportReport = serde_json::from_str(&import(&["--json"])?.out)?;
    assert_eq!(of(&again), rows(Duplicate));
    std::fs::remove_dir_all(folder.path().join("lb/accounts/broken"))?;
    assert_eq!(import(&[])?.code, Some(0), "everything that is there is in the pool");
    Ok(())
}

#[test]
fn what_is_exported_is_private_and_comes_back() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let (folder, elsewhere, lab) = (tempfile::tempdir()?, tempfile::tempdir()?, issuer());
    let list = json!([auth(&lab, 0)?, auth(&lab, 1)?, { "OPENAI_API_KEY": "sk-proj-0123456789abcdef" }]);
    let file = put(folder.path(), "all.json", &list.to_string())?;
    let ran = run(folder.path(), &["account", "import", &file, "--name", "mine"], &[], "")?;
    ensure!(ran.code == Some(0) && ran.out.contains("3 added"), "{ran:?}");

    let out = folder.path().join("out.json").to_string_lossy().into_owned();
    let ran = run(folder.path(), &["account", "export", "--all", "--output", &out], &[], "")?;
    ensure!(ran.code == Some(0) && !ran.out.contains("eyJ"), "{ran:?}");
    assert_eq!(std::fs::metadata(&out)?.permissions().mode() & 0o777, 0o600);
    let ran = run(elsewhere.path(), &["account", "import", &out], &[], "")?;
    ensure!(ran.code == Some(0) && ran.out.contains("3 added"), "{ran:?}");
    for name in ["mine", "mine 2", "mine 3"] {
        assert!(ran.out.contains(name), "{name}: {ran:?}");
    }
    let ran = run(folder.path(), &["account", "export", "mine", "--format", "auth-json"], &[], "")?;
    let written: Value = serde_json::from_str(&ran.out)?;
    assert_eq!(written["tokens"], list[0]["tokens"]);

    for (arguments, code, says) in [
        (&["account", "export"][..], 2, "required"),
        (&["account", "export", "--all", "mine"], 2, "cannot be used with"),
        (&["account", "export", "--all", "--format", "auth-json"], 2, "name one"),
        (&["account", "export", "nobody"], 3, "there is no account `nobody`"),
        (&["account", "import", &file, "--format", "yaml"], 2, "possible values"),
    ] {
        let ran = run(folder.path(), arguments, &[], "")?;
        assert!(ran.code == Some(code) && ran.err.contains(says), "{arguments:?}: {ran:?}");
    }
    Ok(())
}

#[test]
fn tokens_of_the_same_second_do_not_push_out_the_stored_ones_unless_told_to() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = i64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_secs())?;
    let lab = Lab::new(LabConfig::new(vec![LabAccount::new("ada", "plus")], LabClock::fixed(at)));
    let files = [auth(&lab, 0)?, auth(&lab, 0)?];
    let [first, second] = &files;
    assert_ne!(first["tokens"]["refresh_token"], second["tokens"]["refresh_token"]);
    let bring = |value: &Value, more: &[&str]| -> Result<ImportReport> {
        let file = put(folder.path(), "auth.json", &value.to_string())?;
        let ran = run(folder.path(), &[&["account", "import", &file, "--json"], more].concat(), &[], "")?;
        serde_json::from_str(&ran.out).with_context(|| format!("{ran:?}"))
    };
    let stored = || -> Result<Value> {
        let ran =
            run(folder.path(), &["account", "export", "ada@example.test", "--format", "auth-json"], &[], "")?;
        let file: Value = serde_json::from_str(&ran.out).with_context(|| format!("{ran:?}"))?;
        Ok(file["tokens"]["refresh_token"].clone())
    };
    bring(second, &[])?;
    let report = bring(first, &[])?;
    assert_eq!(report.rows[0].outcome, ImportRowOutcome::Skipped);
    let why = report.rows[0].detail.clone().unwrap_or_default();
    assert!(why.contains("nothing tells") && why.contains("replace"), "{why}");
    assert_eq!(stored()?, second["tokens"]["refresh_token"]);
    assert_eq!(bring(first, &["--replace"])?.rows[0].outcome, ImportRowOutcome::Updated);
    assert_eq!(stored()?, first["tokens"]["refresh_token"]);
    Ok(())
}

#[test]
fn five_thousand_tokens_are_in_within_seconds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lines: String = (0..5_000).map(|number| format!("rt_{number}_0123456789abcdef\n")).collect();
    let began = std::time::Instant::now();
    let ran = run(folder.path(), &["account", "import", "-", "--json"], &[], &lines)?;
    let took = began.elapsed();
    ensure!(ran.code == Some(0), "{}", ran.err);
    let report: ImportReport = serde_json::from_str(&ran.out)?;
    assert_eq!(report.rows.iter().filter(|row| row.outcome == ImportRowOutcome::Added).count(), 5_000);
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    assert!(!ran.out.contains("rt_17_"), "no token is told");
    Ok(())
}

async fn import(admin: &Admin, body: &Value) -> Result<ImportReport> {
    let answer = admin.call(Method::POST, "/accounts/import", Some(body)).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    Ok(serde_json::from_slice(&answer.body)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_previews_imports_and_exports() -> Result<()> {
    let gateway = InProcess::start_empty(lab(2), |_| {}).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let text = json!([auth(&gateway.lab, 0)?, auth(&gateway.lab, 1)?, "word"]).to_string();
    let previewed = import(&admin, &json!({ "text": text, "dry_run": true })).await?;
    let outcomes = |report: &ImportReport| report.rows.iter().map(|row| row.outcome).collect::<Vec<_>>();
    use ImportRowOutcome::{Added, Duplicate, Skipped};
    assert_eq!(outcomes(&previewed), [Added, Added, Skipped]);
    assert!(previewed.dry_run && previewed.rows[0].seat == ImportSeat::New);
    assert_eq!(admin.get("/accounts").await?, json!([]), "a preview writes nothing");

    let imported = import(&admin, &json!({ "text": text, "format": "auto", "name": "team" })).await?;
    assert_eq!(outcomes(&imported), [Added, Added, Skipped]);
    let id = imported.rows[0].account_id.clone().context("no id")?;
    assert_eq!(imported.rows[1].name.as_deref(), Some("team 2"));
    assert_eq!(imported.rows[2].place, "entry 3");
    still_serves(&gateway).await?;
    assert_eq!(outcomes(&import(&admin, &json!({ "text": text })).await?), [Duplicate, Duplicate, Skipped]);

    for (body, status, field) in [
        (json!({ "text": "" }), 422, "text"),
        (json!({ "text": "{" }), 422, "text"),
        (json!({ "text": text, "name": " " }), 422, "name"),
        (json!({ "text": text, "format": "yaml" }), 422, ""),
        (json!({ "text": text, "colour": "red" }), 422, ""),
    ] {
        let answer = admin.call(Method::POST, "/accounts/import", Some(&body)).await?;
        let told = answer.json()["field"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.status, told.as_str()), (status, field), "{body}: {}", answer.text());
    }
    exported(&gateway, &admin, &id).await?;
    gateway.stop().await
}

async fn exported(gateway: &InProcess, admin: &Admin, id: &str) -> Result<()> {
    let export = async |body: Value| admin.call(Method::POST, "/accounts/export", Some(&body)).await;
    for (body, status) in [
        (json!({ "all": true }), 422),
        (json!({ "all": true, "password": "not the password" }), 422),
        (json!({ "password": PASSWORD }), 422),
        (json!({ "all": true, "ids": [id], "password": PASSWORD }), 422),
        (json!({ "all": true, "format": "auth-json", "password": PASSWORD }), 422),
        (json!({ "ids": ["acc_gone"], "password": PASSWORD }), 404),
    ] {
        let answer = export(body.clone()).await?;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(!answer.text().contains("eyJ"), "no token leaves");
    }
    let all = export(json!({ "all": true, "password": PASSWORD })).await?;
    assert_eq!((all.status, all.header("cache-control")), (200, Some("no-store")));
    assert!(
        all.header("content-disposition").is_some_and(|value| value.contains("switchyard-accounts.json"))
    );
    let elsewhere = InProcess::start_empty(lab(2), |_| {}).await?;
    let there = Admin::set_up(&elsewhere.http, &elsewhere.url).await?;
    let report = import(&there, &json!({ "text": all.text(), "format": "switchyard" })).await?;
    assert_eq!(report.rows.iter().filter(|row| row.outcome == ImportRowOutcome::Added).count(), 2);
    elsewhere.stop().await?;

    let one = export(json!({ "ids": [id], "format": "auth-json", "password": PASSWORD })).await?;
    assert!(one.json()["tokens"]["refresh_token"].is_string(), "{}", one.status);

    // Guessing here closes the door as it does at the front.
    for _ in 0..10 {
        export(json!({ "all": true, "password": "a guess" })).await?;
    }
    assert_eq!(export(json!({ "all": true, "password": PASSWORD })).await?.status, 429);
    let signed_out = gateway.http.post(format!("{}/api/admin/accounts/export", gateway.url));
    let signed_out = signed_out.header("x-switchyard-admin", "1").body("{}").send().await?;
    assert_eq!(signed_out.status(), 401);
    Ok(())
}
