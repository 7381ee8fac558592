//! Policies: which there are, which decides, their texts and earlier versions, and whether another text would do.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use gateway_api::{CheckStepView, PolicyChecked, PolicyChoice, PolicyDetail, PolicyDraft, PolicyView};
use gateway_core::POLICY_SETTING;
use gateway_core::extensions::ExtensionError;
use gateway_core::ports::{CheckOutcome, Checked};
use gateway_domain::Secret;
use gateway_scheduler::RankingPolicy;

use super::error::{Body, Refusal};
use super::replay::on_a_thread;
use super::view;
use crate::AppState;

/// `GET /policies`.
pub(crate) async fn list(State(state): State<AppState>) -> Json<Vec<PolicyView>> {
    let active = state.gateway.policy().version().id();
    let all = state.gateway.policies().all();
    Json(all.iter().map(|policy| view::policy(policy.version(), &active)).collect())
}

/// `PUT /policy`: from the next ranking on, and after a restart.
pub(crate) async fn choose(
    State(state): State<AppState>,
    Body(choice): Body<PolicyChoice>,
) -> Result<Json<PolicyView>, Refusal> {
    let policy = let_decide(&state, &choice.id).await?;
    Ok(Json(view::policy(policy.version(), &choice.id)))
}

/// Lets a policy decide.
pub(super) async fn let_decide(state: &AppState, id: &str) -> Result<Arc<dyn RankingPolicy>, Refusal> {
    let found = state.gateway.policies().find(id);
    found.map_err(|error| Refusal::field("id", error.to_string()))?;
    // Durable first, so that what decides now is what decides after a restart.
    state.gateway.settings().put_setting(POLICY_SETTING, Secret::new(id.to_owned())).await?;
    let policy = state.gateway.choose_policy(id).map_err(|error| Refusal::field("id", error.to_string()))?;
    tracing::info!(policy = id, "policy switched");
    Ok(policy)
}

/// `GET /policies/{id}`: with its text and its earlier versions.
pub(crate) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<PolicyDetail>, Refusal> {
    let policy = state.gateway.policies().find(&id).map_err(|error| Refusal::not_found(error.to_string()))?;
    let active = state.gateway.policy().version().id();
    let (workbench, gateway, asked) = (state.workbench.clone(), state.gateway.clone(), id.clone());
    let known = on_a_thread(move || (workbench.source(&asked), gateway.extensions().versions(&asked)));
    let (text, versions) = known.await?;
    let earlier = versions.into_iter().filter(|version| !version.serving);
    Ok(Json(PolicyDetail {
        policy: view::policy(policy.version(), &active),
        origin: text.as_ref().map(|text| text.origin.label().to_owned()),
        source: text.map(|text| text.source),
        history: earlier.map(|version| version.digest).collect(),
    }))
}

/// `POST /policies/{id}/rollback`: the version before serves from the next ranking on.
pub(crate) async fn roll_back(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<PolicyView>, Refusal> {
    let find = || state.gateway.policies().find(&id).map_err(|error| Refusal::not_found(error.to_string()));
    find()?;
    state.gateway.roll_back_extension(&id).await.map_err(|error| match error {
        ExtensionError::Unknown(id) => Refusal::conflict(format!(
            "`{id}` is no script and no component; only those keep earlier versions"
        )),
        error => Refusal::conflict(error.to_string()),
    })?;
    let version = find()?;
    Ok(Json(view::policy(version.version(), &state.gateway.policy().version().id())))
}

/// `POST /policies/check`: a text that was not saved.
pub(crate) async fn check(
    State(state): State<AppState>,
    Body(draft): Body<PolicyDraft>,
) -> Result<Json<PolicyChecked>, Refusal> {
    check_name(&draft.name)?;
    let workbench = state.workbench.clone();
    let found =
        on_a_thread(move || checked(&workbench.check(&draft.name, &draft.source), &draft.source)).await?;
    Ok(Json(found))
}

/// Its cases are looked for in a folder of this name, so it must be a name and no path.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Refusal::field("name", "a policy's name has letters, digits, dash and underscore, 64 at most"))
}

pub(super) fn checked(found: &Checked, source: &str) -> PolicyChecked {
    PolicyChecked {
        passed: found.passed(),
        digest: found.digest.clone(),
        steps: found.steps.iter().map(|(name, outcome)| step(name, outcome, source)).collect(),
    }
}

pub(super) fn step(name: &str, outcome: &CheckOutcome, source: &str) -> CheckStepView {
    let bare = |outcome: &str, message: Option<String>| CheckStepView {
        step: name.to_owned(),
        outcome: outcome.to_owned(),
        message,
        kind: None,
        line: None,
        column: None,
        module: None,
        source_line: None,
    };
    match outcome {
        CheckOutcome::Passed => bare("passed", None),
        CheckOutcome::Skipped(why) => bare("skipped", Some((*why).to_owned())),
        CheckOutcome::Failed(mistake) => {
            let number = |place: Option<usize>| place.and_then(|place| u32::try_from(place).ok());
            let own_line = mistake.line.filter(|_| mistake.module.is_none());
            CheckStepView {
                kind: Some(mistake.kind.to_owned()),
                line: number(mistake.line),
                column: number(mistake.column),
                module: mistake.module.clone(),
                source_line: own_line
                    .and_then(|line| source.lines().nth(line.checked_sub(1)?))
                    .map(str::to_owned),
                ..bare("failed", Some(mistake.message.clone()))
            }
        }
    }
}
