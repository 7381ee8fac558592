//! `account import --url`: the texts are read here and handed to the gateway, which takes them apart itself.

use gateway_api::{ImportFormat, ImportReport, ImportRequest, ImportRowOutcome, ImportRowView, ImportSeat};
use http::Method;
use serde_json::json;

use super::import::ImportArgs;
use super::sources::{Source, sources};
use crate::cli::Call;
use crate::cli::remote::{Admin, CallError};

/// Imports, or previews.
pub(super) async fn import(call: &Call, args: &ImportArgs) -> anyhow::Result<ImportReport> {
    let sources = sources(&args.path)?;
    let admin = Admin::find(&call.settings, &call.wanted).await?;
    let mut report = ImportReport { dry_run: args.dry_run, rows: Vec::new() };
    for source in sources {
        let (label, request) = request(args, source)?;
        let answer: Result<ImportReport, CallError> =
            admin.send_body(Method::POST, "/accounts/import", &request).await;
        match (answer, label) {
            (Ok(answer), label) => report.rows.extend(labelled(answer.rows, label.as_deref())),
            // Of a folder, a file that is no sign-in is one bad entry.
            (Err(CallError::Refused { field: Some(_), message }), Some(label)) => {
                report.rows.push(unreadable(label, message));
            }
            (Err(error), _) => return Err(error.told()),
        }
    }
    admin.close().await;
    Ok(report)
}

fn request(args: &ImportArgs, source: Source) -> anyhow::Result<(Option<String>, ImportRequest)> {
    let Source { label, name, text } = source;
    // The words of the two are the same.
    let format: ImportFormat = serde_json::from_value(json!(args.format.as_str()))?;
    let name = args.name.clone().or(name);
    Ok((label, ImportRequest { text, format, name, dry_run: args.dry_run, replace: args.replace }))
}

/// The gateway saw a text without a name.
fn labelled(rows: Vec<ImportRowView>, label: Option<&str>) -> Vec<ImportRowView> {
    let Some(label) = label else { return rows };
    let place =
        |place: String| if place == "the text" { label.to_owned() } else { format!("{label}, {place}") };
    rows.into_iter().map(|row| ImportRowView { place: place(row.place), ..row }).collect()
}

fn unreadable(label: String, why: String) -> ImportRowView {
    ImportRowView {
        place: label,
        name: None,
        kind: None,
        plan: None,
        seat: ImportSeat::Unnamed,
        outcome: ImportRowOutcome::Skipped,
        detail: Some(why),
        account_id: None,
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::import::Format;

    use super::*;

    #[test]
    fn every_format_has_the_same_word_on_the_wire() {
        for format in Format::ALL {
            let read: ImportFormat = serde_json::from_value(json!(format.as_str())).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), format.as_str());
        }
    }

    #[test]
    fn places_name_the_file() {
        let at = |place: &str| unreadable(place.to_owned(), "no".to_owned());
        let rows = labelled(vec![at("the text"), at("line 3")], Some("accounts/work/auth.json"));
        let places: Vec<&str> = rows.iter().map(|row| row.place.as_str()).collect();
        assert_eq!(places, ["accounts/work/auth.json", "accounts/work/auth.json, line 3"]);
        assert_eq!(labelled(vec![at("line 3")], None)[0].place, "line 3");
    }
}
