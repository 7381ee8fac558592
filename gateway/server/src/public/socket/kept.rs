//! What one socket remembers of its conversation, so that its client needs to send only what is new, whatever upstream
//! serves it. Bounded; what does not fit is forgotten, and the client is asked to send all of it.

use crate::sockets::Allowance;

/// What one socket keeps of its conversation, in bytes. Longer ones are sent whole by their clients.
const MAX_CONVERSATION_BYTES: usize = 32 * 1024 * 1024;

/// The conversation of one socket.
#[derive(Debug)]
pub(super) struct Kept {
    allowance: Allowance,
    /// The last response; the only one that the next turn can go on from.
    response: Option<String>,
    /// Its whole conversation, items separated by commas.
    items: String,
    /// Where the items of the running turn begin; what is before them belongs to `response`.
    turn: usize,
    /// Whether the running turn's items could not be kept.
    lost: bool,
}

/// What a turn goes on from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Before<'a> {
    /// From these items.
    Items(&'a str),
    /// From nothing that is known here: the upstream may know it.
    Elsewhere,
}

impl Kept {
    pub(super) fn new(allowance: Allowance) -> Self {
        Self { allowance, response: None, items: String::new(), turn: 0, lost: false }
    }

    /// How much is kept.
    pub(super) fn bytes(&self) -> usize {
        self.items.len()
    }

    /// What a turn goes on from, when it names this response.
    pub(super) fn before(&self, previous: Option<&str>) -> Before<'_> {
        match previous {
            None => Before::Items(""),
            Some(previous) if self.response.as_deref() == Some(previous) => Before::Items(&self.items),
            Some(_) => Before::Elsewhere,
        }
    }

    /// A turn begins with these items of its own.
    pub(super) fn begin(&mut self, previous: Option<&str>, items: &str) {
        let goes_on = self.response.is_some() && self.response.as_deref() == previous;
        if !goes_on {
            self.forget();
        }
        // What came before it is not known, so what comes of it cannot be gone on from here.
        self.lost = previous.is_some() && !goes_on;
        self.turn = self.items.len();
        self.add(items);
    }

    /// The answer of the running turn has one more item.
    pub(super) fn add(&mut self, items: &str) {
        if self.lost || items.is_empty() {
            return;
        }
        let size = self.items.len() + items.len() + 1;
        if size > MAX_CONVERSATION_BYTES || !self.allowance.set(size) {
            self.forget();
            self.lost = true;
            return;
        }
        if !self.items.is_empty() {
            self.items.push(',');
        }
        self.items.push_str(items);
    }

    /// The running turn ended well, as this response.
    pub(super) fn end(&mut self, response: Option<String>) {
        if self.lost || response.is_none() {
            return self.forget();
        }
        self.turn = self.items.len();
        self.response = response;
    }

    /// The running turn came to nothing: what it had is taken back, and the one before it stands.
    pub(super) fn take_back(&mut self) {
        self.items.truncate(self.turn);
        self.allowance.set(self.items.len());
    }

    fn forget(&mut self) {
        self.response = None;
        self.items = String::new();
        self.turn = 0;
        self.allowance.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::Sockets;

    fn kept() -> Kept {
        Kept::new(Sockets::default().allowance())
    }

    fn turn(kept: &mut Kept, previous: Option<&str>, items: &str, answer: &str, id: &str) {
        kept.begin(previous, items);
        kept.add(answer);
        kept.end(Some(id.to_owned()));
    }

    #[test]
    fn a_conversation_grows_turn_by_turn() {
        let mut kept = kept();
        assert_eq!(kept.before(None), Before::Items(""));
        turn(&mut kept, None, "1", "2", "a");
        assert_eq!(kept.before(Some("a")), Before::Items("1,2"));
        turn(&mut kept, Some("a"), "3,4", "5", "b");
        assert_eq!(kept.before(Some("b")), Before::Items("1,2,3,4,5"));
        // Only the last one can be gone on from.
        assert_eq!(kept.before(Some("a")), Before::Elsewhere);
        // A turn without a predecessor begins anew.
        turn(&mut kept, None, "", "9", "c");
        assert_eq!(kept.before(Some("c")), Before::Items("9"));
    }

    #[test]
    fn a_turn_that_came_to_nothing_leaves_the_one_before_it() {
        let mut kept = kept();
        turn(&mut kept, None, "1", "2", "a");
        kept.begin(Some("a"), "3");
        kept.add("4");
        kept.take_back();
        assert_eq!(kept.before(Some("a")), Before::Items("1,2"));
    }

    #[test]
    fn what_is_not_known_or_too_long_is_not_gone_on_from() {
        let mut kept = kept();
        turn(&mut kept, Some("elsewhere"), "1", "2", "a");
        assert_eq!(kept.before(Some("a")), Before::Elsewhere);
        kept.begin(None, "1");
        kept.add(&"x".repeat(MAX_CONVERSATION_BYTES));
        kept.add("2");
        kept.end(Some("b".to_owned()));
        assert_eq!((kept.before(Some("b")), kept.bytes()), (Before::Elsewhere, 0));
        // And it recovers.
        turn(&mut kept, None, "1", "2", "c");
        assert_eq!(kept.before(Some("c")), Before::Items("1,2"));
    }
}
