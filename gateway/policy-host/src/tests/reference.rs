//! The generated files are those in the repository. To write them anew: run the ignored test `write_them_anew`.

use std::fs;

use super::policies;
use crate::{definitions, reference};

#[test]
fn the_reference_is_current() {
    let hint = "run `cargo nextest run -p gateway-policy-host --run-ignored only write_them_anew`";
    let read = |file: &str| fs::read_to_string(policies().join(file)).unwrap();
    assert!(read("reference.md") == reference(), "{hint}");
    assert!(read("definitions/switchyard.d.rhai") == definitions(), "{hint}");
}

#[test]
#[ignore = "writes into the repository"]
fn write_them_anew() {
    fs::create_dir_all(policies().join("definitions")).unwrap();
    fs::write(policies().join("reference.md"), reference()).unwrap();
    fs::write(policies().join("definitions/switchyard.d.rhai"), definitions()).unwrap();
}

#[test]
fn every_heading_has_words_and_every_example_a_result() {
    let text = reference();
    for part in text.split("\n## ").skip(1) {
        assert!(part.matches("\n| `").count() > 0 || part.starts_with("The language"), "{part}");
    }
    let examples = text.split("## The language").nth(1).unwrap();
    for line in examples.lines() {
        let fails = ["not found", "Syntax error", "mismatch", "(line"].iter().any(|word| line.contains(word));
        assert!(!fails, "{line}");
    }
}

#[test]
fn every_word_stands_under_a_heading() {
    let words = crate::tester::Tester::new(None);
    let text = reference();
    for word in words.words() {
        let signature = word.signature.replace('|', "\\|");
        assert!(text.contains(&signature), "{} of {}", word.signature, word.of);
    }
}
