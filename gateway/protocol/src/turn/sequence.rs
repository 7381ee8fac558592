//! Blocks in a row, for dialects that know one open block at a time.

use std::collections::VecDeque;

use super::event::TurnEvent;

/// Passes the open block's events at once and holds those of blocks that began beside it until it ends. Only tool
/// calls may overlap, so what is held is tool arguments, and only when an upstream mixes them.
#[derive(Debug, Default)]
pub struct Sequencer {
    open: Option<u32>,
    held: VecDeque<TurnEvent>,
}

impl Sequencer {
    /// Takes the next event and shows those whose turn it is.
    pub fn push(&mut self, event: TurnEvent, mut show: impl FnMut(TurnEvent)) {
        if self.must_wait(&event) {
            self.held.push_back(event);
            return;
        }
        let ends = matches!(event, TurnEvent::BlockEnd { .. });
        self.pass(event, &mut show);
        if ends {
            self.release(&mut show);
        }
    }

    fn must_wait(&self, event: &TurnEvent) -> bool {
        let Some(open) = self.open else { return false };
        match event {
            TurnEvent::BlockStart { .. } => true,
            TurnEvent::Delta { index, .. } | TurnEvent::BlockEnd { index } => *index != open,
            // An end finds every block closed by contract; a failure waits for nothing.
            TurnEvent::Started(_) | TurnEvent::Usage(_) | TurnEvent::Finished(_) | TurnEvent::Failed(_) => {
                false
            }
        }
    }

    fn pass(&mut self, event: TurnEvent, show: &mut impl FnMut(TurnEvent)) {
        match &event {
            TurnEvent::BlockStart { index, .. } => self.open = Some(*index),
            TurnEvent::BlockEnd { .. } => self.open = None,
            _ => {}
        }
        show(event);
    }

    /// The open block ended: the oldest held one is next, with everything held of it.
    fn release(&mut self, show: &mut impl FnMut(TurnEvent)) {
        while self.open.is_none() && !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            for event in held {
                if self.must_wait(&event) {
                    self.held.push_back(event);
                } else {
                    self.pass(event, show);
                }
            }
        }
    }
}
