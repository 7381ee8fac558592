//! Sockets between two turns. Each is kept by a task of its own, which answers pings and notices when the upstream closes
//! it, so that what is taken from here is open. Refuses to hand a socket to another identity.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;

use super::connect::Identity;
use super::live::{Live, Told};

/// A socket without a turn is closed after this.
const MAX_REST: Duration = Duration::from_secs(5 * 60);
/// Parked sockets of one identity, and of all.
const MAX_OF_ONE: usize = 8;
const MAX_OF_ALL: usize = 512;
/// The longest that a parked socket takes to be handed over.
const CLAIM_TIME: Duration = Duration::from_secs(1);

/// All parked sockets.
pub(super) struct Parked {
    places: Mutex<Vec<Place>>,
    /// A socket is not used again when it is older.
    max_age: Duration,
}

struct Place {
    identity: Identity,
    told: Option<Told>,
    claim: oneshot::Sender<oneshot::Sender<Live>>,
}

impl Parked {
    pub(super) fn new(max_age: Duration) -> Self {
        Self { places: Mutex::default(), max_age }
    }

    /// Keeps a socket for the next turn, unless there are enough or it is too old.
    pub(super) fn park(self: &Arc<Self>, live: Live) {
        let Some(time) = time_to_rest(live.born.elapsed(), self.max_age) else { return };
        let (claim, claimed) = oneshot::channel();
        {
            let mut places = self.places.lock();
            places.retain(|place| !place.claim.is_closed());
            let of_one = places.iter().filter(|place| place.identity == live.identity).count();
            if of_one >= MAX_OF_ONE || places.len() >= MAX_OF_ALL {
                return;
            }
            places.push(Place { identity: live.identity.clone(), told: live.told.clone(), claim });
        }
        spawn_rest(rest(live, claimed, time));
    }

    /// A socket of this identity; one that knows the conversation before any other.
    pub(super) async fn take(&self, identity: &Identity, knows: impl Fn(&Told) -> bool) -> Option<Live> {
        loop {
            let claim = self.best(identity, &knows)?;
            let (hand, over) = oneshot::channel();
            if claim.send(hand).is_ok()
                && let Ok(Ok(live)) = tokio::time::timeout(CLAIM_TIME, over).await
            {
                return Some(live);
            }
        }
    }

    fn best(
        &self,
        identity: &Identity,
        knows: impl Fn(&Told) -> bool,
    ) -> Option<oneshot::Sender<oneshot::Sender<Live>>> {
        let mut places = self.places.lock();
        places.retain(|place| !place.claim.is_closed());
        let mine = |place: &Place| place.identity == *identity;
        let at = places
            .iter()
            .position(|place| mine(place) && place.told.as_ref().is_some_and(&knows))
            .or_else(|| places.iter().position(mine))?;
        Some(places.swap_remove(at).claim)
    }
}

/// How long a socket of this age may rest; `None` when it is not to be used again.
fn time_to_rest(age: Duration, max_age: Duration) -> Option<Duration> {
    max_age.checked_sub(age).filter(|left| !left.is_zero()).map(|left| left.min(MAX_REST))
}

// On no tracker: it ends with the process, and nothing is lost by it.
fn spawn_rest(rest: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(rest);
}

/// Rests until the socket is claimed, its time is over, or the upstream ends it or speaks out of turn.
async fn rest(mut live: Live, mut claimed: oneshot::Receiver<oneshot::Sender<Live>>, time: Duration) {
    let over = tokio::time::sleep_until((Instant::now() + time).into());
    tokio::pin!(over);
    loop {
        tokio::select! {
            claim = &mut claimed => {
                if let Ok(hand) = claim {
                    // A turn that was given up meanwhile needs no socket.
                    drop(hand.send(live));
                }
                return;
            }
            message = live.stream.next() => match message {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return,
            },
            () = &mut over => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_rotated_before_the_backend_refuses_it() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (age, rest) in [
            (minutes(0), Some(MAX_REST)),
            (minutes(45), Some(MAX_REST)),
            (minutes(48), Some(minutes(2))),
            (minutes(50), None),
            (minutes(61), None),
        ] {
            assert_eq!(time_to_rest(age, crate::MAX_SOCKET_AGE), rest, "{age:?}");
        }
    }
}
