//! The one engine: which parts of the language exist, how much a script may use, which words it knows.
//!
//! Every limit is set here: the library's defaults differ between debug and release builds.

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LogicPackage, MoreStringPackage, Package as _,
};
use rhai::{Dynamic, Engine, OptimizationLevel};

use crate::vocabulary::book::Book;
use crate::{deadline, vocabulary};

/// Statements and expressions of one call; a policy over 500 accounts uses some hundreds.
const MAX_OPERATIONS: u64 = 50_000;
/// The longest text a script may build.
pub(crate) const MAX_STRING_BYTES: usize = 16 * 1024;
/// The most modules one script may import, those that its modules import included.
pub(crate) const MAX_MODULES: usize = 8;

/// An engine that knows all words of the vocabulary, and the list of them.
pub(crate) fn build() -> Book {
    // Raw: no modules from files, no printing, and no string interner, whose lock all calls would share.
    let mut engine = Engine::new_raw();
    // Not the language core package: it brings `sleep`, which no limit interrupts.
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    set_limits(&mut engine);
    let mut book = Book::new(engine);
    vocabulary::register(&mut book);
    book
}

fn set_limits(engine: &mut Engine) {
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_call_levels(32)
        .set_max_expr_depths(64, 32)
        .set_max_variables(256)
        .set_max_functions(128)
        .set_max_modules(MAX_MODULES)
        // There is no cap on memory as a whole, so that of each value is low.
        .set_max_string_size(MAX_STRING_BYTES)
        .set_max_array_size(4096)
        .set_max_map_size(1024)
        // A misspelt name fails when the script is loaded, a misspelt property when it is read.
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .set_optimization_level(OptimizationLevel::Simple)
        .disable_symbol("eval")
        .on_progress(|operations| deadline::is_over(operations).then_some(Dynamic::UNIT));
}
