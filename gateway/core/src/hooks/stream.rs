//! One filter on one stream: asks it, carries its steps out, holds what it wants held. Generic over the pipeline's
//! events, so that what is passed is passed untouched.
//!
//! The filter is the one the stream began with: a reload does not reach a stream that runs.

use std::sync::Arc;

use gateway_domain::Timestamp;
use gateway_scheduler::Rejection;
use serde::{Deserialize, Serialize};

use super::hold::{HoldQueue, Limits, Overflow, Released};
use super::{
    Batch, Emission, ExtensionVersion, Failing, Hit, HookError, RequestContext, ResponseFilter, Step,
    StreamEvent, check_batch,
};

/// An event of the pipeline that a filter can be shown.
pub trait Viewed {
    /// It, for a filter.
    fn view(&self) -> StreamEvent<'_>;
    /// What holding it costs.
    fn bytes(&self) -> usize;
    /// Whether it says nothing to any filter, such as what only keeps a connection busy.
    fn is_noise(&self) -> bool {
        false
    }
}

/// Whether a filter's steps are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They are.
    Enforce,
    /// Only its hits count; the stream goes through unchanged.
    Monitor,
}

impl Mode {
    /// The word used in manifests and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Monitor => "monitor",
        }
    }
}

/// Whether more events may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// They may.
    No,
    /// These are the last.
    Yes,
}

/// What goes to the client, or to the next filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing<E> {
    /// An event as it came.
    Original(E),
    /// Something the filter wrote.
    Emission(Emission),
}

impl<E: Viewed> Viewed for Outgoing<E> {
    fn view(&self) -> StreamEvent<'_> {
        match self {
            Self::Original(event) => event.view(),
            Self::Emission(emission) => emission.view(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Original(event) => event.bytes(),
            Self::Emission(emission) => emission.bytes(),
        }
    }

    fn is_noise(&self) -> bool {
        match self {
            Self::Original(event) => event.is_noise(),
            Self::Emission(_) => false,
        }
    }
}

/// How a filter ended a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// In good order, with this reason.
    Finish(String),
    /// With an error; upstream is cancelled.
    Abort(Rejection),
}

/// What came of a batch.
#[derive(Debug)]
pub struct Flow<E> {
    /// To be sent, in this order.
    pub send: Vec<Outgoing<E>>,
    /// What the filter's rules found.
    pub hits: Vec<Hit>,
    /// Set when the filter ended the stream: after `send`, nothing more may be sent.
    pub ending: Option<Ending>,
    /// Set when the filter failed; what follows from that is already in `send` and `ending`.
    pub failure: Option<HookError>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Filtering,
    /// It failed and its place lets the stream go on.
    LeftOut,
    Ended,
}

/// One filter on one stream.
pub struct FilteredStream<E> {
    filter: Arc<dyn ResponseFilter>,
    context: Arc<RequestContext>,
    carry: Vec<u8>,
    queue: HoldQueue<Outgoing<E>>,
    failing: Failing,
    mode: Mode,
    state: State,
}

impl<E: Viewed> FilteredStream<E> {
    /// `carry` is what the request filter of the same extension handed over.
    #[must_use]
    pub fn new(
        filter: Arc<dyn ResponseFilter>,
        context: Arc<RequestContext>,
        carry: Vec<u8>,
        failing: Failing,
        mode: Mode,
    ) -> Self {
        Self {
            filter,
            context,
            carry,
            queue: HoldQueue::new(Limits::default()),
            failing,
            mode,
            state: State::Filtering,
        }
    }

    /// The same with other limits of what may be held.
    #[must_use]
    pub fn holding_at_most(mut self, limits: Limits) -> Self {
        self.queue = HoldQueue::new(limits);
        self
    }

    /// Which extension filters.
    #[must_use]
    pub fn version(&self) -> &ExtensionVersion {
        self.filter.version()
    }

    /// When [`Self::expire`] must be called, if nothing comes before.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.queue.deadline()
    }

    /// Takes what arrived in one read.
    pub fn offer(&mut self, events: Vec<E>, at_end: AtEnd, now: Timestamp) -> Flow<E> {
        let mut flow =
            Flow { send: Vec::with_capacity(events.len()), hits: Vec::new(), ending: None, failure: None };
        match self.state {
            State::Ended => return flow,
            State::LeftOut => {
                flow.send.extend(events.into_iter().map(Outgoing::Original));
                return flow;
            }
            State::Filtering => {}
        }
        let interest = self.filter.interest();
        let answer = {
            let shown = events.iter().filter(|event| !event.is_noise());
            let wanted: Vec<StreamEvent<'_>> =
                shown.map(Viewed::view).filter(|event| interest.covers(event)).collect();
            if wanted.is_empty() && at_end == AtEnd::No {
                None
            } else {
                let at_end = at_end == AtEnd::Yes;
                let answer = self.filter.filter_events(&self.context, &self.carry, &wanted, at_end);
                Some(answer.and_then(|batch| check_batch(wanted.len(), batch)))
            }
        };
        match answer {
            // None of these are for the filter.
            None => self.step_through(Vec::new(), events, now, &mut flow),
            Some(Ok(batch)) => self.carry_out(batch, events, now, &mut flow),
            Some(Err(failure)) => self.fail(failure, events, &mut flow),
        }
        if at_end == AtEnd::Yes && self.state == State::Filtering {
            self.send_held(&mut flow);
            self.state = State::Ended;
        }
        flow
    }

    /// To be called at the [`Self::deadline`]: what is held too long is a failure of the filter.
    pub fn expire(&mut self, now: Timestamp) -> Flow<E> {
        let mut flow = Flow { send: Vec::new(), hits: Vec::new(), ending: None, failure: None };
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.fail(HookError::TimedOut("held events for too long".to_owned()), Vec::new(), &mut flow);
        }
        flow
    }

    fn carry_out(&mut self, batch: Batch, events: Vec<E>, now: Timestamp, flow: &mut Flow<E>) {
        flow.hits = batch.hits;
        self.carry = batch.carry;
        if self.mode == Mode::Monitor {
            flow.send.extend(events.into_iter().map(Outgoing::Original));
            return;
        }
        self.step_through(batch.steps, events, now, flow);
    }

    fn step_through(&mut self, steps: Vec<Step>, events: Vec<E>, now: Timestamp, flow: &mut Flow<E>) {
        let interest = self.filter.interest();
        let mut steps = steps.into_iter();
        let mut events = events.into_iter();
        while let Some(event) = events.next() {
            if event.is_noise() || !interest.covers(&event.view()) {
                self.pass_by(event, flow);
            } else if let Some(step) = steps.next() {
                self.take_step(step, event, now, flow);
            }
            match self.state {
                State::Filtering => {}
                State::Ended => return,
                // It held too much.
                State::LeftOut => return flow.send.extend(events.map(Outgoing::Original)),
            }
        }
    }

    fn take_step(&mut self, step: Step, event: E, now: Timestamp, flow: &mut Flow<E>) {
        match step {
            Step::Pass => {
                self.send_held(flow);
                flow.send.push(Outgoing::Original(event));
            }
            Step::Discard => {}
            Step::Hold => self.hold(Outgoing::Original(event), now, flow),
            Step::ReplaceAndHold { send, hold } => {
                self.replace_held(send, &event, flow);
                self.hold(Outgoing::Emission(hold), now, flow);
            }
            Step::Replace(emissions) => self.replace_held(emissions, &event, flow),
            Step::InsteadOfHeld(emissions) => {
                self.replace_held(emissions, &event, flow);
                flow.send.push(Outgoing::Original(event));
            }
            Step::Finish(reason) => self.end(Ending::Finish(reason), flow),
            Step::Abort(rejection) => self.end(Ending::Abort(rejection), flow),
        }
    }

    fn hold(&mut self, one: Outgoing<E>, now: Timestamp, flow: &mut Flow<E>) {
        let bytes = one.bytes();
        let overflow = self.queue.hold(one, bytes, now);
        self.unless_too_much(overflow, flow);
    }

    /// An event the filter does not want to see: it may not overtake what is held.
    fn pass_by(&mut self, event: E, flow: &mut Flow<E>) {
        if self.queue.is_empty() {
            flow.send.push(Outgoing::Original(event));
        } else {
            let bytes = event.bytes();
            let overflow = self.queue.put_behind(Outgoing::Original(event), bytes);
            self.unless_too_much(overflow, flow);
        }
    }

    fn unless_too_much(&mut self, overflow: Overflow, flow: &mut Flow<E>) {
        if overflow == Overflow::TooMuch {
            self.fail(HookError::InvalidOutput("it holds more than it may".to_owned()), Vec::new(), flow);
        }
    }

    fn send_held(&mut self, flow: &mut Flow<E>) {
        flow.send.extend(self.queue.release().map(|entry| match entry {
            Released::Held(one) | Released::Behind(one) => one,
        }));
    }

    /// Emissions take the place of what is held; what only waited behind it follows. When that is of another text than
    /// the event at hand, what belongs to the event comes last: between the two a block ended and another began.
    fn replace_held(&mut self, emissions: Vec<Emission>, event: &E, flow: &mut Flow<E>) {
        let here = channel(&event.view());
        let is_held = self.queue.first_held().is_none_or(|held| channel(&held.view()) == here);
        let (last, first): (Vec<_>, Vec<_>) =
            emissions.into_iter().partition(|emission| !is_held && channel(&emission.view()) == here);
        flow.send.extend(first.into_iter().map(Outgoing::Emission));
        self.send_only_what_waited(flow);
        flow.send.extend(last.into_iter().map(Outgoing::Emission));
    }

    fn send_only_what_waited(&mut self, flow: &mut Flow<E>) {
        flow.send.extend(self.queue.release().filter_map(|entry| match entry {
            Released::Held(_) => None,
            Released::Behind(one) => Some(one),
        }));
    }

    fn end(&mut self, ending: Ending, flow: &mut Flow<E>) {
        self.send_only_what_waited(flow);
        flow.ending = Some(ending);
        self.state = State::Ended;
    }

    fn fail(&mut self, failure: HookError, events: Vec<E>, flow: &mut Flow<E>) {
        // Watching never stops a stream.
        let open = self.mode == Mode::Monitor || self.failing != Failing::Closed;
        if open {
            self.send_held(flow);
            flow.send.extend(events.into_iter().map(Outgoing::Original));
            self.state = State::LeftOut;
        } else {
            let rejection = Rejection {
                http_status: 503,
                code: "extension_failed".to_owned(),
                message: format!("the response filter `{}` failed", self.filter.version().name),
                retry_after_ms: None,
            };
            self.end(Ending::Abort(rejection), flow);
        }
        flow.failure = Some(failure);
    }
}

/// Which of the texts that stream beside each other.
const fn channel(event: &StreamEvent<'_>) -> Option<(u8, u32, u32)> {
    match event {
        StreamEvent::Text(delta) => Some((0, delta.choice, 0)),
        StreamEvent::Reasoning(delta) => Some((1, delta.choice, 0)),
        StreamEvent::ToolCall(delta) => Some((2, delta.choice, delta.call)),
        StreamEvent::Start | StreamEvent::Usage(_) | StreamEvent::Stop(_) | StreamEvent::Raw(_) => None,
    }
}

impl Viewed for Emission {
    fn view(&self) -> StreamEvent<'_> {
        use super::{TextDelta, ToolDelta};
        match self {
            Self::Text { choice, text } => StreamEvent::Text(TextDelta { choice: *choice, text }),
            Self::Reasoning { choice, text } => StreamEvent::Reasoning(TextDelta { choice: *choice, text }),
            Self::ToolCall { choice, call, name, arguments } => StreamEvent::ToolCall(ToolDelta {
                choice: *choice,
                call: *call,
                name: name.as_deref(),
                arguments,
            }),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } | Self::Reasoning { text, .. } => text.len(),
            Self::ToolCall { arguments, .. } => arguments.len(),
        }
    }
}

#[cfg(test)]
mod tests;
