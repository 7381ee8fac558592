//! A list of accounts: read, narrowed down, joined. Words never change a list, they answer a new one. Owns the type;
//! `order` sorts it, `profile` knows what the operator calls its accounts.

use std::sync::Arc;

use gateway_scheduler::{AccountRef, Candidate};
use rhai::{Dynamic, EvalAltResult, FnPtr, NativeCallContext};

use super::book::{Book, say};
use super::column::{Column, is_true, truth};
use super::complaint;
use super::numbers::headroom;
use super::request::{One, Snapshot};
use crate::deadline;

pub(super) type Listed = Result<Candidates, Box<EvalAltResult>>;

/// Rows of the input in an order of their own.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) rows: Arc<[usize]>,
    /// Beside `rows`, when the list was sorted by a score.
    scores: Option<Arc<[f64]>>,
}

impl Candidates {
    pub(super) fn all(snapshot: &Arc<Snapshot>) -> Self {
        let rows = (0..snapshot.input.candidates.len()).collect();
        Self { snapshot: Arc::clone(snapshot), rows, scores: None }
    }

    pub(super) fn with_rows(&self, rows: Vec<usize>) -> Self {
        deadline::walked(rows.len());
        Self { snapshot: Arc::clone(&self.snapshot), rows: rows.into(), scores: None }
    }

    /// Pairs of row and score, in their new order.
    pub(super) fn with_scored_rows(&self, scored: impl Iterator<Item = (usize, f64)>) -> Self {
        let mut rows = Vec::with_capacity(self.rows.len());
        let mut scores = Vec::with_capacity(self.rows.len());
        for (row, score) in scored {
            rows.push(row);
            scores.push(score);
        }
        Self { scores: Some(scores.into()), ..self.with_rows(rows) }
    }

    pub(super) fn candidate(&self, row: usize) -> Option<&Candidate> {
        self.snapshot.input.candidates.get(row)
    }

    pub(super) fn one(&self, row: usize) -> One {
        One { snapshot: Arc::clone(&self.snapshot), row }
    }

    fn one_at(&self, at: Option<usize>) -> Dynamic {
        let row = at.and_then(|at| self.rows.get(at));
        row.map_or(Dynamic::UNIT, |row| Dynamic::from(self.one(*row)))
    }

    /// In the order of the list.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Candidate)> {
        self.rows.iter().filter_map(|row| Some((*row, self.candidate(*row)?)))
    }

    /// With the score each has, when there are scores.
    fn keep_places(&self, wanted: impl Fn(usize) -> bool) -> Self {
        let places = || (0..self.rows.len()).filter(|place| wanted(*place));
        let rows = places().filter_map(|place| self.rows.get(place).copied()).collect();
        let scores = self.scores.as_ref().map(|scores| {
            places().map(|place| scores.get(place).copied().unwrap_or(f64::NAN)).collect::<Vec<_>>().into()
        });
        Self { scores, ..self.with_rows(rows) }
    }

    pub(super) fn keep_if(&self, wanted: impl Fn(&Candidate) -> bool) -> Self {
        let is_wanted = |row: &usize| self.candidate(*row).is_some_and(&wanted);
        if self.scores.is_some() {
            return self.keep_places(|place| self.rows.get(place).is_some_and(is_wanted));
        }
        let mut rows = Vec::with_capacity(self.rows.len());
        rows.extend(self.rows.iter().copied().filter(|row| is_wanted(row)));
        self.with_rows(rows)
    }

    fn is_untried(&self, candidate: &Candidate) -> bool {
        !self.snapshot.input.tried.contains(&candidate.account)
    }

    fn available(&self) -> Self {
        self.keep_if(|one| {
            one.health.is_usable() && one.in_flight < one.max_concurrency && self.is_untried(one)
        })
    }

    pub(super) fn column(&self, read: impl Fn(&Candidate) -> f64) -> Column {
        let value = |row: &usize| self.candidate(*row).map_or(f64::NAN, &read);
        Column::new(&self.rows, self.rows.iter().map(value))
    }

    fn keep(&self, condition: &Column) -> Listed {
        self.check_same_rows(condition)?;
        Ok(self.keep_places(|place| condition.values.get(place).is_some_and(|value| is_true(*value))))
    }

    /// First those for whom it holds, then the others, each in the order they had.
    fn prefer(&self, condition: &Column) -> Listed {
        self.check_same_rows(condition)?;
        let holds = |place: &usize| condition.values.get(*place).is_some_and(|value| is_true(*value));
        let (mut order, others): (Vec<usize>, Vec<usize>) = (0..self.rows.len()).partition(holds);
        order.extend(others);
        let rows = order.iter().filter_map(|place| self.rows.get(*place).copied()).collect();
        let scores = self.scores.as_ref().map(|scores| {
            order.iter().filter_map(|place| scores.get(*place).copied()).collect::<Vec<_>>().into()
        });
        Ok(Self { scores, ..self.with_rows(rows) })
    }

    /// Those whose number is at most `distance` below the highest.
    fn near_best(&self, scores: &Column, distance: f64) -> Listed {
        let floor = scores.highest() - distance;
        self.keep(&scores.map(|score| truth(score >= floor)))
    }

    fn top(&self, most: i64) -> Self {
        let most = usize::try_from(most).unwrap_or(0);
        if most >= self.rows.len() { self.clone() } else { self.keep_places(|place| place < most) }
    }

    fn reversed(&self) -> Self {
        self.with_rows(self.rows.iter().rev().copied().collect())
    }

    /// These, then those of the other list that are not among them.
    fn then(&self, other: &Self) -> Self {
        let mut is_listed = vec![false; self.snapshot.input.candidates.len()];
        let mut rows = Vec::with_capacity(self.rows.len() + other.rows.len());
        for row in self.rows.iter().chain(other.rows.iter()) {
            if let Some(listed) = is_listed.get_mut(*row).filter(|listed| !**listed) {
                *listed = true;
                rows.push(*row);
            }
        }
        self.with_rows(rows)
    }

    /// What it was sorted by.
    fn score(&self) -> Column {
        let scores = self.scores.as_deref().unwrap_or_default();
        Column::new(&self.rows, (0..self.rows.len()).map(|at| scores.get(at).copied().unwrap_or(f64::NAN)))
    }

    fn place(&self) -> Column {
        Column::new(&self.rows, (0_u32..).take(self.rows.len()).map(f64::from))
    }

    fn is_account(&self, one: &Dynamic) -> Column {
        let wanted = one.clone().try_cast::<One>().map(|one| one.row);
        Column::new(&self.rows, self.rows.iter().map(|row| truth(Some(*row) == wanted)))
    }

    pub(super) fn check_same_rows(&self, column: &Column) -> Result<(), Box<EvalAltResult>> {
        if column.is_beside(&self.rows) {
            return Ok(());
        }
        Err(complaint("the column comes from another list; take it from the list you sort or narrow down"))
    }

    pub(super) fn accounts(&self) -> Vec<AccountRef> {
        self.iter().map(|(_, candidate)| candidate.account).collect()
    }

    /// One score per candidate of the input, NaN for those not in the list.
    pub(super) fn scores_by_candidate(&self) -> Vec<f64> {
        let Some(scores) = &self.scores else { return Vec::new() };
        let mut all = vec![f64::NAN; self.snapshot.input.candidates.len()];
        for (row, score) in self.rows.iter().zip(scores.iter()) {
            if let Some(place) = all.get_mut(*row) {
                *place = *score;
            }
        }
        all
    }
}

impl IntoIterator for Candidates {
    type Item = One;
    type IntoIter = std::vec::IntoIter<One>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter().map(|row| self.one(*row)).collect::<Vec<_>>().into_iter()
    }
}

fn filter(context: &NativeCallContext, list: &Candidates, wanted: &FnPtr) -> Listed {
    let mut rows = Vec::with_capacity(list.rows.len());
    for row in list.rows.iter() {
        if wanted.call_within_context::<bool>(context, (list.one(*row),))? {
            rows.push(*row);
        }
    }
    Ok(list.with_rows(rows))
}

pub(super) fn register(book: &mut Book) {
    book.engine.register_type_with_name::<Candidates>("Candidates").register_iterator::<Candidates>();
    say!(book, Property, "Candidates";
        "len: int" "how many" => |list: &mut Candidates| super::request::integer(list.rows.len() as u64);
        "is_empty: bool" "nobody is left" => |list: &mut Candidates| list.rows.is_empty();
        "first: ?" "the first account, `()` when there is none" => |list: &mut Candidates| list.one_at(Some(0));
        "score: Column" "what the list was sorted by or drawn with; NaN when it was not"
            => |list: &mut Candidates| list.score();
        "place: Column" "0.0 for the first, 1.0 for the second .." => |list: &mut Candidates| list.place();
    );
    book.engine.register_indexer_get(|list: &mut Candidates, at: i64| list.one_at(usize::try_from(at).ok()));
    register_narrowing(book);
    register_joining(book);
}

fn register_narrowing(book: &mut Book) {
    say!(book, Method, "Candidates";
        "available() -> Candidates" "usable, with room and not tried: who could take it now"
            => |list: &mut Candidates| list.available();
        "usable() -> Candidates" "healthy, degraded or probing"
            => |list: &mut Candidates| list.keep_if(|one| one.health.is_usable());
        "with_room() -> Candidates" "fewer requests running than allowed"
            => |list: &mut Candidates| list.keep_if(|one| one.in_flight < one.max_concurrency);
        "without_tried() -> Candidates" "not yet tried for this request"
            => |list: &mut Candidates| list.keep_if(|one| list.is_untried(one));
        "keep(condition: Column) -> Candidates" "where the condition is true"
            => |list: &mut Candidates, condition: Column| list.keep(&condition);
        "filter(wanted: FnPtr) -> Candidates" "the same with a function per account; much slower"
            => |context: NativeCallContext, list: &mut Candidates, wanted: FnPtr| filter(&context, list, &wanted);
        "near_best(scores: Column, distance: float) -> Candidates" "no more than `distance` below the highest"
            => |list: &mut Candidates, scores: Column, distance: f64| list.near_best(&scores, distance);
        "top(most: int) -> Candidates" "the first of them" => |list: &mut Candidates, most: i64| list.top(most);
    );
}

fn register_joining(book: &mut Book) {
    say!(book, Method, "Candidates";
        "prefer(condition: Column) -> Candidates" "those for whom it holds go first; the order stays otherwise"
            => |list: &mut Candidates, condition: Column| list.prefer(&condition);
        "then(other: Candidates) -> Candidates" "these, then those of the other list that are missing"
            => |list: &mut Candidates, other: Candidates| list.then(&other);
        "or_else(other: Candidates) -> Candidates" "these, or the other list when nobody is left"
            => |list: &mut Candidates, other: Candidates| if list.rows.is_empty() { other } else { list.clone() };
        "reversed() -> Candidates" "last first" => |list: &mut Candidates| list.reversed();
        "is_account(one: ?) -> Column" "a condition: it is that account; nobody is `()`"
            => |list: &mut Candidates, one: Dynamic| list.is_account(&one);
        "headroom(unknown: float) -> Column" "the share left of the tighter window"
            => |list: &mut Candidates, unknown: f64| list.column(|one| headroom(one, unknown));
    );
}
