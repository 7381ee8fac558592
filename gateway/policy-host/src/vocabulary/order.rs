//! Every way to put a list in order. Chance comes from a seed that the script hands over, so the same question always
//! gets the same order; equal ones are ordered by who was picked longest ago, then by handle.

use std::cmp::Ordering;

use gateway_scheduler::{AccountRef, Candidate};
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map};

use super::book::{Book, say};
use super::candidates::{Candidates, Listed};
use super::column::{Column, number};
use super::complaint;
use super::numbers::{self, Number};
use super::scalars::{fraction, hash64, mix};
use crate::deadline;

/// Spreads neighbouring handles before they are mixed with the seed.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What breaks a tie.
type Tie = (u64, AccountRef);

impl Candidates {
    fn tie(&self, row: usize) -> Tie {
        self.candidate(row).map_or((0, AccountRef(0)), |one| (one.last_picked_seq, one.account))
    }

    /// Highest first; unknown scores drop out.
    fn sorted_by(&self, scores: impl Iterator<Item = f64>) -> Self {
        // Sorting costs more than a walk.
        deadline::walked(4 * self.rows.len());
        let mut scored: Vec<(f64, Tie, usize)> = Vec::with_capacity(self.rows.len());
        let known = self.rows.iter().zip(scores).filter(|(_, score)| !score.is_nan());
        scored.extend(known.map(|(row, score)| (score, self.tie(*row), *row)));
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        self.with_scored_rows(scored.into_iter().map(|(score, _, row)| (row, score)))
    }

    fn sorted_by_column(&self, column: &Column) -> Listed {
        self.check_same_rows(column)?;
        Ok(self.sorted_by(column.values.iter().copied()))
    }

    /// An array of columns or of plain numbers.
    fn sorted_by_array(&self, scores: &Array) -> Listed {
        if scores.first().is_some_and(Dynamic::is::<Column>) {
            return self.sorted_by_columns(scores);
        }
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

    /// By the first column, equal ones by the second, and so on. Whose first number is unknown drops out.
    fn sorted_by_columns(&self, columns: &Array) -> Listed {
        let mut keys: Vec<Column> = Vec::with_capacity(columns.len());
        for column in columns {
            let column = column.clone().try_cast::<Column>();
            let column = column.ok_or_else(|| complaint("sort by columns or by numbers, not by both"))?;
            self.check_same_rows(&column)?;
            keys.push(column);
        }
        deadline::walked(4 * keys.len() * self.rows.len());
        let value = |key: &Column, place: usize| key.values.get(place).copied().unwrap_or(f64::NAN);
        let first = |place: usize| keys.first().map_or(f64::NAN, |key| value(key, place));
        let compare = |a: usize, b: usize| {
            let by_keys = keys.iter().map(|key| known_first(value(key, b), value(key, a)));
            by_keys.fold(Ordering::Equal, Ordering::then)
        };
        let rows = self.rows.iter().copied().enumerate();
        let mut places: Vec<(usize, usize)> = rows.filter(|(place, _)| !first(*place).is_nan()).collect();
        places.sort_unstable_by(|a, b| compare(a.0, b.0).then_with(|| self.tie(a.1).cmp(&self.tie(b.1))));
        Ok(self.with_scored_rows(places.into_iter().map(|(place, row)| (row, first(place)))))
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
        deadline::walked(terms.len() * self.rows.len());
        let scores = self.column(score);
        self.sorted_by_column(&scores)
    }

    /// Lowest or highest first; whose number is unknown comes last.
    fn ordered_by(&self, column: &Column, direction: f64) -> Listed {
        self.check_same_rows(column)?;
        let last_if_unknown = |value: f64| if value.is_nan() { f64::NEG_INFINITY } else { direction * value };
        Ok(self.sorted_by(column.values.iter().map(|value| last_if_unknown(*value))))
    }

    fn ordered_by_name(&self, name: &str, direction: f64) -> Listed {
        self.ordered_by(&self.column(named(name)?.read), direction)
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

    /// Rendezvous hashing: an order that the same key always gets, and that changes little when accounts come and go.
    fn sticky(&self, key: &str) -> Self {
        deadline::walked(8 * self.rows.len());
        let mut rows: Vec<(u64, usize)> = self.rows.iter().map(|row| (self.pull(key, *row), *row)).collect();
        rows.sort_unstable_by(|a, b| b.cmp(a));
        self.with_rows(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// The same, with more keys for who weighs more; who weighs nothing comes last.
    fn sticky_by(&self, key: &str, weights: &Column) -> Listed {
        self.drawn(weights, |row| fraction(self.pull(key, row)))
    }

    fn pull(&self, key: &str, row: usize) -> u64 {
        hash64(&[key, self.profile(row).map_or("", |profile| profile.id.as_str())])
    }

    /// A lottery: who weighs twice as much is first twice as often.
    fn weighted(&self, weights: &Column, seed: i64) -> Listed {
        self.drawn(weights, |row| fraction(self.draw(seed, row)))
    }

    fn draw(&self, seed: i64, row: usize) -> u64 {
        let handle = self.candidate(row).map_or(0, |one| u64::from(one.account.0));
        mix(seed.cast_unsigned() ^ mix(handle.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// The order of drawing without putting back: chance to the power of one divided by the weight, as logarithms.
    fn drawn(&self, weights: &Column, chance: impl Fn(usize) -> f64) -> Listed {
        self.check_same_rows(weights)?;
        deadline::walked(8 * self.rows.len());
        let mut keyed: Vec<(f64, Tie, usize, f64)> = Vec::with_capacity(self.rows.len());
        for (row, weight) in self.rows.iter().zip(weights.values.iter()).filter(|(_, w)| !w.is_nan()) {
            let key = if *weight > 0.0 { chance(*row).ln() / weight } else { f64::NEG_INFINITY };
            keyed.push((key, self.tie(*row), *row, *weight));
        }
        keyed.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Ok(self.with_scored_rows(keyed.into_iter().map(|(.., row, weight)| (row, weight))))
    }

    fn shuffled(&self, seed: i64) -> Self {
        deadline::walked(4 * self.rows.len());
        let mut rows: Vec<(u64, usize)> = self.rows.iter().map(|row| (self.draw(seed, *row), *row)).collect();
        rows.sort_unstable();
        self.with_rows(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// Two at random, the better of them first, then the others at random.
    fn two_choices(&self, scores: &Column, seed: i64) -> Listed {
        self.check_same_rows(scores)?;
        let mut rows = self.shuffled(seed).rows.to_vec();
        let score = |row: usize| {
            let place = self.rows.iter().position(|found| *found == row);
            place.and_then(|place| scores.values.get(place)).copied().unwrap_or(f64::NAN)
        };
        if let [a, b, ..] = rows.as_mut_slice()
            && known_first(score(*a), score(*b)).is_lt()
        {
            std::mem::swap(a, b);
        }
        Ok(self.with_rows(rows))
    }
}

/// Unknown is less than every number.
fn known_first(a: f64, b: f64) -> Ordering {
    b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(&b))
}

fn named(name: &str) -> Result<Number, Box<EvalAltResult>> {
    numbers::find(name)
        .ok_or_else(|| complaint(format!("candidates have no number {name}; policies/README.md lists them")))
}

pub(super) fn register(book: &mut Book) {
    say!(book, Method, "Candidates";
        "sorted_by(scores: ?) -> Candidates"
        "highest first: by a column; by columns `[a, b]`, where `b` decides among equals; by an array of numbers; by \
         a weighted sum `#{ in_flight: -1.0 }`. An unknown score drops out"
            => |list: &mut Candidates, scores: Column| list.sorted_by_column(&scores);
        "min_by(number: ?) -> Candidates" "lowest first, by a column or by name; unknown last"
            => |list: &mut Candidates, name: ImmutableString| list.ordered_by_name(&name, -1.0);
        "max_by(number: ?) -> Candidates" "highest first, by a column or by name; unknown last"
            => |list: &mut Candidates, name: ImmutableString| list.ordered_by_name(&name, 1.0);
        "round_robin(seq: int) -> Candidates" "the same order, beginning that much further on"
            => |list: &mut Candidates, seq: i64| list.round_robin(seq);
        "sticky(key: String) -> Candidates" "an order that the same text always gets (rendezvous hashing)"
            => |list: &mut Candidates, key: ImmutableString| list.sticky(&key);
        "sticky(key: String, weights: Column) -> Candidates" "the same, with more keys for who weighs more"
            => |list: &mut Candidates, key: ImmutableString, weights: Column| list.sticky_by(&key, &weights);
        "weighted(weights: Column, seed: int) -> Candidates" "a lottery: twice the weight is first twice as often"
            => |list: &mut Candidates, weights: Column, seed: i64| list.weighted(&weights, seed);
        "shuffled(seed: int) -> Candidates" "any order with the same chance"
            => |list: &mut Candidates, seed: i64| list.shuffled(seed);
        "two_choices(scores: Column, seed: int) -> Candidates" "two at random, the better first, then the others"
            => |list: &mut Candidates, scores: Column, seed: i64| list.two_choices(&scores, seed);
    );
    book.engine
        .register_fn("sorted_by", |list: &mut Candidates, scores: Array| list.sorted_by_array(&scores))
        .register_fn("sorted_by", |list: &mut Candidates, weights: Map| list.sorted_by_weights(&weights))
        .register_fn("min_by", |list: &mut Candidates, column: Column| list.ordered_by(&column, -1.0))
        .register_fn("max_by", |list: &mut Candidates, column: Column| list.ordered_by(&column, 1.0));
}
