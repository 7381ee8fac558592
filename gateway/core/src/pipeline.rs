//! One request, from its bytes to its settlement. The stages in their order; every other file is a detail of one.
//!
//! Each stage takes what the one before made, so an unauthenticated request cannot be decoded and a lease cannot
//! be lost: `Received → Authenticated → Decoded → Extended → (Scheduled → Forwarded)* → Reply`, and the settlement happens
//! in the reply's own stream, whether it ends, fails or is dropped.

use std::sync::Arc;

use gateway_domain::Failure;
use gateway_protocol::keep_alive;

use crate::Gateway;
use crate::stage::{Received, Reply, authenticate, decode, extend, forward, own_answer, settle::Settlement};

/// Carries one Responses turn through all stages.
///
/// # Errors
/// The failure that the client must be told; it is already settled, counted and logged.
pub async fn respond(gateway: &Arc<Gateway>, received: Received) -> Result<Reply, Failure> {
    // Opened first: whatever happens below, even a caller that hangs up, this request is accounted for.
    let mut settlement = Settlement::open(gateway, &received);
    match stages(gateway, received, &mut settlement).await {
        Ok(Answered::Upstream(forwarded)) => forward::reply(*forwarded, settlement).await,
        Ok(Answered::Here(answer)) => Ok(own_answer::reply(*answer, settlement)),
        Err(failure) => Err(settlement.fail(failure)),
    }
}

/// Who has the answer.
enum Answered {
    /// An account.
    Upstream(Box<forward::Forwarded>),
    /// A filter said what to answer; nobody upstream was asked.
    Here(Box<own_answer::OwnAnswer>),
}

async fn stages(
    gateway: &Arc<Gateway>,
    received: Received,
    settlement: &mut Settlement,
) -> Result<Answered, Failure> {
    let early = received.early.clone();
    // Above everything that costs: a caller without a key consumes nothing.
    let authenticated = authenticate(&gateway.keys(), received)?;
    let decoded = decode(authenticated, gateway.instance()).await?;
    settlement.decoded(&decoded);
    if decoded.wants_stream {
        early.streams(keep_alive(decoded.route.dialect(), decoded.kind));
    }
    // Mappings and filters decide what is asked, before anybody is chosen to answer it.
    let mut extended = extend::extend(gateway, decoded, settlement).await?;
    if let Some(text) = extended.answer.take() {
        return Ok(Answered::Here(Box::new(own_answer::write(gateway, &extended.decoded, text))));
    }
    // Scheduling and forwarding loop together: another account may be tried until the first event is out.
    let forwarded = extend::forward_extended(gateway, &mut extended, settlement).await?;
    Ok(Answered::Upstream(Box::new(forwarded)))
}
