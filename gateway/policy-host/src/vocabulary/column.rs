//! One number for every candidate of a list, with arithmetic: `0.6 * min(short, long) + 0.4 * long`.
//!
//! A script that loops over accounts pays the interpreter per account; a column pays it once. A condition is a
//! column of 0 and 1.

use std::sync::Arc;

use rhai::{Engine, EvalAltResult};

use super::complaint;
use super::scalars::{known_or, left};

type Answer = Result<Column, Box<EvalAltResult>>;

/// Values beside the rows of the list they came from.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) rows: Arc<[usize]>,
    pub(super) values: Arc<[f64]>,
}

impl Column {
    fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        let values = self.values.iter().map(|value| change(*value)).collect();
        Self { rows: Arc::clone(&self.rows), values }
    }

    /// Row by row; both must stand beside the same accounts.
    fn zip(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Answer {
        if !Arc::ptr_eq(&self.rows, &other.rows) && self.rows != other.rows {
            return Err(complaint("these columns come from different lists; take both from the same one"));
        }
        let values = self.values.iter().zip(other.values.iter()).map(|(a, b)| combine(*a, *b)).collect();
        Ok(Self { rows: Arc::clone(&self.rows), values })
    }
}

fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn is_true(value: f64) -> bool {
    value != 0.0 && !value.is_nan()
}

/// A word of two numbers, for all pairs of column, float and integer.
fn pairwise(engine: &mut Engine, word: &str, combine: fn(f64, f64) -> f64) {
    engine
        .register_fn(word, move |a: &mut Column, b: Column| a.zip(&b, combine))
        .register_fn(word, move |a: &mut Column, b: f64| a.map(|a| combine(a, b)))
        .register_fn(word, move |a: f64, b: Column| b.map(|b| combine(a, b)))
        .register_fn(word, move |a: &mut Column, b: i64| a.map(|a| combine(a, b as f64)))
        .register_fn(word, move |a: i64, b: Column| b.map(|b| combine(a as f64, b)));
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Column>("Column");
    pairwise(engine, "+", |a, b| a + b);
    pairwise(engine, "-", |a, b| a - b);
    pairwise(engine, "*", |a, b| a * b);
    pairwise(engine, "/", |a, b| a / b);
    pairwise(engine, "min", f64::min);
    pairwise(engine, "max", f64::max);
    pairwise(engine, "<", |a, b| truth(a < b));
    pairwise(engine, "<=", |a, b| truth(a <= b));
    pairwise(engine, ">", |a, b| truth(a > b));
    pairwise(engine, ">=", |a, b| truth(a >= b));
    engine
        .register_fn("-", |a: &mut Column| a.map(|a| -a))
        .register_fn("!", |a: &mut Column| a.map(|a| truth(!is_true(a))))
        .register_fn("&", |a: &mut Column, b: Column| a.zip(&b, |a, b| truth(is_true(a) && is_true(b))))
        .register_fn("|", |a: &mut Column, b: Column| a.zip(&b, |a, b| truth(is_true(a) || is_true(b))))
        .register_fn("left", |used: &mut Column, unknown: f64| used.map(|used| left(used, unknown)))
        .register_fn("known_or", |a: &mut Column, unknown: f64| a.map(|a| known_or(a, unknown)))
        .register_fn("clamp", |a: &mut Column, low: f64, high: f64| a.map(|a| a.max(low).min(high)));
}
