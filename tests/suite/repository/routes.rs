//! The README's list of routes is the router's: nobody reads a router to find out what there is.

use std::collections::BTreeSet;

use gateway_core::stage::CONTROL_ROUTES;
use switchyard_tests::repository;

/// Every public path of the router, as its source names it, without those that only leave `/v1` out.
fn served() -> BTreeSet<String> {
    let source = std::fs::read_to_string(repository().join("gateway/server/src/routes.rs")).unwrap();
    let public = source.split("fn administration").next().unwrap();
    let named: BTreeSet<String> = public
        .split(".route(")
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'))
        .map(|(path, _)| path.replace("{*id}", "{id}"))
        .chain(CONTROL_ROUTES.iter().map(|(_, path)| format!("/backend-api/{path}")))
        .collect();
    assert!(named.len() > 50, "the router is read otherwise: {named:?}");
    let is_short = |path: &String| named.contains(&format!("/v1{path}"));
    named.iter().filter(|path| !is_short(path)).cloned().collect()
}

fn told() -> BTreeSet<String> {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("\n## Routes\n").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let words = section.split('`').skip(1).step_by(2);
    words.filter_map(|word| word.split_once(' ')).map(|(_, path)| path.to_owned()).collect()
}

#[test]
fn the_readme_lists_every_public_route_and_no_other() {
    assert_eq!(told(), served());
}

#[test]
fn what_begins_with_v1_is_there_without_it() {
    let source = std::fs::read_to_string(repository().join("gateway/server/src/routes.rs")).unwrap();
    for path in served().iter().filter_map(|path| path.strip_prefix("/v1")) {
        let named = [format!("\"{path}\""), format!("\"{}\"", path.replace("{id}", "{*id}"))];
        assert!(named.iter().any(|named| source.contains(named)), "{path}");
    }
}
