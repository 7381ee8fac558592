//! What one batch of events tells the next, in few bytes: it is read and written for every batch. The host keeps it in
//! memory and bounds it; what cannot be read counts as nothing said yet.

use switchyard_plugin_text::Count;

/// Texts that stream beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Text(u32),
    Reasoning(u32),
}

/// Why an answer ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    TooLong,
    Banned,
}

/// Parallel answers whose lengths are counted apart; those beyond share the last place.
const MAX_COUNTED: usize = 16;

/// The first byte of what is written here.
const VERSION: u8 = 1;

/// The state of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Set when the next event is to end the answer.
    pub(crate) ended: Option<Ended>,
    /// By choice; text and reasoning of one answer count together.
    counts: Vec<Count>,
    /// What is held, as it came.
    pub(crate) pending: Option<(Channel, String)>,
}

impl Channel {
    const fn choice(self) -> u32 {
        let (Self::Text(choice) | Self::Reasoning(choice)) = self;
        choice
    }
}

impl Notes {
    /// The count of an answer; there always is one.
    pub(crate) fn count(&mut self, channel: Channel) -> Option<&mut Count> {
        let place =
            usize::try_from(channel.choice()).map_or(MAX_COUNTED - 1, |choice| choice.min(MAX_COUNTED - 1));
        if self.counts.len() <= place {
            self.counts.resize_with(place + 1, Count::default);
        }
        self.counts.get_mut(place)
    }

    pub(crate) fn read(carry: &[u8]) -> Self {
        Reader(carry).notes().unwrap_or_default()
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.push(match self.ended {
            None => 0,
            Some(Ended::TooLong) => 1,
            Some(Ended::Banned) => 2,
        });
        out.push(u8::try_from(self.counts.len()).unwrap_or(u8::MAX));
        for count in &self.counts {
            out.extend(count.characters.to_le_bytes());
            out.extend(count.quarters.to_le_bytes());
            put_text(&count.tail, &mut out);
        }
        if let Some((channel, text)) = &self.pending {
            out.push(u8::from(matches!(channel, Channel::Reasoning(_))));
            out.extend(channel.choice().to_le_bytes());
            put_text(text, &mut out);
        }
        out
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    // Both are short: a tail has 64 bytes at most, what is held has its own limit.
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(text.bytes().take(usize::from(u16::MAX)));
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn notes(&mut self) -> Option<Notes> {
        if self.byte()? != VERSION {
            return None;
        }
        let ended = match self.byte()? {
            1 => Some(Ended::TooLong),
            2 => Some(Ended::Banned),
            _ => None,
        };
        let mut counts = Vec::new();
        for _ in 0..self.byte()? {
            let characters = u64::from_le_bytes(self.some()?);
            counts.push(Count { characters, quarters: u64::from_le_bytes(self.some()?), tail: self.text()? });
        }
        let pending = match self.byte() {
            None => None,
            Some(kind) => {
                let choice = u32::from_le_bytes(self.some()?);
                let channel = if kind == 1 { Channel::Reasoning(choice) } else { Channel::Text(choice) };
                Some((channel, self.text()?))
            }
        };
        Some(Notes { ended, counts, pending })
    }

    fn byte(&mut self) -> Option<u8> {
        self.some::<1>().map(|[byte]| byte)
    }

    fn some<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(u16::from_le_bytes(self.some()?));
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(taken.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nonsense_is_a_beginning() {
        let mut notes = Notes::default();
        assert_eq!(Notes::read(&notes.write()), notes);
        for choice in [0, 3, 40] {
            let count = notes.count(Channel::Reasoning(choice)).unwrap();
            *count = Count { characters: u64::from(choice) + 1, quarters: 7, tail: "é".to_owned() };
        }
        for pending in
            [None, Some((Channel::Text(4), "密".to_owned())), Some((Channel::Reasoning(0), String::new()))]
        {
            for ended in [None, Some(Ended::TooLong), Some(Ended::Banned)] {
                let notes = Notes { pending: pending.clone(), ended, ..notes.clone() };
                assert_eq!(Notes::read(&notes.write()), notes);
            }
        }
        assert!(notes.write().len() < 2048);
        let written = notes.write();
        for cut in 0..written.len() {
            assert!(Notes::read(&written[..cut]).counts.len() <= MAX_COUNTED);
        }
        assert_eq!(Notes::read(b"garbage"), Notes::default());
    }
}
