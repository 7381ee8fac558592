//! Every parser against bytes that nobody meant: the driver. It owns the budget, the check that a parser neither
//! panics nor grows out of proportion, and what becomes of a finding; it refuses to know what a parser reads.
//!
//! Inputs are made from the fixtures by a mutator with a seed, so that a run can be repeated byte for byte: there is
//! no coverage to steer it on a stable compiler. A run with the tests is short; `cargo xtask fuzz SECONDS [TARGET]` is
//! the same for as long as one likes. A finding is made small, kept under `fixtures/found/<target>` and from then on
//! tried first, by every run.

mod mutate;
mod seeds;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mutate::Mutator;
use seeds::Seeds;

/// A parser, or all that read the same bytes.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// What it reads when all is well.
    pub(crate) seeds: Seeds,
    /// Panics where a promise is broken.
    pub(crate) run: fn(&[u8]),
}

/// How many bytes a target gets in a run with the tests, all inputs together, and how many inputs at least and at most.
const QUICK_BYTES: usize = 192 * 1024;
const QUICK_INPUTS: std::ops::Range<usize> = 60..600;
/// What a parser may ask of the allocator besides a share for each byte it reads.
const FLAT_ALLOCATION: u64 = 512 * 1024;
/// That share: a target reads its input several times, in pieces and whole, into trees and into other dialects.
const ALLOCATION_PER_BYTE: u64 = 6_000;
/// The size to which a fragment is repeated, and four times that: what is linear then takes four times as much, or up to
/// twice that when a buffer has just doubled; what is quadratic takes sixteen times.
const GROWN_BYTES: usize = 12 * 1024;
const GROWTH: usize = 4;
const MOST_GROWTH: u64 = 9;

fn found_folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/found").join(target)
}

/// What is wrong with an input, if anything is.
fn fault(target: &Target, input: &[u8]) -> Option<String> {
    let mut result = Ok(());
    let used = allocation_counter::measure(|| {
        result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    });
    if let Err(panic) = result {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        return Some(text.unwrap_or_else(|| "a panic".to_owned()));
    }
    let most = FLAT_ALLOCATION + ALLOCATION_PER_BYTE * input.len() as u64;
    (used.bytes_total > most)
        .then(|| format!("{} bytes of memory for {} read", used.bytes_total, input.len()))
}

/// Tries one input; a finding is made small, kept and told.
fn check(target: &Target, input: &[u8]) -> Result<(), String> {
    let Some(what) = fault(target, input) else { return Ok(()) };
    // Two thousand tries would tell as many stacks.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let small = mutate::smaller(input, |input| fault(target, input).is_some());
    std::panic::set_hook(hook);
    let folder = found_folder(target.name);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{:016x}", mutate::digest(&small)));
    std::fs::write(&path, &small).unwrap();
    Err(format!("{}: {what}\nkept as {}: {}", target.name, path.display(), small.escape_ascii()))
}

/// Everything that was ever found.
fn replay(target: &Target) -> Result<(), String> {
    for file in std::fs::read_dir(found_folder(target.name)).into_iter().flatten() {
        let path = file.unwrap().path();
        if let Some(what) = fault(target, &std::fs::read(&path).unwrap()) {
            return Err(format!("{} again: {}: {what}", target.name, path.display()));
        }
    }
    Ok(())
}

/// How long a run goes on.
enum Budget {
    Quick,
    Until(Instant),
}

/// Returns how many inputs there were.
fn explore(target: &Target, seed: u64, budget: &Budget) -> Result<usize, String> {
    let seeds = target.seeds.read();
    let (mut inputs, mut bytes) = (0, 0);
    for seed in &seeds {
        check(target, seed)?;
    }
    let mut mutator = Mutator::new(seed ^ mutate::digest(target.name.as_bytes()), &seeds);
    loop {
        let goes_on = match budget {
            Budget::Quick => {
                inputs < QUICK_INPUTS.start || (inputs < QUICK_INPUTS.end && bytes < QUICK_BYTES)
            }
            Budget::Until(end) => Instant::now() < *end,
        };
        if !goes_on {
            return Ok(inputs);
        }
        let input = mutator.next_input();
        check(target, &input)?;
        inputs += 1;
        bytes += input.len();
    }
}

/// Repeats pieces of what it reads until it is long, and longer.
fn grow(target: &Target, seed: u64, rounds: usize) -> Result<(), String> {
    let seeds = target.seeds.read();
    let mut mutator = Mutator::new(seed ^ mutate::digest(target.name.as_bytes()), &seeds);
    let used = |input: &[u8]| allocation_counter::measure(|| (target.run)(input)).bytes_total;
    for _ in 0..rounds {
        let repeat = mutator.next_repeat();
        let long = repeat.times_to(GROWN_BYTES);
        let longer = repeat.times_to(GROWN_BYTES * GROWTH);
        check(target, &long)?;
        let (few, many) = (used(&long), used(&longer));
        if many > few * MOST_GROWTH + FLAT_ALLOCATION {
            return Err(format!(
                "{}: {few} bytes of memory for {} read, {many} for {}, when `{}` comes again and again after `{}`",
                target.name,
                long.len(),
                longer.len(),
                repeat.fragment.escape_ascii(),
                repeat.before.escape_ascii()
            ));
        }
    }
    Ok(())
}

/// One finding of every target that has one.
fn all_must(pass: impl Fn(&Target) -> Result<(), String>) {
    let found: Vec<String> = targets::all().iter().filter_map(|target| pass(target).err()).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_parser_falls_over_what_it_reads() {
    all_must(|target| {
        replay(target)?;
        let inputs = explore(target, 1, &Budget::Quick)?;
        assert!(inputs >= QUICK_INPUTS.start);
        Ok(())
    });
}

#[test]
fn no_parser_takes_more_than_its_share_of_what_is_long() {
    all_must(|target| grow(target, 1, 3));
}

/// The driver itself: what is planted is found, made small and told, and what grows out of proportion too.
#[test]
fn what_is_planted_is_found() {
    let seeds = || Seeds::Texts(&["some,text,with,commas"]);
    let run = |input: &[u8]| assert!(!input.windows(2).any(|two| two == b",,"), "two commas");
    let planted = Target { name: "planted", seeds: seeds(), run };
    let told = explore(&planted, 1, &Budget::Quick).unwrap_err();
    std::fs::remove_dir_all(found_folder("planted")).unwrap();
    assert!(told.starts_with("planted: two commas") && told.ends_with(": ,,"), "{told}");

    let quadratic = |input: &[u8]| {
        let mut all = Vec::new();
        for at in 0..input.len() / 8 {
            all = input[..at].to_vec();
        }
        drop(all);
    };
    let told = grow(&Target { name: "planted", seeds: seeds(), run: quadratic }, 1, 1).unwrap_err();
    assert!(told.contains("comes again and again"), "{told}");
}

#[test]
fn targets_have_names_of_their_own_and_something_to_begin_with() {
    let mut names: Vec<_> = targets::all().iter().map(|target| target.name).collect();
    for target in targets::all() {
        assert!(!target.seeds.read().is_empty(), "{} has no seeds", target.name);
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    // A finding whose target has another name now would never be tried again.
    for folder in std::fs::read_dir(found_folder("")).into_iter().flatten() {
        let name = folder.unwrap().file_name();
        assert!(names.iter().any(|known| name == *known), "no target is called {}", name.display());
    }
}

/// What `cargo xtask fuzz` starts.
#[test]
#[ignore = "as long as it is told; `cargo xtask fuzz SECONDS [TARGET]` starts it"]
#[expect(clippy::disallowed_methods, reason = "a tool's own words to its test")]
fn for_a_while() {
    let seconds = std::env::var("SWITCHYARD_FUZZ_SECONDS").unwrap().parse().unwrap();
    let wanted = std::env::var("SWITCHYARD_FUZZ_TARGET").unwrap_or_default();
    let mut chosen = targets::all();
    chosen.retain(|target| wanted.is_empty() || target.name.contains(&wanted));
    assert!(!chosen.is_empty(), "no target is called `{wanted}`");
    let each = Duration::from_secs(seconds) / u32::try_from(chosen.len()).unwrap();
    // Another seed each time, told so that a run can be repeated.
    let seed = std::env::var("SWITCHYARD_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    let mut found = Vec::new();
    println!("seed {seed} (set SWITCHYARD_FUZZ_SEED to repeat it)");
    for target in chosen {
        let begun = Instant::now();
        let inputs = replay(&target)
            .and_then(|()| grow(&target, seed, 20))
            .and_then(|()| explore(&target, seed, &Budget::Until(begun + each)));
        match inputs {
            Ok(inputs) => {
                println!("{:<24} {inputs:>9} inputs in {:.1} s", target.name, begun.elapsed().as_secs_f64());
            }
            Err(what) => found.push(what),
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
