//! What the admin API can ask about policies that are written as text: their source, and whether another text
//! would do. Implemented over the script host; refuses to put a text in service.

use std::sync::Arc;

use gateway_scheduler::RankingPolicy;

/// Where a policy's text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOrigin {
    /// It came with the gateway.
    Shipped,
    /// A file of the operator's policies folder.
    Folder,
}

impl TextOrigin {
    /// The word used in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Folder => "folder",
        }
    }
}

/// The text of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyText {
    /// As it was saved last.
    pub source: String,
    /// Where from.
    pub origin: TextOrigin,
}

/// What is wrong with a text and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The word for its kind.
    pub kind: &'static str,
    /// What is wrong and what to do about it.
    pub message: String,
    /// Counting from 1, when the place is known.
    pub line: Option<usize>,
    /// Counting from 1, when the place is known.
    pub column: Option<usize>,
    /// The imported module the place is in.
    pub module: Option<String>,
}

/// What came out of one step of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// As it should.
    Passed,
    /// There was nothing to do, and why.
    Skipped(&'static str),
    /// What is wrong.
    Failed(Mistake),
}

/// A check, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The digest it would serve under, when it compiles.
    pub digest: Option<String>,
    /// The steps by their names, in order.
    pub steps: Vec<(String, CheckOutcome)>,
}

impl Checked {
    /// Whether nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.steps.iter().any(|(_, outcome)| matches!(outcome, CheckOutcome::Failed(_)))
    }
}

/// Policies as text. Everything here may block for as long as scripts take: call it from a thread that may.
pub trait Workbench: Send + Sync {
    /// The text of the policy that is chosen by this id; `None` when it has none.
    fn source(&self, id: &str) -> Option<PolicyText>;

    /// Everything that is done before a script serves.
    fn check(&self, name: &str, source: &str) -> Checked;

    /// A policy to ask, not to serve.
    ///
    /// # Errors
    /// The text does not load.
    fn compile(&self, name: &str, source: &str) -> Result<Arc<dyn RankingPolicy>, Mistake>;
}
