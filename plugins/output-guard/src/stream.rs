//! Carries an answer through the limits while it streams: banned phrases wherever pieces end, then the length. What may
//! be the beginning of a phrase is held until it is settled.

use switchyard_plugin_sdk::{BatchResult, Emission, Hit, Partial, Rejection, Step, StreamEvent, TextDelta};
use switchyard_plugin_text::{Found, fold_with_places};

use crate::notes::{Channel, Ended, Notes};
use crate::settings::{Action, Ban, Reasoning, Settings};

/// The most that is held: a phrase stretched by invisible letters beyond this is let go.
const MAX_HELD_BYTES: usize = 4 * 1024;

/// One step for each event.
pub(crate) fn guard(settings: &Settings, carry: &[u8], events: &[StreamEvent]) -> BatchResult {
    let mut guard = Guard { settings, notes: Notes::read(carry), hits: Vec::new() };
    let mut steps = Vec::with_capacity(events.len());
    for event in events {
        let step = guard.step(event);
        let ends = matches!(step, Step::Finish(_) | Step::Abort(_));
        steps.push(step);
        if ends {
            break;
        }
    }
    BatchResult { hits: guard.hits, ..BatchResult::of(steps, guard.notes.write()) }
}

struct Guard<'a> {
    settings: &'a Settings,
    notes: Notes,
    hits: Vec<Hit>,
}

/// Whether more of a text may come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    MayCome,
    None,
}

/// What becomes of a text.
struct Judged {
    /// Goes out.
    send: String,
    /// Waits.
    hold: String,
    /// Something was taken out.
    changed: bool,
    abort: bool,
}

impl Guard<'_> {
    fn step(&mut self, event: &StreamEvent) -> Step {
        if let Some(ended) = self.notes.ended {
            return self.finish(ended);
        }
        match self.piece(event) {
            Some((channel, text)) => self.text(channel, text),
            None => self.settle(),
        }
    }

    /// A piece of a text that is looked at.
    fn piece<'a>(&self, event: &'a StreamEvent) -> Option<(Channel, &'a str)> {
        match event {
            StreamEvent::Text(delta) => Some((Channel::Text(delta.choice), &delta.text)),
            StreamEvent::Reasoning(delta) if self.settings.reasoning == Reasoning::Guarded => {
                Some((Channel::Reasoning(delta.choice), &delta.text))
            }
            _ => None,
        }
    }

    fn text(&mut self, channel: Channel, piece: &str) -> Step {
        let (other, held) = match self.notes.pending.take() {
            Some((of, held)) if of == channel => (None, held),
            other => (other, String::new()),
        };
        // Another text goes on: what it holds can be settled no other way, and goes first.
        let other = match other {
            None => None,
            Some((of, text)) => {
                let judged = self.judge(of, &text, More::None);
                if judged.abort {
                    return self.abort();
                }
                Some((judged.changed, emission(of, judged.send)))
            }
        };
        if let Some(ended) = self.notes.ended {
            return match other {
                Some((_, emission)) => Step::Replace(vec![emission]),
                None => self.finish(ended),
            };
        }
        let judged = if held.is_empty() {
            self.judge(channel, piece, More::MayCome)
        } else {
            self.judge(channel, &(held + piece), More::MayCome)
        };
        self.carried_out(channel, judged, other)
    }

    fn carried_out(&mut self, channel: Channel, judged: Judged, other: Option<(bool, Emission)>) -> Step {
        if judged.abort {
            return self.abort();
        }
        let other_changed = other.as_ref().is_some_and(|(changed, _)| *changed);
        if judged.hold.is_empty() && !judged.changed && !other_changed {
            return Step::Pass;
        }
        if judged.send.is_empty() && other.is_none() {
            if let Some(ended) = self.notes.ended {
                return self.finish(ended);
            }
            if !judged.changed {
                self.notes.pending = Some((channel, judged.hold));
                return Step::Hold;
            }
        }
        let mut send: Vec<Emission> = other.into_iter().map(|(_, emission)| emission).collect();
        if !judged.send.is_empty() {
            send.push(emission(channel, judged.send));
        }
        if judged.hold.is_empty() {
            return Step::Replace(send);
        }
        let hold = emission(channel, judged.hold.clone());
        self.notes.pending = Some((channel, judged.hold));
        Step::ReplaceAndHold(Partial { send, hold })
    }

    /// Something else comes: what is held is complete.
    fn settle(&mut self) -> Step {
        let Some((channel, text)) = self.notes.pending.take() else { return Step::Pass };
        let judged = self.judge(channel, &text, More::None);
        if judged.abort {
            return self.abort();
        }
        match (judged.changed, judged.send.is_empty(), self.notes.ended) {
            (false, ..) => Step::Pass,
            (true, true, Some(ended)) => self.finish(ended),
            (true, true, None) => Step::InsteadOfHeld(Vec::new()),
            (true, false, _) => Step::InsteadOfHeld(vec![emission(channel, judged.send)]),
        }
    }

    fn judge(&mut self, channel: Channel, text: &str, more: More) -> Judged {
        let mut judged = self.without_banned(text, more);
        let Some(limit) = self.settings.limit.filter(|_| !judged.abort) else { return judged };
        let sent = &judged.send;
        let fits = self.notes.count(channel).map_or(sent.len(), |count| count.take(sent, limit));
        if fits < judged.send.len() {
            judged.send.truncate(fits);
            judged.hold.clear();
            judged.changed = true;
            self.hit("output.too-long");
            self.notes.ended = Some(Ended::TooLong);
        }
        judged
    }

    fn without_banned(&mut self, text: &str, more: More) -> Judged {
        let whole =
            |send: &str| Judged { send: send.to_owned(), hold: String::new(), changed: false, abort: false };
        let settings = self.settings;
        if settings.terms.is_empty() {
            return whole(text);
        }
        let folded = fold_with_places(text);
        let open = match more {
            More::MayCome => settings.terms.open(&folded.text).map(|open| open.start),
            More::None => None,
        };
        let open = open.filter(|start| text.len() - folded.place(*start) <= MAX_HELD_BYTES);
        let mut found: Vec<Found> = Vec::new();
        settings.terms.find(&folded.text, |one| {
            // What begins where something is open, or behind, is settled together with it.
            if open.is_none_or(|open| one.start < open) {
                match found.last_mut() {
                    Some(last) if one.start < last.end => last.end = last.end.max(one.end),
                    _ => found.push(one),
                }
            }
        });
        let mut judged = whole("");
        let mut at = 0;
        for one in found {
            let Some(ban) = settings.ban_of_term.get(one.term).and_then(|ban| settings.bans.get(*ban)) else {
                continue;
            };
            judged.changed = true;
            judged.send.push_str(text.get(at..folded.place(one.start)).unwrap_or_default());
            at = folded.place(one.end);
            self.hit(&ban.rule);
            if self.acts(ban, &mut judged) == More::None {
                return judged;
            }
        }
        let hold_from = open.map_or(text.len(), |open| folded.place(open).max(at));
        judged.send.push_str(text.get(at..hold_from).unwrap_or_default());
        judged.hold.push_str(text.get(hold_from..).unwrap_or_default());
        judged
    }

    fn acts(&mut self, ban: &Ban, judged: &mut Judged) -> More {
        match ban.action {
            Action::Mask => {
                judged.send.push_str(&self.settings.mask);
                More::MayCome
            }
            Action::Finish => {
                self.notes.ended = Some(Ended::Banned);
                More::None
            }
            Action::Abort => {
                judged.abort = true;
                More::None
            }
        }
    }

    fn hit(&mut self, rule: &str) {
        if self.hits.len() < crate::MAX_HITS {
            self.hits.push(Hit { rule: rule.to_owned(), score: 1.0, part: None });
        }
    }

    fn finish(&self, ended: Ended) -> Step {
        // The words that the dialects know.
        Step::Finish(match ended {
            Ended::TooLong => "length".to_owned(),
            Ended::Banned => "content_filter".to_owned(),
        })
    }

    fn abort(&self) -> Step {
        Step::Abort(Rejection {
            http_status: 502,
            code: "answer_blocked".to_owned(),
            message: self.settings.message.clone(),
            retry_after_ms: None,
        })
    }
}

fn emission(channel: Channel, text: String) -> Emission {
    match channel {
        Channel::Text(choice) => Emission::Text(TextDelta { choice, text }),
        Channel::Reasoning(choice) => Emission::Reasoning(TextDelta { choice, text }),
    }
}

#[cfg(test)]
mod tests;
