//! Questions written by people: the files in `policies/cases/` and the maps that a script's own tests hand to `ask`.
//! One shape for both, read strictly: what is misspelt is named. Not for serving.

mod hooked;
mod question;

use gateway_scheduler::{Action, RankDecision};
use rhai::{Dynamic, Engine, Map};

pub(crate) use hooked::{HookCase, made_up, made_up_parts};
pub(crate) use question::Question;

/// A case file: a question and what must come out.
#[derive(Debug)]
pub(crate) struct Case {
    /// One sentence: what it proves.
    pub(crate) about: String,
    pub(crate) question: Question,
    expected: Expected,
}

#[derive(Debug, Default)]
struct Expected {
    /// Labels, best first; or one word: `delegate`, `wait 500`, `refuse 429 code`.
    order: Option<Vec<String>>,
    /// Only the label of the best.
    first: Option<String>,
    reason: Option<String>,
}

impl Case {
    /// From the text of a file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // Raw: JSON needs no words, and a case may be longer than what a script may build.
        let engine = Engine::new_raw();
        let map = engine.parse_json(text, true).map_err(|error| error.to_string())?;
        let mut fields = Fields::of(&map, "the case");
        let case = Self {
            about: fields.text("about")?.unwrap_or_default(),
            question: Question::from_map(&fields.map("question")?.ok_or("the case has no question")?)?,
            expected: Expected::from_map(&fields.map("expect")?.ok_or("the case expects nothing")?)?,
        };
        fields.finish()?;
        Ok(case)
    }

    /// What is wrong with this answer, if anything.
    pub(crate) fn judge(&self, decision: &RankDecision) -> Result<(), String> {
        let order = self.question.order(decision);
        let Expected { order: wanted, first, reason } = &self.expected;
        let differs = |what: &str, wanted: &str, found: &str| {
            Err(format!("{}: expected {what} {wanted}, found {found}", self.about))
        };
        if let Some(wanted) = wanted.as_ref().filter(|wanted| **wanted != order) {
            return differs("order", &wanted.join(", "), &order.join(", "));
        }
        let best = order.first().map(String::as_str).unwrap_or_default();
        if let Some(first) = first.as_ref().filter(|first| *first != best) {
            return differs("first", first, best);
        }
        match reason {
            Some(reason) if *reason != decision.reason => differs("reason", reason, &decision.reason),
            _ => Ok(()),
        }
    }
}

impl Expected {
    fn from_map(map: &Map) -> Result<Self, String> {
        let mut fields = Fields::of(map, "what is expected");
        let expected = Self {
            order: fields.texts("order")?,
            first: fields.text("first")?,
            reason: fields.text("reason")?,
        };
        fields.finish()?;
        if expected.order.is_none() && expected.first.is_none() {
            return Err("a case expects an order or a first".to_owned());
        }
        Ok(expected)
    }
}

/// The word for an action that names no account.
pub(crate) fn action_word(action: &Action) -> String {
    match action {
        Action::Ranked(_) => "ranked".to_owned(),
        Action::WaitMs(ms) => format!("wait {ms}"),
        Action::Refuse(rejection) => format!("refuse {} {}", rejection.http_status, rejection.code),
        Action::Delegate => "delegate".to_owned(),
    }
}

/// Reads a map field by field and remembers which fields exist, to name those that do not.
pub(crate) struct Fields<'m> {
    map: &'m Map,
    what: &'static str,
    known: Vec<&'static str>,
}

impl<'m> Fields<'m> {
    pub(crate) const fn of(map: &'m Map, what: &'static str) -> Self {
        Self { map, what, known: Vec::new() }
    }

    /// Missing and `null` are the same.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<&'m Dynamic> {
        self.known.push(name);
        self.map.get(name).filter(|value| !value.is_unit())
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        kind: &str,
        read: impl FnOnce(&Dynamic) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let what = self.what;
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| format!("{name} of {what} must be {kind}, not {value}"))
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, String> {
        self.read(name, "a text", |value| value.clone().into_string().ok())
    }

    pub(crate) fn truth(&mut self, name: &'static str) -> Result<Option<bool>, String> {
        self.read(name, "true or false", |value| value.as_bool().ok())
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<f64>, String> {
        self.read(name, "a number", |value| {
            value.as_float().ok().or_else(|| value.as_int().ok().map(|n| n as f64))
        })
    }

    /// A whole number that is not negative.
    pub(crate) fn count<T: TryFrom<i64>>(&mut self, name: &'static str) -> Result<Option<T>, String> {
        self.read(name, "a whole number, not negative", |value| T::try_from(value.as_int().ok()?).ok())
    }

    pub(crate) fn map(&mut self, name: &'static str) -> Result<Option<Map>, String> {
        self.read(name, "an object", |value| value.clone().try_cast::<Map>())
    }

    /// One text is short for a list of one.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, String> {
        self.read(name, "a list of texts", |value| {
            if let Ok(one) = value.clone().into_string() {
                return Some(vec![one]);
            }
            let list = value.clone().into_array().ok()?;
            list.into_iter().map(|text| text.into_string().ok()).collect()
        })
    }

    /// No field may be left that nobody asked for.
    pub(crate) fn finish(self) -> Result<(), String> {
        let unknown = self.map.keys().find(|key| !self.known.contains(&key.as_str()));
        unknown.map_or(Ok(()), |unknown| {
            Err(format!("{} has no {unknown}; it may have {}", self.what, self.known.join(", ")))
        })
    }
}
