//! Translation of the `openai-responses` dialect to and from the internal language.
//!
//! Only for requests whose two sides speak different dialects; the same dialect on both sides passes through the
//! modules beside this one, byte for byte.

mod answer;
mod decode_request;
mod decode_stream;
mod encode_request;
mod encode_stream;
mod events;
mod output;
mod tool;

use crate::openai;
use crate::turn::{
    AnswerContext, Codec, Decoded, Dropped, ErrorReport, EventDecoder, EventEncoder, TurnAnswer, TurnError,
    TurnEvent, TurnRequest,
};

/// Responses.
#[derive(Debug, Clone, Copy)]
pub struct Responses;

impl Codec for Responses {
    fn decode_request(&self, body: &[u8]) -> Result<Decoded, TurnError> {
        decode_request::decode(body)
    }

    fn encode_request(&self, request: &TurnRequest, dropped: &mut Dropped) -> Result<Vec<u8>, TurnError> {
        encode_request::encode(request, dropped)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(decode_stream::Decoder::default())
    }

    fn event_encoder(&self, context: &AnswerContext) -> Box<dyn EventEncoder> {
        Box::new(encode_stream::Encoder::new(context))
    }

    fn decode_answer(&self, body: &[u8], out: &mut Vec<TurnEvent>) -> Result<(), TurnError> {
        answer::decode(body, out)
    }

    fn encode_answer(&self, answer: &TurnAnswer, context: &AnswerContext) -> Vec<u8> {
        answer::encode(answer, context)
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ErrorReport {
        openai::decode_error(status, body)
    }

    fn encode_error(&self, report: &ErrorReport) -> Vec<u8> {
        openai::encode_error(report)
    }
}
