//! What filters are written with: the prompt and its parts, the events of an answer.
//!
//! A part may be longer than any text a script may build, so what is done to it is done here, not in the script.

use std::sync::Arc;

use gateway_core::hooks::{
    Edit, Emission, FilterOutcome, FilterVerdict, Hit, Insertion, PromptBody, Role, Step, StreamEvent,
};
use parking_lot::Mutex;
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString};

use super::book::{Book, say};
use super::complaint;
use super::request::integer;

/// The second argument of `filter_request`: the prompt, and what is to become of it.
#[derive(Debug, Clone)]
pub(crate) struct PromptSeen(Arc<Prompt>);

#[derive(Debug)]
struct Prompt {
    parts: Vec<Part>,
    messages: u32,
    outbox: Mutex<FilterOutcome>,
}

#[derive(Debug)]
struct Part {
    handle: u32,
    message: u32,
    role: &'static str,
    text: Mutex<String>,
}

/// One part of it.
#[derive(Debug, Clone)]
pub(crate) struct PartSeen {
    prompt: Arc<Prompt>,
    at: usize,
}

/// A text that the filter answers itself.
#[derive(Debug, Clone)]
pub(crate) struct Answered(pub(crate) String);

impl PromptSeen {
    pub(crate) fn of(body: PromptBody<'_>) -> Self {
        let (parts, messages) = match body {
            PromptBody::Parts { parts, messages } => (parts, messages),
            PromptBody::Absent | PromptBody::RawJson(_) => (&[][..], 0),
        };
        let parts = parts
            .iter()
            .map(|part| Part {
                handle: part.part,
                message: part.message,
                role: part.role.label(),
                text: Mutex::new(part.text.clone().into_owned()),
            })
            .collect();
        Self(Arc::new(Prompt { parts, messages, outbox: Mutex::new(FilterOutcome::PASS) }))
    }

    /// What the script said so far.
    pub(crate) fn outcome(&self) -> FilterOutcome {
        self.0.outbox.lock().clone()
    }
}

impl Prompt {
    fn edit(&self, edit: Edit) {
        let mut outbox = self.outbox.lock();
        match &mut outbox.verdict {
            FilterVerdict::Edits(edits) => edits.push(edit),
            verdict => *verdict = FilterVerdict::Edits(vec![edit]),
        }
    }

    fn hit(&self, rule: &str, score: f64, part: Option<u32>) {
        self.outbox.lock().hits.push(Hit { rule: rule.to_owned(), score, part });
    }

    fn rewrite(&self, at: usize, change: impl FnOnce(&str) -> String) -> bool {
        let Some(part) = self.parts.get(at) else { return false };
        let mut text = part.text.lock();
        let next = change(&text);
        if next == *text {
            return false;
        }
        text.clone_from(&next);
        drop(text);
        self.edit(Edit::ReplaceText { part: part.handle, text: next });
        true
    }
}

impl PartSeen {
    fn read<T>(&self, read: impl FnOnce(&str) -> T) -> Option<T> {
        self.prompt.parts.get(self.at).map(|part| read(&part.text.lock()))
    }
}

fn role_of(word: &str) -> Result<Role, Box<EvalAltResult>> {
    let all = [Role::System, Role::Developer, Role::User, Role::Assistant, Role::Tool];
    let found = all.into_iter().find(|role| role.label() == word);
    found.ok_or_else(|| {
        complaint(format!("there is no role `{word}`; system, developer, user, assistant, tool"))
    })
}

/// One event of an answer.
#[derive(Debug, Clone)]
pub(crate) struct EventSeen(Arc<Event>);

#[derive(Debug)]
struct Event {
    kind: &'static str,
    text: String,
    name: String,
    choice: u32,
    memory: Mutex<String>,
    hits: Mutex<Vec<Hit>>,
}

impl EventSeen {
    pub(crate) fn of(event: &StreamEvent<'_>, memory: String) -> Self {
        let (kind, text, name, choice) = match event {
            StreamEvent::Start => ("start", "", "", 0),
            StreamEvent::Text(delta) => ("text", delta.text, "", delta.choice),
            StreamEvent::Reasoning(delta) => ("reasoning", delta.text, "", delta.choice),
            StreamEvent::ToolCall(delta) => {
                ("tool", delta.arguments, delta.name.unwrap_or_default(), delta.choice)
            }
            StreamEvent::Usage(_) => ("usage", "", "", 0),
            StreamEvent::Stop(reason) => ("stop", *reason, "", 0),
            StreamEvent::Raw(raw) => ("raw", raw.data, raw.event, 0),
        };
        Self(Arc::new(Event {
            kind,
            text: text.to_owned(),
            name: name.to_owned(),
            choice,
            memory: Mutex::new(memory),
            hits: Mutex::default(),
        }))
    }

    /// What the script remembers, and what it found.
    pub(crate) fn take_into(&self, hits: &mut Vec<Hit>) -> String {
        hits.append(&mut self.0.hits.lock());
        std::mem::take(&mut self.0.memory.lock())
    }
}

/// What becomes of an event.
#[derive(Debug, Clone)]
pub(crate) struct EventStep(Step);

impl EventStep {
    /// Reads what `filter_response` answered; `None` when it is something else.
    pub(crate) fn of(answer: Dynamic, event: &StreamEvent<'_>) -> Option<Step> {
        if answer.is_unit() {
            return Some(Step::Pass);
        }
        let text = match answer.try_cast_result::<Self>() {
            Ok(step) => return Some(step.0),
            Err(answer) => answer.into_string().ok()?,
        };
        let emission = match event {
            StreamEvent::Text(delta) => Emission::Text { choice: delta.choice, text },
            StreamEvent::Reasoning(delta) => Emission::Reasoning { choice: delta.choice, text },
            StreamEvent::ToolCall(delta) => Emission::ToolCall {
                choice: delta.choice,
                call: delta.call,
                name: delta.name.map(str::to_owned),
                arguments: text,
            },
            _ => return None,
        };
        Some(Step::Replace(vec![emission]))
    }
}

pub(super) fn register(book: &mut Book) {
    book.engine
        .register_type_with_name::<PromptSeen>("Prompt")
        .register_type_with_name::<PartSeen>("Part")
        .register_type_with_name::<Answered>("Answered")
        .register_type_with_name::<EventSeen>("Event")
        .register_type_with_name::<EventStep>("Step");
    register_prompt(book);
    register_parts(book);
    register_events(book);
}

fn register_prompt(book: &mut Book) {
    say!(book, Property, "Prompt";
        "parts: Array" "its texts, in the order of the conversation" => |one: &mut PromptSeen| -> Array {
            (0..one.0.parts.len()).map(|at| Dynamic::from(PartSeen { prompt: Arc::clone(&one.0), at })).collect()
        };
        "messages: int" "how many messages there are" => |one: &mut PromptSeen| i64::from(one.0.messages);
    );
    say!(book, Method, "Prompt";
        "contains(text: String) -> bool" "whether any part does" => |one: &mut PromptSeen, text: ImmutableString| {
            one.0.parts.iter().any(|part| part.text.lock().contains(text.as_str()))
        };
        "replace(old: String, new: String) -> bool" "in every part; whether it was there"
            => |one: &mut PromptSeen, old: ImmutableString, new: ImmutableString| {
                let change = |text: &str| if old.is_empty() { text.to_owned() } else { text.replace(old.as_str(), &new) };
                (0..one.0.parts.len()).filter(|at| one.0.rewrite(*at, change)).count() > 0
            };
        "insert(before: int, role: String, text: String)" "puts a message in, before the one with this number"
            => |one: &mut PromptSeen, before: i64, role: ImmutableString, text: ImmutableString| -> Result<(), Box<EvalAltResult>> {
                let before_message = u32::try_from(before).unwrap_or(0).min(one.0.messages);
                one.0.edit(Edit::Insert(Insertion { before_message, role: role_of(&role)?, text: text.to_string() }));
                Ok(())
            };
        "remove_message(message: int)" "takes a message out" => |one: &mut PromptSeen, message: i64| {
            one.0.edit(Edit::RemoveMessage(u32::try_from(message).unwrap_or(u32::MAX)));
        };
        "set_field(name: String, json: String)" "sets a member at the top of the body, in JSON"
            => |one: &mut PromptSeen, name: ImmutableString, json: ImmutableString| {
                one.0.edit(Edit::SetField { name: name.to_string(), value_json: Some(json.to_string()) });
            };
        "remove_field(name: String)" "takes a member at the top out" => |one: &mut PromptSeen, name: ImmutableString| {
            one.0.edit(Edit::SetField { name: name.to_string(), value_json: None });
        };
        "set_header(name: String, value: String)" "a header for the upstream, in lower case"
            => |one: &mut PromptSeen, name: ImmutableString, value: ImmutableString| {
                one.0.edit(Edit::SetHeader { name: name.to_string(), value: value.to_string() });
            };
        "set_tag(name: String, value: String)" "a tag for the decision record"
            => |one: &mut PromptSeen, name: ImmutableString, value: ImmutableString| {
                one.0.edit(Edit::SetTag { name: name.to_string(), value: value.to_string() });
            };
        "hit(rule: String, score: float)" "a rule found something; names the rule, never text"
            => |one: &mut PromptSeen, rule: ImmutableString, score: f64| one.0.hit(&rule, score, None);
        "remember(text: String)" "what `filter_response` finds in `event.memory`"
            => |one: &mut PromptSeen, text: ImmutableString| one.0.outbox.lock().carry = text.as_bytes().to_vec();
    );
    say!(book, Function, "Filters";
        "answer(text: String) -> Answered" "the client gets this; nothing goes upstream"
            => |text: ImmutableString| Answered(text.to_string());
    );
}

fn register_parts(book: &mut Book) {
    say!(book, Property, "Part";
        "role: String" "`system`, `developer`, `user`, `assistant` or `tool`" => |one: &mut PartSeen| -> ImmutableString {
            one.prompt.parts.get(one.at).map_or("", |part| part.role).into()
        };
        "message: int" "the message it belongs to, counted from 0" => |one: &mut PartSeen| {
            one.prompt.parts.get(one.at).map_or(0, |part| i64::from(part.message))
        };
        "text: String" "what is said; too long for a script beyond 16 KiB, so ask `contains` instead"
            => |one: &mut PartSeen| -> ImmutableString { one.read(|text| ImmutableString::from(text)).unwrap_or_default() };
        "bytes: int" "its length" => |one: &mut PartSeen| integer(one.read(str::len).unwrap_or(0) as u64);
    );
    say!(book, Method, "Part";
        "contains(text: String) -> bool" "whether it holds this text"
            => |one: &mut PartSeen, text: ImmutableString| one.read(|own| own.contains(text.as_str())).unwrap_or(false);
        "replace(old: String, new: String) -> bool" "everywhere in it; whether it was there"
            => |one: &mut PartSeen, old: ImmutableString, new: ImmutableString| {
                !old.is_empty() && one.prompt.rewrite(one.at, |text| text.replace(old.as_str(), &new))
            };
        "set_text(text: String) -> bool" "another text; whether it is another one"
            => |one: &mut PartSeen, text: ImmutableString| one.prompt.rewrite(one.at, |_| text.to_string());
        "hit(rule: String, score: float)" "a rule found something here"
            => |one: &mut PartSeen, rule: ImmutableString, score: f64| {
                let handle = one.prompt.parts.get(one.at).map(|part| part.handle);
                one.prompt.hit(&rule, score, handle);
            };
    );
}

fn register_events(book: &mut Book) {
    say!(book, Property, "Event";
        "kind: String" "`start`, `text`, `reasoning`, `tool`, `usage`, `stop` or `raw`"
            => |one: &mut EventSeen| -> ImmutableString { one.0.kind.into() };
        "text: String" "the piece of text or of arguments, the reason of a stop, the data of a raw event"
            => |one: &mut EventSeen| -> ImmutableString { one.0.text.as_str().into() };
        "name: String" "of a tool, with its first piece; of a raw event"
            => |one: &mut EventSeen| -> ImmutableString { one.0.name.as_str().into() };
        "choice: int" "which of the parallel answers or output items" => |one: &mut EventSeen| i64::from(one.0.choice);
        "memory: String" "what it remembers of this answer" => |one: &mut EventSeen| -> ImmutableString {
            one.0.memory.lock().as_str().into()
        };
    );
    say!(book, Method, "Event";
        "remember(text: String)" "for the next events of this answer"
            => |one: &mut EventSeen, text: ImmutableString| *one.0.memory.lock() = text.to_string();
        "hit(rule: String, score: float)" "a rule found something"
            => |one: &mut EventSeen, rule: ImmutableString, score: f64| {
                one.0.hits.lock().push(Hit { rule: rule.to_string(), score, part: None });
            };
    );
    say!(book, Function, "Filters";
        "discard() -> Step" "leaves the event out" => || EventStep(Step::Discard);
        "hold() -> Step" "keeps it back until the next one that is not held" => || EventStep(Step::Hold);
        "finish(reason: String) -> Step" "ends the answer in good order: `stop`, `length` or `content_filter`, told as its dialect names it"
            => |reason: ImmutableString| EventStep(Step::Finish(reason.to_string()));
    );
}
