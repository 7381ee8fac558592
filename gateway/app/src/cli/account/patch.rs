//! `switchyard account set NAME FIELD=VALUE…`: from the words people type to the patch of the admin API. Limits are the
//! gateway's affair; here stands only what a word means.

use std::collections::BTreeSet;

use clap::Args;
use gateway_api::{AccountDetail, AccountPatch, AccountSettingsPatch, EgressView, PreferenceView, ProxyView};
use http::Method;

use super::choose::{self, Keys, pick};
use super::show::preference_word;
use crate::cli::remote::{Admin, CallError};
use crate::cli::{WrongUse, tell, tell_json};

/// How a field is emptied.
const NONE: &str = "none";
/// How the name of a header is told from other fields.
const HEADER: &str = "header.";
/// The largest file taken as a header's value, in bytes.
const MAX_VALUE_BYTES: u64 = 16 * 1024;

/// What `account set` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Fields, and what they take (`none` or nothing empties them):
  weight=2.5                its share when strategies weigh accounts, above 0
  priority=1                a higher one goes before every lower one
  preference=burn-first     burn-first, normal or preserve
  max-concurrency=4         most requests at once
  groups=eu,work            all its groups
  tags=a,b                  all its tags
  models=gpt-5.5,o4*        the only models it may serve
  dialects=openai-chat      what its server speaks; empty: found out by `account test`
  base-url=https://…        where its server is
  egress=direct             inherit, direct, or the name or id of a proxy
  warm-up=on                start a window again that has reset: on or off
  co-owned=/path/auth.json  the file of a Codex CLI that shares its tokens
  notes='anything'          for people
  header.x-team=blue        a header to send upstream; header.x-team= takes it away, header.x-team=@FILE reads it

  switchyard account set ada weight=2 priority=1 groups=eu,work
  switchyard account set ada max-concurrency=none header.x-secret=@token.txt")]
pub(in crate::cli) struct SetArgs {
    /// Its name, id or e-mail address
    name: String,
    /// What to change
    #[arg(value_name = "FIELD=VALUE", required = true)]
    fields: Vec<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Changes what was decided about an account.
pub(super) async fn set(admin: &Admin, args: &SetArgs) -> anyhow::Result<()> {
    let settings = read(admin, &args.fields).await?;
    let account = choose::one(admin, &args.name).await?;
    let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
    let path = format!("/accounts/{}", account.id);
    let detail: AccountDetail =
        admin.send_body(Method::PATCH, &path, &patch).await.map_err(CallError::told)?;
    if args.json {
        return tell_json(&detail);
    }
    tell(&format!("`{}` is changed", detail.account.name));
    Ok(())
}

/// Reads fields. A proxy that is called by its name is looked up.
pub(super) async fn read(admin: &Admin, fields: &[String]) -> anyhow::Result<AccountSettingsPatch> {
    let mut patch = AccountSettingsPatch::default();
    for field in fields {
        put(&mut patch, field).map_err(WrongUse)?;
    }
    if let Some(EgressView::Proxy { proxy }) = &mut patch.egress {
        let all: Vec<ProxyView> = admin.get("/proxies").await.map_err(CallError::told)?;
        let found = pick(&all, proxy, |one| Keys { id: &one.id, name: &one.name, email: None });
        let found = found.map_err(|_| WrongUse(format!("there is no egress proxy `{proxy}`")))?;
        *proxy = found.id.clone();
    }
    Ok(patch)
}

fn put(patch: &mut AccountSettingsPatch, field: &str) -> Result<(), String> {
    let (name, value) = field.split_once('=').ok_or_else(|| format!("`{field}` is no FIELD=VALUE"))?;
    let given = Some(value).filter(|value| !value.is_empty() && *value != NONE);
    match name {
        "notes" => patch.notes = Some(given.unwrap_or_default().to_owned()),
        "groups" => patch.groups = Some(words(given)),
        "tags" => patch.tags = Some(words(given)),
        "models" => patch.allowed_models = Some(words(given)),
        "dialects" => patch.dialects = Some(words(given)),
        "weight" => patch.weight = Some(number(name, value)?),
        "priority" => patch.priority = Some(number(name, value)?),
        "preference" => patch.preference = Some(preference(value)?),
        "max-concurrency" => {
            patch.max_concurrency = Some(given.map(|value| number(name, value)).transpose()?);
        }
        "base-url" => patch.base_url = Some(given.map(str::to_owned)),
        "co-owned" => patch.co_owned = Some(given.map(str::to_owned)),
        "warm-up" => patch.warm_up = Some(switch(value)?),
        "egress" => patch.egress = Some(egress(value)),
        _ => {
            let header = name.strip_prefix(HEADER).filter(|header| !header.is_empty());
            let header =
                header.ok_or_else(|| format!("there is no field `{name}`; see `account set --help`"))?;
            patch.headers.insert(header.to_owned(), header_value(value)?);
        }
    }
    Ok(())
}

fn words(given: Option<&str>) -> BTreeSet<String> {
    let words = given.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("`{value}` is no number for {name}"))
}

fn preference(value: &str) -> Result<PreferenceView, String> {
    let all = [PreferenceView::BurnFirst, PreferenceView::Normal, PreferenceView::Preserve];
    let found = all.into_iter().find(|one| preference_word(*one) == value);
    found.ok_or_else(|| format!("`{value}` is none of burn-first, normal, preserve"))
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "on" | "yes" | "true" => Ok(true),
        "off" | "no" | "false" => Ok(false),
        _ => Err(format!("`{value}` is neither on nor off")),
    }
}

fn egress(value: &str) -> EgressView {
    match value {
        "" | "inherit" => EgressView::Inherit,
        "direct" | NONE => EgressView::Direct,
        proxy => EgressView::Proxy { proxy: proxy.to_owned() },
    }
}

/// A value that is a secret stands in a file rather than on the command line.
fn header_value(value: &str) -> Result<Option<String>, String> {
    let Some(file) = value.strip_prefix('@') else {
        return Ok(Some(value.to_owned()).filter(|value| !value.is_empty()));
    };
    let cannot = |why: String| format!("cannot read {file}: {why}");
    let size = std::fs::metadata(file).map_err(|error| cannot(error.to_string()))?.len();
    if size > MAX_VALUE_BYTES {
        return Err(cannot(format!("it has more than {MAX_VALUE_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| cannot(error.to_string()))?;
    Ok(Some(text.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(fields: &[&str]) -> Result<serde_json::Value, String> {
        let mut patch = AccountSettingsPatch::default();
        for field in fields {
            put(&mut patch, field)?;
        }
        Ok(serde_json::to_value(patch).unwrap())
    }

    #[test]
    fn fields_become_what_the_api_takes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("value");
        std::fs::write(&file, "from the file\n").unwrap();
        let from_file = format!("header.x-file=@{}", file.display());
        for (fields, expect) in [
            (vec!["weight=2.5", "priority=-3"], json!({ "weight": 2.5, "priority": -3 })),
            (vec!["groups=eu, work,"], json!({ "groups": ["eu", "work"] })),
            (vec!["groups=", "tags=none"], json!({ "groups": [], "tags": [] })),
            (vec!["max-concurrency=4"], json!({ "max_concurrency": 4 })),
            (vec!["max-concurrency=none", "base-url="], json!({ "max_concurrency": null, "base_url": null })),
            (vec!["preference=burn-first"], json!({ "preference": "burn_first" })),
            (vec!["egress=direct"], json!({ "egress": { "via": "direct" } })),
            (vec!["egress=lisbon"], json!({ "egress": { "via": "proxy", "proxy": "lisbon" } })),
            (vec!["warm-up=on", "notes=a=b"], json!({ "warm_up": true, "notes": "a=b" })),
            (vec!["header.x-a=b", "header.x-c="], json!({ "headers": { "x-a": "b", "x-c": null } })),
            (vec![from_file.as_str()], json!({ "headers": { "x-file": "from the file" } })),
        ] {
            assert_eq!(patched(&fields), Ok(expect), "{fields:?}");
        }
    }

    #[test]
    fn what_is_no_field_is_told() {
        for (field, says) in [
            ("weight", "no FIELD=VALUE"),
            ("weight=heavy", "no number for weight"),
            ("colour=red", "no field `colour`"),
            ("header.=x", "no field `header.`"),
            ("preference=mine", "burn-first, normal, preserve"),
            ("warm-up=perhaps", "neither on nor off"),
            ("header.x=@/nowhere/file", "cannot read /nowhere/file"),
        ] {
            let error = patched(&[field]).unwrap_err();
            assert!(error.contains(says), "{field}: {error}");
        }
    }
}
