//! The `openai-chat` dialect: translation to and from the internal language.
//!
//! Owns every field name of chat completions. Routing and errors of the gateway's own are read and written elsewhere.

mod answer;
mod chunk;
mod decode_request;
mod decode_stream;
mod encode_request;
mod encode_stream;
mod tool;

pub(crate) use chunk::WireUsage;

use crate::openai;
use crate::turn::{
    AnswerContext, Codec, Decoded, Dropped, ErrorReport, EventDecoder, EventEncoder, TurnAnswer, TurnError,
    TurnEvent, TurnRequest,
};

/// Chat completions.
#[derive(Debug, Clone, Copy)]
pub struct Chat;

impl Codec for Chat {
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
