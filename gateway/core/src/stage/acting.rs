//! What extensions did to one request: written into its decision and, for what their rules found, into the log. Names
//! rules and extensions, never text of a prompt or an answer.

use std::sync::Arc;

use gateway_domain::{Answer, Failure, FailureKind};
use gateway_scheduler::Rejection;

use crate::decisions::{Act, Acted, Decision, RuleHits};
use crate::extensions::Attached;
use crate::hooks::{Failing, Hit, HookError, Mode};

/// Rules named for one extension in one decision.
const MAX_RULES: usize = 32;
/// Extensions named in one decision.
const MAX_ACTED: usize = 64;

/// Runs a call of an extension. One that may wait is kept off the threads that serve, where there are several.
pub(crate) fn run<T>(may_block: bool, call: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let several =
        || Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if may_block && several() { tokio::task::block_in_place(call) } else { call() }
}

/// Notes what an extension did.
pub(crate) fn note(decision: &Decision, attached: &Attached, act: Act, hits: &[Hit]) {
    let extension = &attached.extension;
    for hit in hits {
        let (request, mode) = (&decision.id, attached.at.mode.label());
        tracing::info!(%request, extension = extension.label(), rule = hit.rule, score = hit.score, mode, "filter hit");
    }
    decision.update(|state| {
        let id = extension.version.id();
        let known = state.extensions.iter().position(|one| one.hook == attached.at.hook && one.id == id);
        let at = known.unwrap_or(state.extensions.len());
        if known.is_none() && at < MAX_ACTED {
            state.extensions.push(Acted {
                hook: attached.at.hook,
                id,
                label: extension.label(),
                digest: extension.version.digest.clone(),
                mode: attached.at.mode,
                act: Act::Passed,
                why: String::new(),
                rules: Vec::new(),
            });
        }
        let Some(acted) = state.extensions.get_mut(at) else { return };
        acted.act = acted.act.max(act);
        for hit in hits {
            let has_room = acted.rules.len() < MAX_RULES;
            match acted.rules.iter_mut().find(|rule| rule.rule == hit.rule) {
                Some(rule) => rule.hits = rule.hits.saturating_add(1),
                None if has_room => acted.rules.push(RuleHits { rule: hit.rule.clone(), hits: 1 }),
                None => {}
            }
        }
    });
}

/// Notes a failure. The failure of the request, when its place is closed.
pub(crate) fn failed(decision: &Decision, attached: &Attached, error: &HookError) -> Option<Failure> {
    let (extension, hook) = (attached.extension.label(), attached.at.hook.label());
    let (request, policy) = (&decision.id, attached.at.failing.label());
    tracing::warn!(%request, extension, hook, step = error.label(), %error, on_failure = policy, "extension failed");
    note(decision, attached, Act::Failed, &[]);
    decision.update(|state| {
        let id = attached.extension.version.id();
        if let Some(acted) =
            state.extensions.iter_mut().find(|one| one.id == id && one.hook == attached.at.hook)
        {
            error.label().clone_into(&mut acted.why);
        }
    });
    let closed = attached.at.failing == Failing::Closed && attached.at.mode == Mode::Enforce;
    closed.then(|| {
        let message = format!(
            "the extension {extension} failed at {hook} ({}); try again, or ask the gateway's operator",
            error.label()
        );
        let answer = Answer { status: 503, code: Some("extension_failed".to_owned()), param: None };
        Failure::extension(FailureKind::ExtensionRefused, message).answered(answer)
    })
}

/// The failure that a refusal is.
pub(crate) fn refused(rejection: &Rejection) -> Failure {
    let wait = rejection.retry_after_ms.map(|ms| std::time::Duration::from_millis(u64::from(ms)));
    Failure::extension(FailureKind::ExtensionRefused, rejection.message.clone())
        .after(wait)
        .answered(Answer { status: rejection.http_status, code: Some(rejection.code.clone()), param: None })
}

/// Those of a chain that a request is for.
pub(crate) fn chosen(chain: &[Attached], route: &str, client: &str, model: &str) -> Vec<Attached> {
    chain.iter().filter(|one| one.at.covers(route, client, model)).cloned().collect()
}

/// Whether two places belong to the same version of an extension.
pub(crate) fn same(one: &Attached, other: &Attached) -> bool {
    Arc::ptr_eq(&one.extension, &other.extension)
}
