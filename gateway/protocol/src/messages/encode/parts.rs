//! Parts of a message or of a tool's answer as content blocks.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::wire::{Block, Source, WireRole};
use crate::turn::{Dialect, Dropped, File, Image, MediaSource, Part, TurnError};

/// What ids of this provider's file storage begin with.
const FILE_ID: &str = "file_";

/// The block for a part; `None` for one that says nothing or was left out.
pub(super) fn block<'a>(
    part: &'a Part,
    role: WireRole,
    dropped: &mut Dropped,
) -> Result<Option<Block<'a>>, TurnError> {
    Ok(match part {
        Part::Text(text) | Part::Refusal(text) => text_block(text),
        Part::Image(_) | Part::File(_) if role == WireRole::Assistant => {
            dropped.note("pictures and documents of the assistant: only the user can send them");
            None
        }
        Part::Image(image) => Some(image_block(image)?),
        Part::File(file) => Some(document_block(file)?),
        Part::Audio(_) => {
            return Err(TurnError::unsupported("input", "it takes no audio; send a transcript"));
        }
        Part::Opaque(opaque) if opaque.dialect == Dialect::AnthropicMessages => {
            Some(Block::Opaque(&opaque.raw))
        }
        Part::Opaque(opaque) => {
            dropped.note(format!("`{}` parts: no counterpart in anthropic-messages", opaque.kind));
            None
        }
    })
}

/// The API refuses texts of white space alone.
pub(super) fn text_block(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text { text: Cow::Borrowed(text) })
}

fn image_block(image: &Image) -> Result<Block<'_>, TurnError> {
    Ok(Block::Image { source: source(&image.source)? })
}

fn document_block(file: &File) -> Result<Block<'_>, TurnError> {
    let source = match &file.source {
        MediaSource::Base64 { media_type, data } if media_type.starts_with("text/") => plain_text(data)?,
        MediaSource::Base64 { media_type, .. } if media_type != "application/pdf" => {
            let why = format!("it takes PDF and plain text, not `{media_type}`");
            return Err(TurnError::unsupported("input", why));
        }
        other => source(other)?,
    };
    Ok(Block::Document { source, title: file.name.as_deref() })
}

/// Text documents travel as text, not as base64.
fn plain_text(data: &str) -> Result<Source<'_>, TurnError> {
    let bytes = STANDARD.decode(data).map_err(|_| TurnError::invalid("input", "a file is not base64"))?;
    let text =
        String::from_utf8(bytes).map_err(|_| TurnError::invalid("input", "a text file is not UTF-8"))?;
    Ok(Source::Text { media_type: "text/plain", data: Cow::Owned(text) })
}

fn source(source: &MediaSource) -> Result<Source<'_>, TurnError> {
    Ok(match source {
        MediaSource::Base64 { media_type, data } => Source::Base64 { media_type, data },
        MediaSource::Url(url) if url.starts_with("data:") => {
            return Err(TurnError::unsupported("input", "it takes data URLs in base64 only"));
        }
        MediaSource::Url(url) => Source::Url { url },
        MediaSource::Text(text) => Source::Text { media_type: "text/plain", data: Cow::Borrowed(text) },
        MediaSource::FileId(file_id) if file_id.starts_with(FILE_ID) => Source::File { file_id },
        MediaSource::FileId(_) => {
            let why = "a file uploaded to one provider is unknown to another; send its content";
            return Err(TurnError::unsupported("input", why));
        }
    })
}
