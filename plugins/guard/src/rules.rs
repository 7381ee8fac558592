//! Rules as data and what they find in one text. Each has a weight; a rule of words matches when one word of each of its
//! groups comes in order, near the one before. Which scores are too high is not decided here.

use serde::Deserialize;
use switchyard_plugin_sdk::{PluginError, invalid_config};
use switchyard_plugin_text::{Disguises, Found, Terms, disguises, fold};

use crate::encoded;

/// What one rule looks for, in the words of `rules.json` and of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// A negative one excuses.
    pub(crate) weight: i32,
    #[serde(default)]
    pub(crate) strict: bool,
    /// Characters between two groups at most.
    #[serde(default = "usual_distance")]
    near: usize,
    #[serde(default)]
    all: Vec<Vec<String>>,
    shape: Option<Shape>,
    #[serde(default = "one")]
    at_least: u32,
}

/// What is counted instead of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Shape {
    Invisible,
    Tags,
    Overrides,
    MixedWords,
    EncodedText,
}

const fn usual_distance() -> usize {
    40
}

const fn one() -> u32 {
    1
}

/// Limits of what the operator adds.
const MAX_RULES: usize = 512;
const MAX_NAME_BYTES: usize = 64;

#[derive(Deserialize)]
struct Shipped {
    rules: Vec<Rule>,
}

/// The rules that come with the plugin.
pub(crate) fn shipped() -> Result<Vec<Rule>, PluginError> {
    let file: Result<Shipped, _> = serde_json::from_str(include_str!("../rules.json"));
    file.map(|file| file.rules).map_err(|error| PluginError::Internal(format!("rules.json: {error}")))
}

/// Rules, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    rules: Vec<Rule>,
    terms: Terms,
    /// For each term the groups it is in.
    groups: Vec<Group>,
    /// For each rule of words where its places in a chain begin.
    chains: Vec<usize>,
    places: usize,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    rule: usize,
    number: usize,
    /// The rule matches here.
    last: bool,
}

impl Engine {
    /// Checks and prepares rules.
    pub(crate) fn new(rules: Vec<Rule>) -> Result<Self, PluginError> {
        if rules.len() > MAX_RULES {
            return Err(invalid_config(
                "/rules",
                &format!("there may be {MAX_RULES} rules with the shipped ones"),
            ));
        }
        let (mut groups, mut words, mut chains, mut places) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (at, rule) in rules.iter().enumerate() {
            rule.check()?;
            if rules.iter().take(at).any(|earlier| earlier.name == rule.name) {
                return Err(invalid_config("/rules", &format!("two rules are called {}", rule.name)));
            }
            chains.push(places);
            places += rule.all.len();
            for (number, group) in rule.all.iter().enumerate() {
                for word in group {
                    groups.push(Group { rule: at, number, last: number + 1 == rule.all.len() });
                    words.push(word.as_str());
                }
            }
        }
        let terms = Terms::new(words.iter().copied()).map_err(|(number, error)| {
            let name =
                groups.get(number).and_then(|group| rules.get(group.rule)).map_or("", |rule| &rule.name);
            invalid_config("/rules", &format!("rule {name}: {error}"))
        })?;
        Ok(Self { terms, groups, chains, places, rules })
    }

    /// The rule with this number.
    pub(crate) fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    /// The rules that match a text, each once.
    pub(crate) fn matches(&self, text: &str) -> Vec<usize> {
        let mut matched = Matched::default();
        self.words(text, &mut matched);
        let decoded = encoded::texts(text);
        for text in &decoded {
            self.words(text, &mut matched);
        }
        let seen = disguises(text);
        if !decoded.is_empty() || seen != Disguises::default() {
            let encoded = u32::try_from(decoded.len()).unwrap_or(u32::MAX);
            for (at, rule) in self.rules.iter().enumerate() {
                if rule.shape.is_some_and(|shape| shape.count(seen, encoded) >= rule.at_least) {
                    matched.put(at);
                }
            }
        }
        matched.0
    }

    fn words(&self, text: &str, matched: &mut Matched) {
        let folded = fold(text);
        // For each group the end of the latest chain that reached it; empty until the first word is found.
        let mut reached: Vec<Option<usize>> = Vec::new();
        self.terms.find(&folded, |found| {
            let Some(group) = self.groups.get(found.term) else { return };
            if reached.is_empty() {
                reached.resize(self.places, None);
            }
            if self.goes_on(*group, found, &folded, &mut reached) && group.last {
                matched.put(group.rule);
            }
        });
    }

    /// Whether the word is the first of a chain, or near enough behind the group before.
    fn goes_on(&self, group: Group, found: Found, folded: &str, reached: &mut [Option<usize>]) -> bool {
        let Some(first) = self.chains.get(group.rule) else { return false };
        let place = first + group.number;
        if group.number > 0 {
            let before = reached.get(place - 1).copied().flatten();
            let near = self.rules.get(group.rule).map_or(0, |rule| rule.near);
            let between = before.and_then(|end| folded.get(end..found.start));
            // Counted only where it is not clear anyhow.
            if !between.is_some_and(|text| {
                text.len() <= near || text.len() <= 4 * near && text.chars().count() <= near
            }) {
                return false;
            }
        }
        if let Some(reached) = reached.get_mut(place) {
            *reached = Some(found.end);
        }
        true
    }
}

#[derive(Default)]
struct Matched(Vec<usize>);

impl Matched {
    fn put(&mut self, rule: usize) {
        if !self.0.contains(&rule) {
            self.0.push(rule);
        }
    }
}

impl Shape {
    const fn count(self, seen: Disguises, encoded: u32) -> u32 {
        match self {
            Self::Invisible => seen.invisible,
            Self::Tags => seen.tags,
            Self::Overrides => seen.overrides,
            Self::MixedWords => seen.mixed_words,
            Self::EncodedText => encoded,
        }
    }
}

impl Rule {
    fn check(&self) -> Result<(), PluginError> {
        let wrong = |what: &str| Err(invalid_config("/rules", &format!("rule {}: {what}", self.name)));
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES || !self.name.bytes().all(allowed) {
            return wrong("a name is made of a-z, 0-9, dot, dash and underscore");
        }
        if !(-100..=100).contains(&self.weight) {
            return wrong("a weight is between -100 and 100");
        }
        match (self.shape, self.all.as_slice()) {
            (Some(_), []) => Ok(()),
            (Some(_), _) => wrong("either a shape or words, not both"),
            (None, []) => wrong("it has neither words nor a shape"),
            (None, groups) if groups.iter().any(Vec::is_empty) => wrong("a group without words"),
            (None, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(rules: &str) -> Engine {
        Engine::new(serde_json::from_str(rules).unwrap()).unwrap()
    }

    #[test]
    fn groups_come_in_order_and_near() {
        let engine = engine(
            r#"[{"name":"a","weight":1,"near":5,"all":[["one","eins"],["two"],["three","密"]]},
                {"name":"b","weight":1,"all":[["two"]]}]"#,
        );
        for (text, rules) in [
            ("one two three", &[1, 0][..]),
            ("EINS, two密", &[1, 0]),
            ("three two one", &[1]),
            ("one but far away two three", &[1]),
            ("one one two two three", &[1, 0]),
            ("one 二三四 two three", &[1, 0]),
            ("one 二三四五 two three", &[1]),
            ("none", &[]),
        ] {
            assert_eq!(engine.matches(text), rules, "{text}");
        }
    }

    #[test]
    fn rules_that_make_no_sense_are_refused_by_name() {
        for (rules, complaint) in [
            (r#"[{"name":"A","weight":1,"all":[["xx"]]}]"#, "a name is made of"),
            (r#"[{"name":"a","weight":101,"all":[["xx"]]}]"#, "a weight is between"),
            (r#"[{"name":"a","weight":1}]"#, "neither words nor a shape"),
            (r#"[{"name":"a","weight":1,"all":[["xx"]],"shape":"tags"}]"#, "either a shape"),
            (r#"[{"name":"a","weight":1,"all":[[]]}]"#, "a group without words"),
            (r#"[{"name":"a","weight":1,"all":[["x"]]}]"#, "rule a: a term needs"),
            (
                r#"[{"name":"a","weight":1,"all":[["xx"]]},{"name":"a","weight":1,"shape":"tags"}]"#,
                "two rules",
            ),
        ] {
            let refused = Engine::new(serde_json::from_str(rules).unwrap()).unwrap_err();
            assert!(format!("{refused:?}").contains(complaint), "{refused:?}");
        }
    }

    #[test]
    fn what_is_shipped_makes_sense() {
        let rules = shipped().unwrap();
        assert!(rules.len() > 25);
        Engine::new(rules).unwrap();
    }
}
