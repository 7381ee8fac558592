//! One request, from its bytes to its settlement. The stages in their order; every other file is a detail of one.
//!
//! Each stage takes what the one before made, so an unauthenticated request cannot be decoded and a lease cannot
//! be lost: `Received → Authenticated → Decoded → (Scheduled → Forwarded)* → Reply`, and the settlement happens
//! in the reply's own stream, whether it ends, fails or is dropped.

use std::sync::Arc;

use gateway_domain::Failure;
use gateway_protocol::keep_alive;

use crate::Gateway;
use crate::stage::{Received, Reply, authenticate, decode, forward, settle::Settlement};

/// Carries one Responses turn through all stages.
///
/// # Errors
/// The failure that the client must be told; it is already settled, counted and logged.
pub async fn respond(gateway: &Arc<Gateway>, received: Received) -> Result<Reply, Failure> {
    // Opened first: whatever happens below, even a caller that hangs up, this request is accounted for.
    let mut settlement = Settlement::open(gateway, &received);
    match stages(gateway, received, &mut settlement).await {
        Ok(forwarded) => forward::reply(forwarded, settlement).await,
        Err(failure) => Err(settlement.fail(failure)),
    }
}

async fn stages(
    gateway: &Arc<Gateway>,
    received: Received,
    settlement: &mut Settlement,
) -> Result<forward::Forwarded, Failure> {
    let early = received.early.clone();
    // Above everything that costs: a caller without a key consumes nothing.
    let authenticated = authenticate(&gateway.keys(), received)?;
    // Mapping of models and filters will stand between here and the scheduling: they decide what is asked.
    let decoded = decode(authenticated, gateway.instance()).await?;
    settlement.decoded(&decoded);
    if decoded.wants_stream {
        early.streams(keep_alive(decoded.route.dialect(), decoded.kind));
    }
    // Scheduling and forwarding loop together: another account may be tried until the first event is out.
    forward::forward(gateway, decoded, settlement).await
}
