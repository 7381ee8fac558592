//! Requests that nobody sends by accident. The same ones every time.

use std::borrow::Cow;
use std::sync::Arc;

use gateway_core::hooks::{
    BodyView, CatalogEntry, PromptBody, RawEvent, RequestContext, Role, StreamEvent, TextDelta, TextPart,
    ToolDelta, UsageOutcome, UsageRecord,
};
use gateway_domain::{Dialect, IdError, ModelName, RequestId, SessionKey, Timestamp, TokenUsage};
use gateway_scheduler::corpus::{Corpus, MAX_CANDIDATES};
use gateway_scheduler::{Candidate, Health, RankInput, RequestInfo, Roster, Surface};

use super::body_for;

type Question = (Arc<Roster>, Arc<RankInput>);

/// Words of every script, of no width, of both directions, and at the edge of what a text may hold.
const STRANGE: &str =
    "Grüße \u{202e}txet\u{202c} 你好 \u{1f469}\u{200d}\u{1f4bb} \u{feff}\u{0} \u{7f} e\u{301} \u{10ffff}";

/// What a scheduler is asked, by what it is about.
pub(super) fn questions() -> Result<Vec<(&'static str, Vec<Question>)>, IdError> {
    let mut corpus = Corpus::new(23)?;
    let long = info(&"m".repeat(256))?;
    let mut of = |sizes: &[usize]| sizes.iter().map(|size| corpus.question(*size)).collect::<Vec<_>>();
    let ordinary = of(&[1, 2, 3, 8, 20, 50]);
    let edges = of(&[6; 8]);
    let harsh = of(&[6; 3]);
    Ok(vec![
        ("nobody to choose from", of(&[0])),
        ("pools of every size", ordinary),
        ("the largest pool", of(&[MAX_CANDIDATES])),
        (
            "numbers at their edges",
            edges.into_iter().zip(0..).map(|(one, nth)| at_the_edge(one, nth)).collect(),
        ),
        (
            "everybody blocked, full or tried",
            harsh.into_iter().zip(0..).map(|(one, nth)| harshly(one, nth)).collect(),
        ),
        ("long and strange names", of(&[4]).into_iter().map(|one| strangely(one, &long)).collect()),
    ])
}

fn changed((roster, input): Question, change: impl FnOnce(&mut RankInput)) -> Question {
    let mut next = RankInput::clone(&input);
    change(&mut next);
    (roster, Arc::new(next))
}

fn at_the_edge(question: Question, nth: u32) -> Question {
    let edges = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -0.0, -1.0, 1e-308, 0.0];
    let edge = edges.get(nth as usize % edges.len()).copied().unwrap_or(0.0);
    changed(question, |input| {
        input.seed = [0, u64::MAX].get(nth as usize % 2).copied().unwrap_or(0);
        input.seq = u64::MAX;
        input.now = Timestamp::from_millis(i64::MAX);
        input.info.body_bytes = u32::MAX;
        input.info.attempt = u32::MAX;
        for one in &mut input.candidates {
            *one = Candidate {
                in_flight: one.in_flight.min(nth),
                max_concurrency: u32::MAX,
                short_window_used: edge,
                long_window_used: edge,
                short_window_resets_in_ms: u64::MAX,
                long_window_resets_in_ms: u64::MAX,
                cooldown_ms: u64::MAX,
                ttft_ewma_ms: edge,
                error_rate_ewma: edge,
                idle_ms: u64::MAX,
                last_picked_seq: u64::MAX,
                weight: edge,
                priority: edge,
                health_score: edge,
                capacity: edge,
                cost: edge,
                move_price: edge,
                ..*one
            };
        }
    })
}

fn harshly(question: Question, nth: u32) -> Question {
    changed(question, |input| match nth {
        0 => input.candidates.iter_mut().for_each(|one| one.health = Health::Blocked),
        1 => input.candidates.iter_mut().for_each(|one| one.in_flight = one.max_concurrency),
        _ => input.tried = input.candidates.iter().map(|one| one.account).collect(),
    })
}

fn strangely((roster, input): Question, info: &RequestInfo) -> Question {
    let mut roster = Roster::clone(&roster);
    for profile in &mut roster.accounts {
        profile.label = STRANGE.repeat(20);
        profile.plan = STRANGE.to_owned();
        profile.tags = (0..64).map(|n| format!("tag-{n}")).collect();
        profile.groups = vec![String::new(), STRANGE.to_owned()];
    }
    changed((Arc::new(roster), input), |input| input.info = info.clone())
}

/// One roster, two callers.
pub(super) fn tenants() -> Result<[Question; 2], IdError> {
    let (roster, input) = Corpus::new(29)?.question(12);
    let session = SessionKey::parse("another conversation")?;
    let one = changed((roster.clone(), input.clone()), |input| input.info.client = "one".to_owned());
    let other = changed((roster, input), |input| {
        input.info.client = "other".to_owned();
        input.info.session = Some(session);
        input.seed = !input.seed;
        input.candidates.iter_mut().for_each(|one| one.session_affine = false);
    });
    Ok([one, other])
}

/// Ordinary ones, to be asked again and again.
pub(super) fn many() -> Result<Vec<Question>, IdError> {
    let mut corpus = Corpus::new(31)?;
    // One roster: with another one each time, this would measure telling rosters.
    let (roster, input) = corpus.question(12);
    let asked =
        |seed| changed((roster.clone(), input.clone()), |input| (input.seed, input.seq) = (seed, seed));
    Ok((0..8_u64).map(asked).collect())
}

fn info(model: &str) -> Result<RequestInfo, IdError> {
    Ok(RequestInfo {
        request_id: RequestId::parse("req_conformance")?,
        client: "local".to_owned(),
        session: Some(SessionKey::parse("conversation")?),
        model: ModelName::parse(model)?,
        surface: Surface::Api,
        streaming: true,
        body_bytes: 2048,
        attempt: 0,
    })
}

/// What mappings and filters see beside a body.
pub(super) fn context(model: &str) -> Result<Arc<RequestContext>, IdError> {
    Ok(Arc::new(RequestContext {
        info: info(model)?,
        now: Timestamp::from_millis(1_750_000_000_000),
        seed: 7,
        dialect: Dialect::OpenAiResponses,
        reasoning_effort: Some("high".to_owned()),
        max_output_tokens: None,
        headers: vec![("user-agent".to_owned(), "made-up/1.0".to_owned())],
    }))
}

/// An ordinary one and odd ones.
pub(super) fn contexts() -> Result<Vec<Arc<RequestContext>>, IdError> {
    let long = "x".repeat(256);
    let odd = ["gpt-5", &long, "模型-Ü", "a/b:c@d?e#f", "*", "gpt-5-high", ".", "../../etc/passwd"];
    odd.iter()
        .zip([Dialect::OpenAiResponses, Dialect::OpenAiChat, Dialect::AnthropicMessages].iter().cycle())
        .map(|(model, dialect)| {
            let mut next = RequestContext::clone(&*context(model)?);
            next.dialect = *dialect;
            next.reasoning_effort = Some(STRANGE.to_owned());
            next.max_output_tokens = Some(0);
            next.seed = u64::MAX;
            next.headers = (0..64).map(|n| (format!("x-{n}"), STRANGE.repeat(8))).collect();
            Ok(if *model == "gpt-5" { context(model)? } else { Arc::new(next) })
        })
        .collect()
}

/// A catalogue of this many models.
pub(super) fn catalogue(models: usize) -> Vec<CatalogEntry> {
    let entry = |n: usize| CatalogEntry {
        id: if n == 1 { STRANGE.to_owned() } else { format!("model-{n}") },
        provider: "codex".to_owned(),
        context_window: n.is_multiple_of(2).then_some(u32::MAX),
        max_output_tokens: n.is_multiple_of(3).then_some(0),
    };
    (0..models).map(entry).collect()
}

/// A prompt in both shapes.
pub(super) struct Prompt {
    texts: Vec<(Role, String)>,
    raw: Vec<u8>,
}

impl Prompt {
    pub(super) fn new(texts: Vec<(Role, String)>) -> Self {
        let message =
            |(role, text): &(Role, String)| serde_json::json!({ "role": role.label(), "content": text });
        let input: Vec<_> = texts.iter().map(message).collect();
        let raw = serde_json::json!({ "model": "gpt-5", "input": input }).to_string().into_bytes();
        Self { texts, raw }
    }

    fn of_user(text: impl Into<String>) -> Self {
        Self::new(vec![(Role::User, text.into())])
    }

    pub(super) fn bytes(&self) -> usize {
        self.raw.len()
    }

    /// Hands it over as the filter asked to see it.
    pub(super) fn shown<R>(&self, view: BodyView, ask: impl FnOnce(PromptBody<'_>) -> R) -> R {
        let parts: Vec<TextPart<'_>> = (0_u32..)
            .zip(&self.texts)
            .map(|(at, (role, text))| TextPart {
                part: at,
                message: at,
                role: *role,
                text: Cow::Borrowed(text.as_str()),
            })
            .collect();
        ask(body_for(view, &parts, &self.raw))
    }
}

/// Prompts by what they are about. Bodies that are no proper JSON only to those who are shown bytes.
pub(super) fn prompts(raw: bool) -> Vec<(&'static str, Prompt)> {
    let mut prompts = vec![
        ("a prompt without messages", Prompt::new(Vec::new())),
        ("an empty text", Prompt::of_user("")),
        ("texts of every script, with no width and of both directions", Prompt::of_user(STRANGE)),
        ("a megabyte of one letter", Prompt::of_user("a".repeat(1024 * 1024))),
        ("a megabyte of letters and digits", Prompt::of_user(mixed(1024 * 1024))),
        ("a hundred thousand brackets and dots", Prompt::of_user("([{.@-_/\\".repeat(12_000))),
        ("a thousand messages", Prompt::new((0..1_000).map(|n| (role(n), format!("message {n}"))).collect())),
    ];
    if raw {
        let deep = format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000));
        let bytes = |raw: &[u8]| Prompt { texts: Vec::new(), raw: raw.to_vec() };
        prompts.push(("two thousand lists in one another", bytes(deep.as_bytes())));
        prompts.push(("no JSON", bytes(b"{\"model\": ")));
        prompts.push(("bytes that are no text", bytes(&[0xff, 0xfe, 0x00, 0x80])));
        prompts.push(("nothing at all", bytes(b"")));
    }
    prompts
}

fn role(n: usize) -> Role {
    let roles = [Role::System, Role::Developer, Role::User, Role::Assistant, Role::Tool];
    roles.get(n % roles.len()).copied().unwrap_or(Role::User)
}

/// What looks like words, numbers and addresses, without a pattern that repeats early.
pub(super) fn mixed(bytes: usize) -> String {
    let words =
        ["order", "4111", "me@example.com", "+1-202", "token", "a1b2", "10.0.0.1", "Straße", "und", "=="];
    let mut state = 17_usize;
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        text.push_str(words.get((state >> 16) % words.len()).copied().unwrap_or_default());
        text.push(if state & 0x0010_0000 == 0 { ' ' } else { ',' });
    }
    text
}

/// Two prompts that a filter may want to remember, and must not.
pub(super) fn secrets() -> [Prompt; 2] {
    [
        Prompt::of_user("write to one@example.com"),
        Prompt::of_user("write to other@example.com and call +1 202 555 0100"),
    ]
}

/// An event with a text of its own.
pub(super) enum Wanted {
    Start,
    Text(String),
    Reasoning(String),
    Tool(Option<String>, String),
    Usage(u64),
    Stop(String),
    Raw(String),
}

impl Wanted {
    pub(super) fn shown(&self) -> StreamEvent<'_> {
        match self {
            Self::Start => StreamEvent::Start,
            Self::Text(text) => StreamEvent::Text(TextDelta { choice: 0, text }),
            Self::Reasoning(text) => StreamEvent::Reasoning(TextDelta { choice: u32::MAX, text }),
            Self::Tool(name, arguments) => {
                StreamEvent::ToolCall(ToolDelta { choice: 0, call: 1, name: name.as_deref(), arguments })
            }
            Self::Usage(n) => {
                StreamEvent::Usage(TokenUsage { input: *n, input_cached: *n, output: *n, reasoning: *n })
            }
            Self::Stop(reason) => StreamEvent::Stop(reason),
            Self::Raw(data) => StreamEvent::Raw(RawEvent { event: "response.unknown", data }),
        }
    }
}

/// A piece of an answer.
pub(super) const fn delta(text: &str) -> TextDelta<'_> {
    TextDelta { choice: 0, text }
}

/// Responses by what they are about, in batches.
pub(super) fn streams() -> Vec<(&'static str, Vec<Vec<Wanted>>)> {
    let text = |text: &str| Wanted::Text(text.to_owned());
    let cut = "me@example.com costs 4111 1111 1111 1111";
    vec![
        ("a response that ends at once", vec![vec![]]),
        (
            "every kind of event in one batch",
            vec![vec![
                Wanted::Start,
                Wanted::Reasoning(STRANGE.to_owned()),
                text(STRANGE),
                Wanted::Tool(Some("look".to_owned()), "{\"a\":".to_owned()),
                Wanted::Tool(None, String::new()),
                Wanted::Usage(u64::MAX),
                Wanted::Raw("not JSON".to_owned()),
                Wanted::Stop(String::new()),
            ]],
        ),
        ("a text cut behind every letter", cut.chars().map(|c| vec![text(&c.to_string())]).collect()),
        ("empty pieces", vec![vec![text(""), text(""), Wanted::Reasoning(String::new())], vec![]]),
        ("two hundred and fifty-six events at once", vec![(0..256).map(|_| text("word ")).collect(), vec![]]),
        ("a piece of sixty-four kilobytes", vec![vec![text(&"x".repeat(64 * 1024))], vec![]]),
    ]
}

/// What a plugin never gave away as its memory of a stream.
pub(super) fn carries() -> Vec<Vec<u8>> {
    vec![vec![0], vec![0xff; 16 * 1024], b"{\"version\":99}".to_vec(), (0..=255).collect()]
}

/// This many settled requests.
pub(super) fn usage(records: usize) -> Result<Vec<UsageRecord>, IdError> {
    let outcomes = [UsageOutcome::Completed, UsageOutcome::Failed, UsageOutcome::Cancelled];
    let record = |n: usize| -> Result<UsageRecord, IdError> {
        let most = [0, u64::MAX].get(n % 2).copied().unwrap_or(0);
        Ok(UsageRecord {
            request_id: RequestId::parse(&format!("req_{n}"))?,
            client: STRANGE.to_owned(),
            account: String::new(),
            provider: "codex".to_owned(),
            model: "m".repeat(256),
            outcome: outcomes.get(n % 3).copied().unwrap_or(UsageOutcome::Completed),
            failure: String::new(),
            http_status: u16::MAX,
            usage: TokenUsage { input: most, input_cached: most, output: most, reasoning: most },
            ttft_ms: n.is_multiple_of(2).then_some(u32::MAX),
            duration_ms: u32::MAX,
            finished_at: Timestamp::from_millis(i64::MAX),
        })
    };
    (0..records).map(record).collect()
}
