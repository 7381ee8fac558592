//! One number for every candidate of a list, with arithmetic: `0.6 * min(short, long) + 0.4 * long`.
//!
//! A script that loops over accounts pays the interpreter per account; a column pays it once. A condition is a
//! column of 0 and 1. This file owns the type and what is read from it; `arithmetic` owns the operators.

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult};

use super::book::{Book, say};
use super::complaint;
use crate::deadline;

pub(super) type Answer = Result<Column, Box<EvalAltResult>>;

/// Values beside the rows of the list they came from.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) rows: Arc<[usize]>,
    pub(super) values: Arc<[f64]>,
}

impl Column {
    pub(super) fn new(rows: &Arc<[usize]>, values: impl Iterator<Item = f64>) -> Self {
        deadline::walked(rows.len());
        // Collected by way of a vector of the right size: an iterator that hides its length would be copied more often.
        let mut found = Vec::with_capacity(rows.len());
        found.extend(values);
        Self { rows: Arc::clone(rows), values: found.into() }
    }

    pub(super) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self::new(&self.rows, self.values.iter().map(|value| change(*value)))
    }

    /// Row by row; both must stand beside the same accounts.
    pub(super) fn zip(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Answer {
        if !self.is_beside(&other.rows) {
            return Err(complaint("these columns come from different lists; take both from the same one"));
        }
        Ok(Self::new(&self.rows, self.values.iter().zip(other.values.iter()).map(|(a, b)| combine(*a, *b))))
    }

    /// Whether it belongs to a list with these rows in this order.
    pub(super) fn is_beside(&self, rows: &Arc<[usize]>) -> bool {
        Arc::ptr_eq(&self.rows, rows) || self.rows == *rows
    }

    /// The values that are known.
    fn known(&self) -> impl Iterator<Item = f64> {
        self.values.iter().copied().filter(|value| !value.is_nan())
    }

    pub(super) fn highest(&self) -> f64 {
        self.known().fold(f64::NAN, f64::max)
    }

    fn lowest(&self) -> f64 {
        self.known().fold(f64::NAN, f64::min)
    }

    fn mean(&self) -> f64 {
        let (sum, count) = self.known().fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        sum / count
    }

    /// `yes` where the condition is true, `no` elsewhere; each a column of the same list or a number.
    fn choose(&self, yes: &Dynamic, no: &Dynamic) -> Answer {
        let (yes, no) = (Side::of(self, yes)?, Side::of(self, no)?);
        let pick = |(at, value): (usize, &f64)| if is_true(*value) { yes.at(at) } else { no.at(at) };
        Ok(Self::new(&self.rows, self.values.iter().enumerate().map(pick)))
    }
}

/// One of the two answers of `choose`.
enum Side {
    Number(f64),
    Column(Column),
}

impl Side {
    fn of(condition: &Column, value: &Dynamic) -> Result<Self, Box<EvalAltResult>> {
        let Some(column) = value.clone().try_cast::<Column>() else { return number(value).map(Self::Number) };
        if column.is_beside(&condition.rows) {
            return Ok(Self::Column(column));
        }
        Err(complaint("choose needs a condition and columns of the same list"))
    }

    fn at(&self, at: usize) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Column(column) => column.values.get(at).copied().unwrap_or(f64::NAN),
        }
    }
}

/// A number as scripts write it, whole or not.
pub(super) fn number(value: &Dynamic) -> Result<f64, Box<EvalAltResult>> {
    let integer = || value.as_int().map(|whole| whole as f64);
    value
        .as_float()
        .or_else(|_| integer())
        .map_err(|found| complaint(format!("expected a number, found {found}")))
}

pub(super) fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Unknown is not true.
pub(super) fn is_true(value: f64) -> bool {
    value != 0.0 && !value.is_nan()
}

pub(super) fn register(book: &mut Book) {
    book.engine.register_type_with_name::<Column>("Column");
    say!(book, Property, "Column";
        "highest: float" "the highest known number; NaN when there is none" => |c: &mut Column| c.highest();
        "lowest: float" "the lowest known number; NaN when there is none" => |c: &mut Column| c.lowest();
        "mean: float" "the mean of the known numbers; NaN when there are none" => |c: &mut Column| c.mean();
        "sum: float" "the sum of the known numbers" => |c: &mut Column| c.known().sum::<f64>();
        "count: int" "of a condition: how many it holds for" => |c: &mut Column| {
            super::request::integer(c.values.iter().filter(|value| is_true(**value)).count() as u64)
        };
        "any: bool" "of a condition: whether it holds for one at least" => |c: &mut Column| {
            c.values.iter().any(|value| is_true(*value))
        };
        "all: bool" "of a condition: whether it holds for all" => |c: &mut Column| {
            c.values.iter().all(|value| is_true(*value))
        };
        "first: float" "the number of the first account; NaN when there is none" => |c: &mut Column| {
            c.values.first().copied().unwrap_or(f64::NAN)
        };
    );
    say!(book, Function, "Columns";
        "choose(condition: Column, yes: ?, no: ?) -> Column"
        "`yes` where the condition is true, `no` elsewhere; columns or numbers"
        => |condition: &mut Column, yes: Dynamic, no: Dynamic| condition.choose(&yes, &no);
    );
}
