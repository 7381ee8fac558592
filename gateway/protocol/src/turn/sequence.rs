//! Blocks in a row, for dialects that know one open block at a time.

use std::collections::BTreeMap;

use super::event::TurnEvent;

/// Passes the open block's events at once and holds those of blocks that began beside it until it ends. Only tool
/// calls may overlap, so what is held is tool arguments, and only when an upstream mixes them.
#[derive(Debug, Default)]
pub struct Sequencer {
    open: Option<u32>,
    /// By block: their indexes are in the order of their beginnings. One list for all would be walked once per block,
    /// which an upstream that opens thousands at once makes quadratic.
    held: BTreeMap<u32, Vec<TurnEvent>>,
}

impl Sequencer {
    /// Takes the next event and shows those whose turn it is.
    pub fn push(&mut self, event: TurnEvent, mut show: impl FnMut(TurnEvent)) {
        if let Some(block) = self.waits_with(&event) {
            self.held.entry(block).or_default().push(event);
            return;
        }
        let ends = matches!(event, TurnEvent::BlockEnd { .. });
        self.pass(event, &mut show);
        if ends {
            self.release(&mut show);
        }
    }

    /// The block that the event has to wait with.
    fn waits_with(&self, event: &TurnEvent) -> Option<u32> {
        let open = self.open?;
        match event {
            TurnEvent::BlockStart { index, .. } => Some(*index),
            TurnEvent::Delta { index, .. } | TurnEvent::BlockEnd { index } => {
                (*index != open).then_some(*index)
            }
            // An end finds every block closed by contract; a failure waits for nothing.
            TurnEvent::Started(_) | TurnEvent::Usage(_) | TurnEvent::Finished(_) | TurnEvent::Failed(_) => {
                None
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
        while self.open.is_none()
            && let Some((_, events)) = self.held.pop_first()
        {
            for event in events {
                self.pass(event, show);
            }
        }
    }
}
