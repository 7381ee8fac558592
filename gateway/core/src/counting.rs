//! How many tokens a Messages request has, asked of an account whose upstream can tell. Nobody waits long for it and
//! no failure of it reaches a client: whoever asks here has an estimate to fall back on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_protocol::messages;

use crate::Gateway;
use crate::pipeline;
use crate::stage::{Call, Received, ReplyBody};

/// The longest that anybody waits for an exact number; clients ask before each turn.
pub const COUNT_PATIENCE: Duration = Duration::from_secs(5);

/// The upstream's own answer. `None` when no account lists the model whose upstream counts, when filters would
/// change what is sent (a count must not carry past them what they take out), or when the one who was asked did not
/// tell in time.
pub async fn count_tokens(gateway: &Arc<Gateway>, received: Received, model: &str) -> Option<Bytes> {
    if !may_ask(gateway, model) {
        return None;
    }
    let answering = Box::pin(pipeline::respond(gateway, received));
    let reply = tokio::time::timeout(COUNT_PATIENCE, answering).await.ok()?.ok()?;
    match reply.body {
        ReplyBody::Passed(passed) => Some(passed.body),
        ReplyBody::Whole(body) => Some(body),
        ReplyBody::Stream(_) => None,
    }
    .filter(|body| messages::is_count(body))
}

/// One look: most pools have nobody to ask, and then nothing is scheduled, settled or decided.
fn may_ask(gateway: &Gateway, model: &str) -> bool {
    let catalogue = gateway.catalogue();
    let counts = |owner: &str| Call::CountTokens.kinds().iter().any(|kind| kind.as_str() == owner);
    let is_listed = catalogue.listed().iter().any(|listed| listed.id == model && counts(listed.owner));
    // A model that ChatGPT accounts have too is likely to be served there, and their tokens are others.
    is_listed
        && !catalogue.slugs().iter().any(|slug| slug == model)
        && !gateway.chains().is_some_and(|chains| chains.touch_requests())
}
