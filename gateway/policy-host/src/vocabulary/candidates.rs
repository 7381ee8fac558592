//! A list of accounts: narrowed down, sorted, joined. Words never change a list, they answer a new one.

use std::sync::Arc;

use gateway_scheduler::{AccountRef, Candidate};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext};

use super::column::Column;
use super::complaint;
use super::numbers::{self, NUMBERS, Number};
use super::request::{One, Snapshot};
use super::scalars::hash64;

type Listed = Result<Candidates, Box<EvalAltResult>>;

/// Rows of the input in an order of their own.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    snapshot: Arc<Snapshot>,
    pub(super) rows: Arc<[usize]>,
    /// Beside `rows`, when the list was sorted by a score.
    scores: Option<Arc<[f64]>>,
}

impl Candidates {
    pub(super) fn all(snapshot: &Arc<Snapshot>) -> Self {
        let rows = (0..snapshot.input.candidates.len()).collect();
        Self { snapshot: Arc::clone(snapshot), rows, scores: None }
    }

    fn with_rows(&self, rows: impl Into<Arc<[usize]>>) -> Self {
        Self { snapshot: Arc::clone(&self.snapshot), rows: rows.into(), scores: None }
    }

    fn candidate(&self, row: usize) -> Option<&Candidate> {
        self.snapshot.input.candidates.get(row)
    }

    fn one(&self, row: usize) -> One {
        One { snapshot: Arc::clone(&self.snapshot), row }
    }

    /// In the order of the list.
    fn iter(&self) -> impl Iterator<Item = (usize, &Candidate)> {
        self.rows.iter().filter_map(|row| Some((*row, self.candidate(*row)?)))
    }

    fn keep_if(&self, wanted: impl Fn(&Candidate) -> bool) -> Self {
        let rows: Arc<[usize]> =
            self.iter().filter(|(_, candidate)| wanted(candidate)).map(|(row, _)| row).collect();
        self.with_rows(rows)
    }

    fn keep_if_text(&self, name: &str, wanted: &str) -> Self {
        let accounts = &self.snapshot.roster.accounts;
        self.keep_if(|candidate| {
            let profile = usize::try_from(candidate.account.0).ok().and_then(|at| accounts.get(at));
            profile.is_some_and(|profile| match name {
                "plan" => profile.plan == wanted,
                _ => profile.provider == wanted,
            })
        })
    }

    fn without_tried(&self) -> Self {
        let tried = &self.snapshot.input.tried;
        self.keep_if(|candidate| !tried.contains(&candidate.account))
    }

    fn column(&self, number: Number) -> Column {
        let values = self.iter().map(|(_, candidate)| (number.read)(candidate)).collect();
        Column { rows: Arc::clone(&self.rows), values }
    }

    /// Highest first; equal ones by who was picked longest ago, then by handle. Unknown scores drop out.
    fn sorted_by(&self, scores: impl Iterator<Item = f64>) -> Self {
        let mut scored: Vec<(f64, u64, AccountRef, usize)> = self
            .iter()
            .zip(scores)
            .filter(|(_, score)| !score.is_nan())
            .map(|((row, candidate), score)| (score, candidate.last_picked_seq, candidate.account, row))
            .collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let scores: Arc<[f64]> = scored.iter().map(|(score, ..)| *score).collect();
        let rows: Arc<[usize]> = scored.iter().map(|(.., row)| *row).collect();
        Self { scores: Some(scores), ..self.with_rows(rows) }
    }

    fn sorted_by_column(&self, column: &Column) -> Listed {
        self.check_same_rows(column)?;
        Ok(self.sorted_by(column.values.iter().copied()))
    }

    fn sorted_by_array(&self, scores: &Array) -> Listed {
        if scores.len() != self.rows.len() {
            let (found, expected) = (scores.len(), self.rows.len());
            return Err(complaint(format!("{found} scores for a list of {expected} candidates")));
        }
        let mut plain = Vec::with_capacity(scores.len());
        for score in scores {
            plain.push(number(score)?);
        }
        Ok(self.sorted_by(plain.into_iter()))
    }

    /// By a weighted sum of named numbers; an unknown number adds nothing.
    fn sorted_by_weights(&self, weights: &Map) -> Listed {
        let mut terms = Vec::with_capacity(weights.len());
        for (name, weight) in weights {
            terms.push((named(name)?, number(weight)?));
        }
        let score = |candidate: &Candidate| {
            terms.iter().fold(0.0, |sum, (number, weight)| {
                let value = (number.read)(candidate);
                if value.is_nan() { sum } else { sum + weight * value }
            })
        };
        let scores: Vec<f64> = self.iter().map(|(_, candidate)| score(candidate)).collect();
        Ok(self.sorted_by(scores.into_iter()))
    }

    /// Lowest or highest first; whose number is unknown comes last.
    fn ordered_by(&self, name: &str, direction: f64) -> Listed {
        let number = named(name)?;
        let score = |candidate: &Candidate| {
            let value = (number.read)(candidate);
            if value.is_nan() { f64::NEG_INFINITY } else { direction * value }
        };
        let scores: Vec<f64> = self.iter().map(|(_, candidate)| score(candidate)).collect();
        Ok(self.sorted_by(scores.into_iter()))
    }

    /// The same list beginning `seq` places further on.
    fn round_robin(&self, seq: i64) -> Self {
        let mut rows = self.rows.to_vec();
        let len = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if len > 0 {
            rows.rotate_left(usize::try_from(seq.rem_euclid(len)).unwrap_or(0));
        }
        self.with_rows(rows)
    }

    /// An order that the same key always gets, and that changes little when accounts come and go.
    fn sticky(&self, key: &str) -> Self {
        let accounts = &self.snapshot.roster.accounts;
        let mut rows: Vec<(u64, usize)> = self
            .iter()
            .map(|(row, candidate)| {
                let profile = usize::try_from(candidate.account.0).ok().and_then(|at| accounts.get(at));
                (hash64(&[key, profile.map_or("", |profile| profile.id.as_str())]), row)
            })
            .collect();
        rows.sort_unstable_by(|a, b| b.cmp(a));
        self.with_rows(rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>())
    }

    fn keep(&self, condition: &Column) -> Listed {
        self.check_same_rows(condition)?;
        let kept = self.rows.iter().zip(condition.values.iter());
        let rows: Vec<usize> =
            kept.filter(|(_, value)| **value != 0.0 && !value.is_nan()).map(|(row, _)| *row).collect();
        Ok(self.with_rows(rows))
    }

    /// These, then those of the other list that are not among them.
    fn then(&self, other: &Self) -> Self {
        let mut rows = self.rows.to_vec();
        rows.extend(other.rows.iter().filter(|row| !self.rows.contains(row)));
        self.with_rows(rows)
    }

    fn check_same_rows(&self, column: &Column) -> Result<(), Box<EvalAltResult>> {
        if Arc::ptr_eq(&self.rows, &column.rows) || self.rows == column.rows {
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

fn named(name: &str) -> Result<Number, Box<EvalAltResult>> {
    numbers::find(name)
        .ok_or_else(|| complaint(format!("candidates have no number {name}; policies/README.md lists them")))
}

fn number(value: &Dynamic) -> Result<f64, Box<EvalAltResult>> {
    let integer = || value.as_int().map(|whole| whole as f64);
    value
        .as_float()
        .or_else(|_| integer())
        .map_err(|found| complaint(format!("expected a number, found {found}")))
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

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Candidates>("Candidates")
        .register_iterator::<Candidates>()
        .register_get("len", |list: &mut Candidates| super::request::integer(list.rows.len() as u64))
        .register_get("is_empty", |list: &mut Candidates| list.rows.is_empty())
        .register_get("first", |list: &mut Candidates| -> Dynamic {
            list.rows.first().map_or(Dynamic::UNIT, |row| Dynamic::from(list.one(*row)))
        })
        .register_indexer_get(|list: &mut Candidates, at: i64| -> Dynamic {
            let row = usize::try_from(at).ok().and_then(|at| list.rows.get(at));
            row.map_or(Dynamic::UNIT, |row| Dynamic::from(list.one(*row)))
        });
    for number in NUMBERS {
        engine.register_get(number.name, move |list: &mut Candidates| list.column(*number));
    }
    register_narrowing(engine);
    register_sorting(engine);
}

fn register_narrowing(engine: &mut Engine) {
    engine
        .register_fn("usable", |list: &mut Candidates| list.keep_if(|candidate| candidate.health.is_usable()))
        .register_fn("with_room", |list: &mut Candidates| {
            list.keep_if(|candidate| candidate.in_flight < candidate.max_concurrency)
        })
        .register_fn("without_tried", |list: &mut Candidates| list.without_tried())
        .register_fn("plan", |list: &mut Candidates, plan: ImmutableString| list.keep_if_text("plan", &plan))
        .register_fn("provider", |list: &mut Candidates, provider: ImmutableString| {
            list.keep_if_text("provider", &provider)
        })
        .register_fn("keep", |list: &mut Candidates, condition: Column| list.keep(&condition))
        .register_fn("filter", |context: NativeCallContext, list: &mut Candidates, wanted: FnPtr| {
            filter(&context, list, &wanted)
        })
        .register_fn("then", |list: &mut Candidates, other: Candidates| list.then(&other));
}

fn register_sorting(engine: &mut Engine) {
    engine
        .register_fn("sorted_by", |list: &mut Candidates, scores: Column| list.sorted_by_column(&scores))
        .register_fn("sorted_by", |list: &mut Candidates, scores: Array| list.sorted_by_array(&scores))
        .register_fn("sorted_by", |list: &mut Candidates, weights: Map| list.sorted_by_weights(&weights))
        .register_fn("min_by", |list: &mut Candidates, name: ImmutableString| list.ordered_by(&name, -1.0))
        .register_fn("max_by", |list: &mut Candidates, name: ImmutableString| list.ordered_by(&name, 1.0))
        .register_fn("round_robin", |list: &mut Candidates, seq: i64| list.round_robin(seq))
        .register_fn("sticky", |list: &mut Candidates, key: ImmutableString| list.sticky(&key));
}
