//! Operators and functions that work on columns number by number. Nothing here walks anything but one column.

use super::book::{Book, Form, say};
use super::column::{Column, is_true, truth};
use super::scalars::{known_or, left};

/// A word of two numbers, for all pairs of column, float and integer.
fn pairwise(book: &mut Book, signature: &'static str, about: &'static str, combine: fn(f64, f64) -> f64) {
    let word = super::book::name_of(signature);
    let form = if word.starts_with(char::is_alphabetic) { Form::Function } else { Form::Operator };
    book.note(form, "Columns", signature, about);
    book.engine
        .register_fn(word, move |a: &mut Column, b: Column| a.zip(&b, combine))
        .register_fn(word, move |a: &mut Column, b: f64| a.map(|a| combine(a, b)))
        .register_fn(word, move |a: f64, b: Column| b.map(|b| combine(a, b)))
        .register_fn(word, move |a: &mut Column, b: i64| a.map(|a| combine(a, b as f64)))
        .register_fn(word, move |a: i64, b: Column| b.map(|b| combine(a as f64, b)));
}

/// A word of one number.
fn each(book: &mut Book, signature: &'static str, about: &'static str, change: fn(f64) -> f64) {
    book.note(Form::Function, "Columns", signature, about);
    book.engine.register_fn(super::book::name_of(signature), move |a: &mut Column| a.map(change));
}

pub(super) fn register(book: &mut Book) {
    let plain = "number by number; the other side may be a plain number";
    pairwise(book, "+(Column, Column) -> Column", plain, |a, b| a + b);
    pairwise(book, "-(Column, Column) -> Column", plain, |a, b| a - b);
    pairwise(book, "*(Column, Column) -> Column", plain, |a, b| a * b);
    pairwise(book, "/(Column, Column) -> Column", plain, |a, b| a / b);
    pairwise(book, "**(Column, Column) -> Column", "to the power of", f64::powf);
    let condition = "a condition: 1.0 where it holds, 0.0 elsewhere and where a number is unknown";
    pairwise(book, "<(Column, Column) -> Column", condition, |a, b| truth(a < b));
    pairwise(book, "<=(Column, Column) -> Column", condition, |a, b| truth(a <= b));
    pairwise(book, ">(Column, Column) -> Column", condition, |a, b| truth(a > b));
    pairwise(book, ">=(Column, Column) -> Column", condition, |a, b| truth(a >= b));
    pairwise(book, "==(Column, Column) -> Column", condition, same);
    pairwise(book, "!=(Column, Column) -> Column", condition, |a, b| {
        truth(matches!(a.partial_cmp(&b), Some(order) if order.is_ne()))
    });
    pairwise(book, "min(a: Column, b: Column) -> Column", "the smaller; one that is known", f64::min);
    pairwise(book, "max(a: Column, b: Column) -> Column", "the larger; one that is known", f64::max);
    register_conditions(book);
    each(book, "abs(a: Column) -> Column", "without its sign", f64::abs);
    each(book, "floor(a: Column) -> Column", "rounded down", f64::floor);
    each(book, "ceil(a: Column) -> Column", "rounded up", f64::ceil);
    each(book, "round(a: Column) -> Column", "rounded to the nearest", f64::round);
    each(book, "sqrt(a: Column) -> Column", "square root", f64::sqrt);
    each(book, "ln(a: Column) -> Column", "natural logarithm", f64::ln);
    each(book, "exp(a: Column) -> Column", "e to the power of it", f64::exp);
    each(book, "is_known(a: Column) -> Column", "a condition: the number is known", |a| truth(!a.is_nan()));
}

/// Exactly the same number; an unknown one equals nothing.
fn same(a: f64, b: f64) -> f64 {
    truth(a.partial_cmp(&b) == Some(std::cmp::Ordering::Equal))
}

fn register_conditions(book: &mut Book) {
    say!(book, Operator, "Columns";
        "&(Column, Column) -> Column" "both conditions" => |a: &mut Column, b: Column| {
            a.zip(&b, |a, b| truth(is_true(a) && is_true(b)))
        };
        "|(Column, Column) -> Column" "one of the conditions at least" => |a: &mut Column, b: Column| {
            a.zip(&b, |a, b| truth(is_true(a) || is_true(b)))
        };
        "!(Column) -> Column" "the opposite of a condition" => |a: &mut Column| a.map(|a| truth(!is_true(a)));
    );
    book.engine.register_fn("-", |a: &mut Column| a.map(|a| -a));
    say!(book, Function, "Columns";
        "left(used: Column, unknown: float) -> Column" "the share left, 0.0 to 1.0; `unknown` when nobody knows"
            => |used: &mut Column, unknown: f64| used.map(|used| left(used, unknown));
        "known_or(a: Column, unknown: float) -> Column" "the number itself unless it is unknown"
            => |a: &mut Column, unknown: f64| a.map(|a| known_or(a, unknown));
        "clamp(a: Column, low: float, high: float) -> Column" "no less than `low`, no more than `high`"
            => |a: &mut Column, low: f64, high: f64| a.map(|a| a.max(low).min(high));
    );
}
