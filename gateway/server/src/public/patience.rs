//! A client that reads a stream is not left in silence while the gateway waits for a place, tries accounts, or an
//! upstream thinks: after a while its answer begins, and it hears that the stream lives.
//!
//! From then on a failure is told inside the stream, because the status is out.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use gateway_core::stage::{RelayStream, Reply, ReplyBody, Route};
use gateway_domain::{Dialect, Failure, RequestId};
use gateway_protocol::calls::call_error_event;
use gateway_protocol::responses::failed_event;
use gateway_protocol::translate::codec;
use gateway_protocol::turn::{AnswerContext, ErrorReport, TurnEvent};

/// The longest a client waits for the beginning of its stream.
pub(crate) const COMMIT_AFTER: Duration = Duration::from_secs(15);
/// The pause between two signs of life before the answer comes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A turn that is still being worked on.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send>>;

/// The beginning of a stream whose answer is not there yet.
pub(crate) fn begun(answering: Answering, route: Route, id: &RequestId, keep_alive: Bytes) -> Response {
    let waiting = Waiting::For { answering, route, id: id.clone(), keep_alive };
    Response::new(Body::from_stream(stream(waiting).map(Ok::<_, Infallible>)))
}

enum Waiting {
    For { answering: Answering, route: Route, id: RequestId, keep_alive: Bytes },
    Events(Box<RelayStream>),
    Over,
}

fn stream(waiting: Waiting) -> impl Stream<Item = Bytes> {
    futures_util::stream::unfold(waiting, |mut state| async move {
        loop {
            state = match state {
                Waiting::Over => return None,
                Waiting::Events(mut events) => {
                    let next = events.next().await?;
                    return Some((next, Waiting::Events(events)));
                }
                Waiting::For { mut answering, route, id, keep_alive } => {
                    match tokio::time::timeout(SIGN_OF_LIFE, &mut answering).await {
                        Err(_) => {
                            let sign = keep_alive.clone();
                            return Some((sign, Waiting::For { answering, route, id, keep_alive }));
                        }
                        Ok(Err(failure)) => {
                            let event = match route {
                                Route::Call(_) => call_error_event(&failure),
                                _ => failed(&failure, route.dialect(), &id),
                            };
                            return Some((event, Waiting::Over));
                        }
                        Ok(Ok(Reply { body: ReplyBody::Stream(events), .. })) => Waiting::Events(events),
                        Ok(Ok(Reply { body: ReplyBody::Whole(object), .. })) => {
                            return Some((object, Waiting::Over));
                        }
                        Ok(Ok(Reply { body: ReplyBody::Passed(passed), .. })) => {
                            return Some((passed.body, Waiting::Over));
                        }
                    }
                }
            };
        }
    })
}

/// A failure as the one event of a stream.
fn failed(failure: &Failure, dialect: Dialect, id: &RequestId) -> Bytes {
    if dialect == Dialect::OpenAiResponses {
        return failed_event(failure, id.as_str(), 0);
    }
    let context = AnswerContext { fallback_id: id.to_string(), ..AnswerContext::default() };
    let mut out = BytesMut::new();
    let event = TurnEvent::Failed(ErrorReport::from(failure));
    codec(dialect).event_encoder(&context).encode(&event, &mut out);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::FailureKind;

    #[test]
    fn a_failure_is_an_error_event_of_its_dialect() {
        let failure = Failure::gateway(FailureKind::Saturated, "every account is busy");
        let id = RequestId::parse("req_1").unwrap();
        for (dialect, mark) in [
            (Dialect::OpenAiResponses, "response.failed"),
            (Dialect::OpenAiChat, "\"error\""),
            (Dialect::AnthropicMessages, "event: error"),
        ] {
            let event = String::from_utf8(failed(&failure, dialect, &id).to_vec()).unwrap();
            assert!(event.contains(mark) && event.contains("busy"), "{dialect:?}: {event}");
            assert!(!event.contains("[DONE]") && !event.contains("message_stop"), "{dialect:?}: {event}");
        }
    }
}
