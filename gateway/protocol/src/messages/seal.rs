//! The two seals of this dialect, as one: the signature of shown thinking and the data of redacted thinking.
//!
//! Another dialect's client replays a seal without knowing which it was, and the API takes neither for the other. So
//! the data carries a mark inside; signatures are base64 and cannot begin with it.

use crate::turn::{Dialect, Sealed};

const REDACTED: &str = "redacted:";

/// The seal of redacted thinking, as it came.
pub(super) fn of_data(data: String) -> Sealed {
    let seal = Sealed::read(Dialect::AnthropicMessages, data);
    if seal.by == Dialect::AnthropicMessages && !seal.text.starts_with(REDACTED) {
        return Sealed { text: format!("{REDACTED}{}", seal.text), ..seal };
    }
    seal
}

/// The seal of shown thinking, as it came.
pub(super) fn of_signature(signature: String) -> Sealed {
    Sealed::read(Dialect::AnthropicMessages, signature)
}

/// What this provider made, told apart again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Own<'a> {
    Signature(&'a str),
    Data(&'a str),
}

/// What may go back to this provider; `None` for a seal of another.
pub(super) fn for_upstream(seal: &Sealed) -> Option<Own<'_>> {
    let text = seal.for_upstream(Dialect::AnthropicMessages)?;
    Some(text.strip_prefix(REDACTED).map_or(Own::Signature(text), Own::Data))
}

/// What a client of this dialect is shown. Another provider's seal is marked, so that it finds its way back.
pub(super) fn for_client(seal: &Sealed) -> String {
    match for_upstream(seal) {
        Some(Own::Signature(text) | Own::Data(text)) => text.to_owned(),
        None => seal.write(Dialect::AnthropicMessages),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_seals_come_back_from_a_client_of_another_dialect() {
        for (seal, own) in [
            (of_data("RdCt".into()), Own::Data("RdCt")),
            (of_signature("EqQB".into()), Own::Signature("EqQB")),
        ] {
            let abroad = seal.write(Dialect::OpenAiResponses);
            let back = Sealed::read(Dialect::OpenAiResponses, abroad);
            assert_eq!(for_upstream(&back), Some(own));
            assert!(!for_client(&back).contains(':'));
        }
    }

    #[test]
    fn a_foreign_seal_stays_foreign_in_either_place() {
        let foreign = Sealed { by: Dialect::OpenAiResponses, text: "gAAA".into() };
        let shown = for_client(&foreign);
        assert_eq!(of_data(shown.clone()), foreign);
        assert_eq!(of_signature(shown), foreign);
        assert_eq!(for_upstream(&foreign), None);
    }
}
