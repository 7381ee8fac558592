//! The README's list of routes is the router's: nobody reads a router to find out what there is.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use gateway_core::stage::CONTROL_ROUTES;
use switchyard_tests::repository;

fn router() -> Result<String> {
    let path = repository().join("gateway/server/src/routes.rs");
    std::fs::read_to_string(path).context("read the router")
}

/// Every public path of the router, as its source names it, without those that only leave `/v1` out.
fn served(router: &str) -> Result<BTreeSet<String>> {
    let public = router.split("fn administration").next().unwrap_or_default();
    let named: BTreeSet<String> = public
        .split(".route(")
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'))
        .map(|(path, _)| path.replace("{*id}", "{id}"))
        .chain(CONTROL_ROUTES.iter().map(|(_, path)| format!("/backend-api/{path}")))
        .collect();
    ensure!(named.len() > 50, "the router is read otherwise: {named:?}");
    let is_short = |path: &String| named.contains(&format!("/v1{path}"));
    Ok(named.iter().filter(|path| !is_short(path)).cloned().collect())
}

fn told() -> Result<BTreeSet<String>> {
    let readme = std::fs::read_to_string(repository().join("README.md"))?;
    let (_, rest) = readme.split_once("\n## Routes\n").context("the README has no list of routes")?;
    let section = rest.split("\n## ").next().unwrap_or_default();
    let words = section.split('`').skip(1).step_by(2);
    Ok(words.filter_map(|word| word.split_once(' ')).map(|(_, path)| path.to_owned()).collect())
}

#[test]
fn the_readme_lists_every_public_route_and_no_other() -> Result<()> {
    assert_eq!(told()?, served(&router()?)?);
    Ok(())
}

#[test]
fn what_begins_with_v1_is_there_without_it() -> Result<()> {
    let router = router()?;
    for path in served(&router)?.iter().filter_map(|path| path.strip_prefix("/v1")) {
        let named = [format!("\"{path}\""), format!("\"{}\"", path.replace("{id}", "{*id}"))];
        assert!(named.iter().any(|named| router.contains(named)), "{path}");
    }
    Ok(())
}
