//! The programs of users that are written with an SDK: small files in `programs/`, one per SDK and language, that carry
//! out cases and print what they saw. What they printed is judged by the test that started them.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use gateway_lab::{ErrorBody, Fault, FaultRule, Route};
use serde_json::{Value, json};
use switchyard_tests::repository;

use super::{Rig, at_home, fresh_home, installed, run, text};

/// A key that is none of ours: callers on this machine need none.
pub(super) const SOME_KEY: &str = concat!("sk", "-of-the-caller");

/// What a program is started by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    JavaScript,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::Python, Self::JavaScript];

    fn ending(self) -> &'static str {
        match self {
            Self::Python => "py",
            Self::JavaScript => "cjs",
        }
    }

    fn interpreter(self) -> Result<PathBuf> {
        match self {
            Self::Python => installed("venv/bin/python"),
            // Setup looks for it on the path.
            Self::JavaScript => Ok(PathBuf::from("node")),
        }
    }
}

/// A program with an SDK, and whom it asks.
pub(super) struct Program {
    name: &'static str,
    language: Language,
    model: &'static str,
    key: String,
}

impl Program {
    pub(super) fn new(name: &'static str, language: Language) -> Self {
        Self { name, language, model: "gpt-5.5", key: SOME_KEY.to_owned() }
    }

    /// The same with another model.
    pub(super) fn asking(self, model: &'static str) -> Self {
        Self { model, ..self }
    }

    /// The same with a key of its own.
    pub(super) fn with_key(self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self }
    }

    /// Carries out the cases, one after another; says what each printed, by name.
    pub(super) async fn run(&self, rig: &Rig, cases: &[&str]) -> Result<Value> {
        let file = format!("{}.{}", self.name, self.language.ending());
        let home = fresh_home(&format!("{}-{}", self.name, self.language.ending()))?;
        let script = repository().canonicalize()?.join("tests/suite/clients/programs").join(&file);
        let mut command = at_home(&self.language.interpreter()?, &home);
        command
            .arg(script)
            .args(cases)
            .env("NODE_PATH", installed("node/node_modules")?)
            // Nothing is left beside the script.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("OPENAI_BASE_URL", format!("{}/v1", rig.gateway.url))
            .env("OPENAI_API_KEY", &self.key)
            .env("ANTHROPIC_BASE_URL", &rig.gateway.url)
            .env("ANTHROPIC_API_KEY", &self.key)
            .env("MODEL", self.model)
            .env("NO_PROXY", "127.0.0.1");
        let output = run(command).await?;
        ensure!(output.status.success(), "{file} {cases:?}: {}", text(&output.stderr));
        let said = text(&output.stdout);
        serde_json::from_str(said.trim()).with_context(|| format!("{file} {cases:?} printed {said}"))
    }

    /// One case.
    pub(super) async fn case(&self, rig: &Rig, case: &str) -> Result<Value> {
        Ok(self.run(rig, &[case]).await?[case].take())
    }
}

/// A pool that is out of breath for two seconds is waited for; one whose limit is reached says for how long. What the
/// program saw of the second.
pub(super) async fn patient_and_refused(program: Program) -> Result<Value> {
    let rig = Rig::start(1).await?;
    let pause = Fault::RateLimited429 { with_code: true, retry_after: Some(2) };
    rig.lab.script(FaultRule::new(pause).on(Route::Responses).once());
    let said = program.case(&rig, "patient").await?;
    assert_eq!(said["text"], "You said: hello patience", "{:?}: {said}", program.language);
    // Without the header it would ask again after half a second, and be refused.
    assert!(said["seconds"].as_f64() >= Some(2.0), "{:?}: {said}", program.language);
    assert_eq!(rig.turns().len(), 2);

    let limit = ErrorBody::named("usage_limit_reached").context("the lab lost a row")?;
    rig.lab.script(FaultRule::new(limit).on(Route::Responses));
    let said = program.case(&rig, "refused").await?;
    assert_eq!((&said["class"], &said["status"]), (&json!("RateLimitError"), &json!(429)), "{said}");
    let wait: u64 = said["retry_after"].as_str().context("no retry-after")?.parse()?;
    assert!((3_500..=3_600).contains(&wait), "the reset is an hour away, not {wait} s");
    rig.finish().await?;
    Ok(said)
}
