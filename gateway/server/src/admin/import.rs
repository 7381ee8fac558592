//! Many accounts at once: previewed and imported from text, exported as text.
//!
//! Refuses: an export to a browser that is merely signed in; the password is asked for again.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use gateway_api::{
    ExportFormat, ExportRequest, ImportFormat, ImportReport, ImportRequest, ImportRowOutcome, ImportRowView,
    ImportSeat,
};
use gateway_core::import::{
    Chosen, ExportError, Format, ImportOptions, ImportOutcome, ImportRow, MAX_IMPORT_BYTES, OlderTokens,
    SeatStatus, read,
};
use gateway_domain::{AccountId, Secret};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};

use super::error::{Body, Refusal, read_json};
use super::session::check_password;
use crate::AppState;

/// The largest body of an import: its text, quoted once more as a JSON string.
const MAX_IMPORT_BODY_BYTES: usize = MAX_IMPORT_BYTES + MAX_IMPORT_BYTES / 4;

/// `POST /accounts/import`.
pub(crate) async fn import(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<ImportReport>, Refusal> {
    let wanted: ImportRequest = read_json(request, MAX_IMPORT_BODY_BYTES).await?;
    let ImportRequest { text, format, name, dry_run, replace } = wanted;
    let now = state.gateway.now();
    // Thousands of tokens keep a core busy for a moment.
    let items = tokio::task::spawn_blocking(move || read(&text, format_of(format), None, now))
        .await
        .map_err(|error| Refusal::internal(error.to_string()))?
        .map_err(|error| Refusal::field("text", error.to_string()))?;
    let older = if replace { OlderTokens::Take } else { OlderTokens::Skip };
    let options = ImportOptions { name, older };
    let rows = match dry_run {
        true => state.gateway.preview_import(items, &options).await?,
        false => state.gateway.import_accounts(items, &options).await?,
    };
    if !dry_run {
        let good = rows.iter().filter(|row| row.outcome.is_good()).count();
        tracing::info!(entries = rows.len(), good, "accounts imported");
    }
    Ok(Json(import_report(dry_run, &rows)))
}

const fn format_of(format: ImportFormat) -> Format {
    match format {
        ImportFormat::Auto => Format::Auto,
        ImportFormat::AuthJson => Format::AuthJson,
        ImportFormat::RefreshTokens => Format::RefreshTokens,
        ImportFormat::AccessTokens => Format::AccessTokens,
        ImportFormat::CodexLb => Format::CodexLb,
        ImportFormat::Codex2Api => Format::Codex2Api,
        ImportFormat::Switchyard => Format::Switchyard,
    }
}

/// An import as the admin API and `account import --json` show it.
#[must_use]
pub fn import_report(dry_run: bool, rows: &[ImportRow]) -> ImportReport {
    ImportReport { dry_run, rows: rows.iter().map(row_view).collect() }
}

fn row_view(row: &ImportRow) -> ImportRowView {
    let (outcome, detail) = match &row.outcome {
        ImportOutcome::Added => (ImportRowOutcome::Added, None),
        ImportOutcome::Updated => (ImportRowOutcome::Updated, None),
        ImportOutcome::Duplicate { of } => (ImportRowOutcome::Duplicate, Some(format!("the same as {of}"))),
        ImportOutcome::Skipped { reason } => (ImportRowOutcome::Skipped, Some(reason.clone())),
        ImportOutcome::Failed { reason } => (ImportRowOutcome::Failed, Some(reason.clone())),
    };
    ImportRowView {
        place: row.place.to_string(),
        name: row.name.clone(),
        kind: row.kind.map(|kind| kind.as_str().to_owned()),
        plan: row.plan.clone(),
        seat: match row.seat {
            SeatStatus::Known => ImportSeat::Known,
            SeatStatus::New => ImportSeat::New,
            SeatStatus::Unnamed => ImportSeat::Unnamed,
        },
        outcome,
        detail,
        account_id: row.account.as_ref().map(|id| id.as_str().to_owned()),
    }
}

/// `POST /accounts/export`.
pub(crate) async fn export(
    State(state): State<AppState>,
    Body(wanted): Body<ExportRequest>,
) -> Result<Response, Refusal> {
    let ExportRequest { ids, all, format, password } = wanted;
    if all != ids.is_empty() {
        return Err(Refusal::field("ids", "name the accounts in `ids`, or set `all`"));
    }
    check_password(&state, password).await?;
    let ids = ids
        .iter()
        .map(|id| AccountId::parse(id).map_err(|error| Refusal::field("ids", error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let count = ids.len();
    let (file, text) = match format {
        ExportFormat::Switchyard => {
            let chosen = if all { Chosen::All } else { Chosen::Ids(ids) };
            ("switchyard-accounts.json", state.gateway.export_accounts(chosen).await?)
        }
        ExportFormat::AuthJson => {
            let [id] = ids.as_slice() else {
                return Err(Refusal::field("ids", "an auth.json holds one account; name one"));
            };
            ("auth.json", state.gateway.export_auth_json(id).await?)
        }
    };
    tracing::info!(all, accounts = count, "accounts exported");
    Ok(download(file, &text))
}

/// Tokens on their way to a file: no cache may keep them.
fn download(file: &str, text: &Secret) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")),
    ];
    (headers, text.expose().clone()).into_response()
}

impl From<ExportError> for Refusal {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::NoSuchAccount(_) | ExportError::Nothing => Self::not_found(error.to_string()),
            ExportError::TooMany | ExportError::AuthJson(_) => Self::field("ids", error.to_string()),
            ExportError::Unreadable { .. } => Self::conflict(error.to_string()),
            ExportError::NotWritten(_) => Self::internal(error.to_string()),
            ExportError::Store(error) => error.into(),
        }
    }
}
