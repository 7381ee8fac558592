//! The members of a JSON object without parsing their values, and a rebuild that copies them byte for byte.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object: its name and its value as it stands in the text.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Cow<'a, str>,
}

/// The members of an object in their order. A name that is repeated keeps its last value, as every JSON reader of
/// the dialects does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members<'a>(Vec<Member<'a>>);

/// More members than any real body has; comparing names up to here is cheaper than looking them up.
const FEW_MEMBERS: usize = 64;

/// Why a text is not a JSON object.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotAnObject(String);

impl<'a> Members<'a> {
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, NotAnObject> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members(Vec::with_capacity(20));
                let mut places = HashMap::new();
                while let Some(Name(name)) = map.next_key()? {
                    let value: &'de RawValue = map.next_value()?;
                    members.add(&mut places, name, Cow::Borrowed(value.get()));
                }
                Ok(members)
            }
        }
        let mut reader = serde_json::Deserializer::from_slice(text);
        let members = reader.deserialize_map(Collect).and_then(|members| reader.end().map(|()| members));
        members.map_err(|error| NotAnObject(error.to_string()))
    }

    /// [`Self::set`] for bodies with any number of members: beyond a few, names are looked up, not compared one by one.
    fn add(&mut self, places: &mut HashMap<Cow<'a, str>, usize>, name: Cow<'a, str>, value: Cow<'a, str>) {
        if self.0.len() < FEW_MEMBERS {
            return self.set(name, value);
        }
        if places.is_empty() {
            places.extend(self.0.iter().enumerate().map(|(place, member)| (member.name.clone(), place)));
        }
        match places.get(&name).and_then(|place| self.0.get_mut(*place)) {
            Some(member) => member.value = value,
            None => {
                places.insert(name.clone(), self.0.len());
                self.0.push(Member { name, value });
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|member| member.name == name).map(|member| &*member.value)
    }

    /// The same for as long as the text lives; `None` for a value that was set.
    pub(crate) fn borrowed(&self, name: &str) -> Option<&'a str> {
        match self.0.iter().find(|member| member.name == name)?.value {
            Cow::Borrowed(value) => Some(value),
            Cow::Owned(_) => None,
        }
    }

    /// All of them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|member| (&*member.name, &*member.value))
    }

    /// Sets a member in place, or appends it.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|member| member.name == name) {
            Some(member) => member.value = value,
            None => self.0.push(Member { name, value }),
        }
    }

    /// Takes a member out; says whether it was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|member| member.name != name);
        self.0.len() < before
    }

    /// The object's text: values byte for byte, names quoted anew.
    pub(crate) fn write(&self) -> Vec<u8> {
        let size = self.0.iter().map(|member| member.name.len() + member.value.len() + 4).sum::<usize>() + 2;
        let mut out = Vec::with_capacity(size);
        out.push(b'{');
        for (nth, member) in self.0.iter().enumerate() {
            if nth > 0 {
                out.push(b',');
            }
            // Quoting a text cannot fail.
            out.extend(serde_json::to_vec(&member.name).unwrap_or_default());
            out.push(b':');
            out.extend_from_slice(member.value.as_bytes());
        }
        out.push(b'}');
        out
    }
}

/// A member's name: borrowed when it holds no escapes.
pub(crate) struct Name<'a>(pub(crate) Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A JSON string's text, `None` when the value is something else.
pub(crate) fn text_of(value: &str) -> Option<String> {
    if value.starts_with('"') { serde_json::from_str(value).ok() } else { None }
}

/// What kind of JSON value a text is, for error messages.
pub(crate) fn kind_of(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_leaves_every_other_value_byte_for_byte() {
        let text = br#" { "a" : [1, 2.50,  {"x":"\u00e9"}] , "store":true,"\u0062":1e3, "a2": null } "#;
        let mut members = Members::read(text).unwrap();
        members.set("store", "false");
        assert!(members.remove("a2"));
        let out = String::from_utf8(members.write()).unwrap();
        assert_eq!(out, r#"{"a":[1, 2.50,  {"x":"\u00e9"}],"store":false,"b":1e3}"#);
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        for (text, why) in
            [("[]", "JSON object"), ("{\"a\":}", "column 6"), ("", "EOF"), ("{} x", "trailing")]
        {
            let refused = Members::read(text.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn deep_nesting_neither_recurses_nor_fails() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Members::read(text.as_bytes()).is_ok());
    }

    #[test]
    fn any_number_of_members_is_read_in_one_pass() {
        let mut text = String::from("{");
        for nth in 0..200_000 {
            text.push_str(&format!("\"m{}\":{nth},", nth % 100_000));
        }
        text.push_str("\"last\":1}");
        let members = Members::read(text.as_bytes()).unwrap();
        assert_eq!(members.iter().count(), 100_001);
        assert_eq!((members.get("m7"), members.get("m99999")), (Some("100007"), Some("199999")));
    }

    #[test]
    fn a_repeated_name_keeps_its_last_value() {
        let members = Members::read(br#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(members.get("a"), Some("3"));
    }
}
