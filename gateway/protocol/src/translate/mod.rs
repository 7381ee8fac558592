//! Where a dialect finds its codec. Translation is a codec's reading and another's writing, with the internal language
//! between them; it owns nothing else, and the order of the steps is the pipeline's.

use crate::chat::Chat;
use crate::messages::Messages;
use crate::responses::Responses;
use crate::turn::{Codec, Dialect};

/// The dialect's codec.
#[must_use]
pub fn codec(dialect: Dialect) -> &'static dyn Codec {
    match dialect {
        Dialect::OpenAiResponses => &Responses,
        Dialect::OpenAiChat => &Chat,
        Dialect::AnthropicMessages => &Messages,
    }
}

#[cfg(test)]
pub(crate) mod tests;
