//! Typed reading that can say where it failed: a member's path (`messages[3].content[0].text`) instead of a column.
//!
//! The path costs nothing until something is wrong; then the text is walked once, up to the place of the error.

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::Members;
use crate::turn::{Json, TurnError};

/// The members of a request or answer. The text must be one JSON object.
pub(crate) fn object(body: &[u8]) -> Result<Members<'_>, TurnError> {
    Members::read(body).map_err(|error| TurnError::NotJson(error.to_string()))
}

/// A value of the type, `base` being the path of the whole text.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str, base: &str) -> Result<T, TurnError> {
    serde_json::from_str(text).map_err(|error| {
        let at = offset(text, error.line(), error.column());
        TurnError::Invalid {
            param: path_at(text.as_bytes(), at, base),
            why: in_json_words(&error.to_string()),
        }
    })
}

/// The parser's complaint in words that a caller knows, and without the value: it may be a megabyte long.
fn in_json_words(said: &str) -> String {
    let said = said.rfind(" at line ").and_then(|place| said.get(..place)).unwrap_or(said);
    let parts = said.strip_prefix("invalid ").and_then(|rest| {
        let rest = rest.strip_prefix("type: ").or_else(|| rest.strip_prefix("value: "))?;
        let at = rest.rfind(", expected ")?;
        Some((rest.get(..at)?, rest.get(at + ", expected ".len()..)?))
    });
    let Some((got, wanted)) = parts else { return said.to_owned() };
    let wanted = match wanted {
        "f64" => "a number",
        "u64" => "a whole number, 0 or more",
        "i64" => "a whole number",
        "a sequence" => "an array",
        other => other,
    };
    let got = match got.split_whitespace().next().unwrap_or_default() {
        "string" => "a string",
        "map" => "an object",
        "sequence" => "an array",
        "boolean" => "a boolean",
        "null" | "unit" => "null",
        // Numbers are short, and the number is what is wrong with them.
        _ => got.split('`').nth(1).unwrap_or("a number"),
    };
    format!("must be {wanted}, not {got}")
}

/// A JSON object. The derived readers also take an array by position, which no API does.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Members(std::marker::PhantomData)).map(Object)
    }
}

/// Reads members by name; what was not asked for is left over.
pub(crate) struct Fields<'m, 'a> {
    members: &'m Members<'a>,
    known: Vec<&'static str>,
}

impl<'m, 'a> Fields<'m, 'a> {
    pub(crate) fn new(members: &'m Members<'a>) -> Self {
        Self { members, known: Vec::with_capacity(40) }
    }

    /// The member's text; an absent one and `null` are the same.
    pub(crate) fn raw(&mut self, name: &'static str) -> Option<&'m str> {
        self.known.push(name);
        self.members.get(name).filter(|value| *value != "null")
    }

    pub(crate) fn get<T: Deserialize<'m>>(&mut self, name: &'static str) -> Result<Option<T>, TurnError> {
        self.raw(name).map(|text| read(text, name)).transpose()
    }

    pub(crate) fn object<T: Deserialize<'m>>(&mut self, name: &'static str) -> Result<Option<T>, TurnError> {
        Ok(self.get::<Object<T>>(name)?.map(|Object(value)| value))
    }

    pub(crate) fn json(&mut self, name: &'static str) -> Option<Json> {
        self.raw(name).and_then(json)
    }

    /// The names present that nobody asked for. Members that are `null` say nothing and are no loss.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &str> {
        self.members
            .iter()
            .filter(|(name, value)| *value != "null" && !self.known.contains(name))
            .map(|(name, _)| name)
    }
}

/// JSON text, kept.
pub(crate) fn json(text: &str) -> Option<Json> {
    RawValue::from_string(text.to_owned()).ok()
}

/// A text, or an array of parts: how all dialects write content.
#[derive(Debug)]
pub(crate) enum Content<T> {
    Text(String),
    Parts(Vec<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Content<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Content<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or an array")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(parts)).map(Content::Parts)
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

/// The byte that the parser's line and column mean.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
    lines.map(str::len).sum::<usize>() + column
}

enum Frame {
    /// The text range of the member's name, once it is known.
    Object(Option<(usize, usize)>),
    Array(usize),
}

/// The path of the value at `end`.
fn path_at(text: &[u8], end: usize, base: &str) -> String {
    let mut frames: Vec<Frame> = Vec::new();
    let mut wants_name = false;
    let mut at = 0;
    while let Some(byte) = text.get(at).filter(|_| at < end) {
        match byte {
            b'{' => {
                frames.push(Frame::Object(None));
                wants_name = true;
            }
            b'[' => {
                frames.push(Frame::Array(0));
                wants_name = false;
            }
            b'}' | b']' => {
                frames.pop();
            }
            b',' => match frames.last_mut() {
                Some(Frame::Array(nth)) => *nth += 1,
                Some(Frame::Object(name)) => {
                    *name = None;
                    wants_name = true;
                }
                None => {}
            },
            b'"' => {
                let close = string_end(text, at + 1);
                if wants_name && let Some(Frame::Object(name)) = frames.last_mut() {
                    *name = Some((at + 1, close));
                    wants_name = false;
                }
                at = close;
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = base.to_owned();
    for frame in frames {
        match frame {
            Frame::Array(nth) => path.push_str(&format!("[{nth}]")),
            Frame::Object(Some((from, to))) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&String::from_utf8_lossy(text.get(from..to).unwrap_or_default()));
            }
            Frame::Object(None) => {}
        }
    }
    path
}

/// The place of the quote that closes a string.
fn string_end(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Part {
        #[expect(dead_code, reason = "only read from the wire")]
        text: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    struct Message {
        #[expect(dead_code, reason = "only read from the wire")]
        role: Option<String>,
        #[expect(dead_code, reason = "only read from the wire")]
        content: Option<Content<Object<Part>>>,
    }

    #[test]
    fn an_error_names_the_member_by_its_path() {
        for (text, param, why) in [
            (r#"[{"role":"a"},{"role":7}]"#, "messages[1].role", "must be a string, not 7"),
            (
                r#"[{"content":[{"text":"x,]"},{"text":[]}]}]"#,
                "messages[0].content[1].text",
                "a string, not an array",
            ),
            ("[\n {\"content\":\n{}}]", "messages[0].content", "a string or an array"),
            (r#"[{"role":"\"}{","content":[7]}]"#, "messages[0].content[0]", "an object, not 7"),
            (r#"["x"]"#, "messages[0]", "must be an object, not a string"),
            (r#"{"a":1}"#, "messages", "must be an array, not an object"),
            (r#"[["user","x"]]"#, "messages[0]", "an object, not an array"),
        ] {
            let error = read::<Vec<Object<Message>>>(text, "messages").unwrap_err();
            assert_eq!(error.param(), Some(param), "{text}");
            let said = error.to_string();
            assert!(said.contains(why) && !said.contains("line"), "{text}: {said}");
        }
    }
}
