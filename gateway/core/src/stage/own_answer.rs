//! An answer that a filter gives itself: its text in the client's dialect, as a stream or as one object.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gateway_protocol::translate::codec;
use gateway_protocol::turn::{
    BlockStart, Collector, Delta, Started, StopReason, ToolNames, TurnEvent, Usage,
};
use http::HeaderMap;

use super::decode::Decoded;
use super::forward::answer_context;
use super::reader::Reader;
use super::relay::{Reply, ReplyBody, ready};
use super::sealed::Maker;
use super::settle::Settlement;
use super::turn_reader::{TurnReader, TurnReading};
use crate::Gateway;

/// What goes to the client.
pub(crate) enum OwnAnswer {
    /// Events, and what would read along if there were more.
    Stream(Bytes, Reader),
    /// One object.
    Whole(Bytes),
}

/// Puts a text into the client's words.
pub(crate) fn write(gateway: &Arc<Gateway>, decoded: &Decoded, text: String) -> OwnAnswer {
    let dialect = decoded.route.dialect();
    let context = answer_context(gateway, decoded);
    let events = [
        TurnEvent::Started(Started { model: context.model.clone(), ..Started::default() }),
        TurnEvent::BlockStart { index: 0, block: BlockStart::Text },
        TurnEvent::Delta { index: 0, delta: Delta::Text(text) },
        TurnEvent::BlockEnd { index: 0 },
        TurnEvent::Usage(Usage::default()),
        TurnEvent::Finished(StopReason::Stop),
    ];
    if !decoded.wants_stream {
        let mut fold = Collector::default();
        events.iter().for_each(|event| fold.take(event));
        return OwnAnswer::Whole(codec(dialect).encode_answer(&fold.finish(), &context).into());
    }
    let mut out = BytesMut::new();
    let mut encoder = codec(dialect).event_encoder(&context);
    events.iter().for_each(|event| encoder.encode(event, &mut out));
    let reading =
        TurnReading { from: dialect, to: dialect, wants_stream: true, context, names: ToolNames::default() };
    let maker = Maker::new(gateway, decoded, None);
    OwnAnswer::Stream(out.freeze(), Reader::Turn(Box::new(TurnReader::new(gateway, maker, reading))))
}

/// Hands it over; it costs nobody anything.
pub(crate) fn reply(answer: OwnAnswer, settlement: Settlement) -> Reply {
    let (id, gateway) = (settlement.id().clone(), settlement.gateway().clone());
    settlement.complete(None, None);
    let body = match answer {
        OwnAnswer::Stream(events, reader) => ReplyBody::Stream(Box::new(ready(&gateway, events, reader))),
        OwnAnswer::Whole(object) => ReplyBody::Whole(object),
    };
    Reply { id, headers: HeaderMap::new(), body }
}
