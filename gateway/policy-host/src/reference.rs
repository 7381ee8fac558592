//! The reference for people and the definitions file for editors, both written from the words that the engine was
//! taught and from examples that it evaluates. Owns no text about single words: that stands where they are registered.

use std::fmt::Write as _;

use rhai::Dynamic;

use crate::tester::Tester;
use crate::vocabulary::book::{Form, Word};

/// The headings, in the order of a reader: a type or the heading of free functions.
const HEADINGS: &[(&str, &str)] = &[
    ("Request", "The argument of `rank`."),
    ("Candidates", "A list of accounts. Every number of an account is also a property of a list: a column."),
    ("Candidate", "One account, from `list.first`, `list[0]`, `for one in list` or `request.active`."),
    ("Column", "One number per account of a list. A condition is a column of 0.0 and 1.0."),
    ("Columns", "Operators and functions on columns. Both sides must come from the same list."),
    ("Numbers and texts", "Functions on plain values."),
    ("Answers", "What `rank` returns."),
    ("Verdict", "An answer in the making."),
    ("Asked", "The first argument of `map_model`, `filter_request` and `filter_response`."),
    ("Mappings", "What `map_model` answers besides a plain name: nothing leaves the model as it is."),
    ("Target", "One thing to ask of an upstream."),
    ("Mapped", "A mapping in the making."),
    ("Prompt", "The second argument of `filter_request`."),
    ("Part", "One text of a prompt, from `for part in prompt.parts`."),
    (
        "Filters",
        "What filters answer besides `refuse(..)`: nothing lets it through, a text takes an event's place.",
    ),
    ("Event", "The second argument of `filter_response`."),
    ("Usage", "The first argument of `observe_usage`."),
    ("Counters", "The second argument of `observe_usage`."),
    ("Tests", "Only in `test_*` functions."),
    ("Answer", "What `ask` answers."),
];

/// Words of the language itself, by example; the results are evaluated, not written.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "Numbers",
        &[
            "7 / 2",
            "7 % 2",
            "2 ** 10",
            "7.0 / 2",
            "abs(-3)",
            "sign(-3)",
            "min(3, 5)",
            "max(3, 5)",
            "sqrt(2.25)",
            "floor(2.7)",
            "ceiling(2.1)",
            "round(2.5)",
            "ln(1.0)",
            "exp(0.0)",
            "to_int(2.9)",
            "to_float(3)",
            "parse_int(\"42\")",
            "parse_float(\"0.5\")",
            "is_nan(0.0 / 0.0)",
        ],
    ),
    (
        "Texts",
        &[
            "\"a\" + 1",
            "`${1 + 1} of ${3}`",
            "\"gpt-5\".len",
            "\"gpt-5\".contains(\"5\")",
            "\"gpt-5\".starts_with(\"gpt\")",
            "\"gpt-5\".ends_with(\"5\")",
            "\"GPT\".to_lower()",
            "\"gpt\".to_upper()",
            "\"gpt-5\".index_of(\"-\")",
            "\"gpt-5\".sub_string(0, 3)",
            "\"a,b\".split(\",\")",
            "let t = \"a-b\"; t.replace(\"-\", \"+\"); t",
            "let t = \" a \"; t.trim(); t",
            "\"gpt\" in \"gpt-5\"",
        ],
    ),
    (
        "Arrays",
        &[
            "[1, 2].len",
            "[1, 2] + [3]",
            "let a = [3, 1]; a.push(2); a",
            "let a = [3, 1, 2]; a.sort(); a",
            "let a = [1, 2]; a.reverse(); a",
            "[1, 2, 3].filter(|n| n > 1)",
            "[1, 2].map(|n| n * 2)",
            "[1, 2].reduce(|sum, n| sum + n, 0)",
            "[1, 2].some(|n| n > 1)",
            "[1, 2].all(|n| n > 1)",
            "[1, 2].contains(2)",
            "[1, 2].index_of(2)",
            "[1, 2, 3].extract(0, 2)",
            "2 in [1, 2]",
            "[1, 2][0]",
        ],
    ),
    (
        "Maps",
        &[
            "#{ a: 1 }.a",
            "#{ a: 1 }[\"a\"]",
            "#{ a: 1 }.keys()",
            "#{ a: 1 }.values()",
            "#{ a: 1 }.contains(\"a\")",
            "\"a\" in #{ a: 1 }",
            "#{ a: 1 } + #{ b: 2 }",
        ],
    ),
    (
        "Flow",
        &[
            "if 1 < 2 { \"yes\" } else { \"no\" }",
            "switch \"cli\" { \"api\" => 1, \"cli\" => 2, _ => 3 }",
            "let n = 0; for i in 0..4 { n += i; } n",
            "let n = 0; while n < 3 { n += 1; } n",
            "type_of(1.0)",
            "let f = |n| n + 1; f.call(1)",
        ],
    ),
];

/// `policies/reference.md`.
#[must_use]
pub fn reference() -> String {
    let tester = Tester::new(None);
    let mut text = String::from(
        "# Reference\n\nEvery type and function a policy knows. Written by `gateway_policy_host::reference()`; a test \
         holds it to the code. README.md explains how to think about them.\n",
    );
    for (heading, about) in HEADINGS {
        let _infallible = writeln!(text, "\n## {heading}\n\n{about}\n\n| | |\n|---|---|");
        for word in tester.words().iter().filter(|word| word.of == *heading) {
            let about = word.about.replace('|', "\\|");
            let signature = word.signature.replace('|', "\\|");
            let _infallible = writeln!(text, "| `{}` | {about} |", written(word, &signature));
        }
    }
    text.push_str(
        "\n## The language\n\nRhai without files, clock, printing and `eval`. Examples and what they give:\n",
    );
    for (heading, examples) in EXAMPLES {
        let _infallible = writeln!(text, "\n**{heading}**\n\n| | |\n|---|---|");
        for example in *examples {
            let result = tester.evaluate(example).unwrap_or_else(|error| Dynamic::from(error.to_string()));
            let shown = format!("{result:?}").replace('|', "\\|");
            let example = example.replace('|', "\\|");
            // A text in backquotes needs two of them around it.
            let example =
                if example.contains('`') { format!("`` {example} ``") } else { format!("`{example}`") };
            let _infallible = writeln!(text, "| {example} | `{shown}` |");
        }
    }
    text
}

/// As an author writes it.
fn written(word: &Word, signature: &str) -> String {
    match word.form {
        Form::Property | Form::Method => format!(".{signature}"),
        Form::Function | Form::Operator => signature.to_owned(),
    }
}

/// `policies/definitions/switchyard.d.rhai`, in the form that editors for Rhai read.
#[must_use]
pub fn definitions() -> String {
    let tester = Tester::new(None);
    let mut text = String::from("module static;\n");
    for (heading, _) in HEADINGS {
        for word in tester.words().iter().filter(|word| word.of == *heading) {
            for owner in owners(word) {
                let _infallible = writeln!(text, "\n/// {}\n{}", word.about, defined(word, owner));
            }
        }
    }
    text
}

/// A number of an account is a column on a list.
fn owners(word: &Word) -> &'static [&'static str] {
    match (word.form, word.of) {
        (Form::Property, "Candidate") if !is_text(word) => &["Candidate", "Candidates"],
        (_, "Candidate") => &["Candidate"],
        (_, "Request") => &["Request"],
        (_, "Candidates") => &["Candidates"],
        (_, "Column") => &["Column"],
        (_, "Verdict") => &["Verdict"],
        (_, "Answer") => &["Answer"],
        (_, "Asked") => &["Asked"],
        (_, "Target") => &["Target"],
        (_, "Mapped") => &["Mapped"],
        (_, "Prompt") => &["Prompt"],
        (_, "Part") => &["Part"],
        (_, "Event") => &["Event"],
        (_, "Usage") => &["Usage"],
        (_, "Counters") => &["Counters"],
        _ => &[""],
    }
}

fn is_text(word: &Word) -> bool {
    word.signature.ends_with("String") || word.signature.ends_with("Array")
}

fn defined(word: &Word, owner: &str) -> String {
    let signature = word.signature;
    match word.form {
        Form::Operator => format!("op {signature};"),
        Form::Function => format!("fn {signature};"),
        Form::Method => {
            let (name, rest) = signature.split_once('(').unwrap_or((signature, ") -> ?"));
            let comma = if rest.starts_with(')') { "" } else { ", " };
            format!("fn {name}(self: {owner}{comma}{rest};")
        }
        Form::Property => {
            let (name, kind) = signature.split_once(": ").unwrap_or((signature, "?"));
            let kind = if owner == "Candidates" && word.of == "Candidate" { "Column" } else { kind };
            format!("fn get {name}(self: {owner}) -> {kind};")
        }
    }
}
