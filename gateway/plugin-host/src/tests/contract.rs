//! The promise of `wit/README.md`: what was released stays as it was, and what is in the making only adds what no plugin can
//! notice. Both versions are read into their structure and compared name by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wit_parser::{
    Function, FunctionKind, Handle, PackageId, Resolve, Type, TypeDefKind, WorldItem, WorldKey,
};

/// Every released minor and the digest of its folder. A release adds a line and a folder; no line ever changes.
const RELEASED: &[(&str, &str)] =
    &[("0.1", "c47c8058dc2c205bd3ae0fae5932d1a55c175868b60f85fd4bb39bf1ad7a9b7f")];

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

fn texts(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|ending| ending == "wit"));
    let mut texts: Vec<_> = files
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    texts.sort();
    texts
}

fn digest(texts: &[(String, String)]) -> String {
    let mut hash = Sha256::new();
    for (name, text) in texts {
        hash.update(format!("{name} {}\n{text}", text.len()));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a package promises: a name to what it is, with every type written out.
#[derive(Debug, Clone, PartialEq)]
struct Contract {
    version: String,
    promises: BTreeMap<String, String>,
    /// Interfaces that plugins implement.
    exported: BTreeSet<String>,
}

impl Contract {
    fn of(texts: &[(String, String)]) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        for (name, text) in texts {
            std::fs::write(folder.path().join(name), text).map_err(|error| error.to_string())?;
        }
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(folder.path()).map_err(|error| format!("{error:#}"))?;
        Ok(Self::read(&resolve, package))
    }

    fn read(resolve: &Resolve, package: PackageId) -> Self {
        let package = &resolve.packages[package];
        let version = package.name.version.as_ref().unwrap().to_string();
        let (mut promises, mut exported) = (BTreeMap::new(), BTreeSet::new());
        for (name, id) in &package.interfaces {
            let interface = &resolve.interfaces[*id];
            promises.insert(format!("interface {name}"), String::new());
            for (type_name, id) in &interface.types {
                let shape = written(resolve, &Type::Id(*id));
                promises.insert(format!("interface {name} type {type_name}"), shape);
            }
            for (function, defined) in &interface.functions {
                promises.insert(format!("interface {name} func {function}"), signature(resolve, defined));
            }
        }
        for (name, id) in &package.worlds {
            let world = &resolve.worlds[*id];
            promises.insert(format!("world {name}"), String::new());
            for (way, items) in [("import", &world.imports), ("export", &world.exports)] {
                for (key, item) in items {
                    let (item_name, shape) = world_item(resolve, key, item);
                    if way == "export" {
                        exported.insert(item_name.clone());
                    }
                    promises.insert(format!("world {name} {way} {item_name}"), shape);
                }
            }
        }
        Self { version, promises, exported }
    }

    /// What a plugin built for `self` would miss in `next`.
    fn broken_by(&self, next: &Self) -> Vec<String> {
        let mut broken = Vec::new();
        for (name, shape) in &self.promises {
            match next.promises.get(name) {
                None => broken.push(format!("{name} is gone")),
                Some(found) if found != shape => broken.push(format!("{name} was {shape}, is {found}")),
                Some(_) => {}
            }
        }
        // The gateway would call what old plugins do not have.
        for name in next.promises.keys().filter(|name| !self.promises.contains_key(*name)) {
            let interface = name.strip_prefix("interface ").and_then(|rest| rest.split_once(" func "));
            if interface.is_some_and(|(interface, _)| self.exported.contains(interface)) {
                broken.push(format!("{name} is new, but plugins implement that interface"));
            }
        }
        broken
    }
}

fn world_item(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> (String, String) {
    let name = match key {
        WorldKey::Name(name) => name.clone(),
        WorldKey::Interface(id) => resolve.interfaces[*id].name.clone().unwrap(),
    };
    let shape = match item {
        WorldItem::Interface { .. } => "interface".to_owned(),
        WorldItem::Function(function) => signature(resolve, function),
        WorldItem::Type { id, .. } => written(resolve, &Type::Id(*id)),
    };
    (name, shape)
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let is_async = if function.kind == FunctionKind::AsyncFreestanding { "async " } else { "" };
    let params: Vec<_> =
        function.params.iter().map(|one| format!("{}: {}", one.name, written(resolve, &one.ty))).collect();
    let result = function.result.map(|result| written(resolve, &result)).unwrap_or_default();
    format!("{is_async}func({}) -> {result}", params.join(", "))
}

fn optional(resolve: &Resolve, of: Option<&Type>) -> String {
    of.map_or_else(|| "_".to_owned(), |of| written(resolve, of))
}

/// A type with everything in it: names of fields and cases and their order are what is agreed upon.
fn written(resolve: &Resolve, of: &Type) -> String {
    let Type::Id(id) = of else { return format!("{of:?}").to_lowercase() };
    let w = |of: &Type| written(resolve, of);
    match &resolve.types[*id].kind {
        TypeDefKind::Record(record) => {
            let fields: Vec<_> =
                record.fields.iter().map(|one| format!("{}: {}", one.name, w(&one.ty))).collect();
            format!("record{{{}}}", fields.join(", "))
        }
        TypeDefKind::Variant(variant) => {
            let case =
                |one: &wit_parser::Case| format!("{}({})", one.name, optional(resolve, one.ty.as_ref()));
            let cases: Vec<_> = variant.cases.iter().map(case).collect();
            format!("variant{{{}}}", cases.join(", "))
        }
        TypeDefKind::Enum(all) => {
            let cases: Vec<_> = all.cases.iter().map(|one| one.name.as_str()).collect();
            format!("enum{{{}}}", cases.join(", "))
        }
        TypeDefKind::Flags(all) => {
            let flags: Vec<_> = all.flags.iter().map(|one| one.name.as_str()).collect();
            format!("flags{{{}}}", flags.join(", "))
        }
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types.iter().map(w).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Option(of) => format!("option<{}>", w(of)),
        TypeDefKind::List(of) => format!("list<{}>", w(of)),
        TypeDefKind::FixedLengthList(of, length) => format!("list<{}, {length}>", w(of)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", w(key), w(value)),
        TypeDefKind::Result(result) => {
            format!(
                "result<{}, {}>",
                optional(resolve, result.ok.as_ref()),
                optional(resolve, result.err.as_ref())
            )
        }
        TypeDefKind::Future(of) => format!("future<{}>", optional(resolve, of.as_ref())),
        TypeDefKind::Stream(of) => format!("stream<{}>", optional(resolve, of.as_ref())),
        TypeDefKind::Type(of) => w(of),
        TypeDefKind::Handle(Handle::Own(id)) => format!("own<{}>", w(&Type::Id(*id))),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", w(&Type::Id(*id))),
        TypeDefKind::Resource => format!("resource {}", resolve.types[*id].name.clone().unwrap_or_default()),
        TypeDefKind::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn what_was_released_stays_as_it_was() {
    for (minor, frozen) in RELEASED {
        let texts = texts(&wit().join(format!("v{minor}")));
        assert_eq!(
            &digest(&texts),
            frozen,
            "wit/v{minor} is frozen; a change belongs into wit/ and a new minor"
        );
        let contract = Contract::of(&texts).unwrap();
        assert!(contract.version.starts_with(&format!("{minor}.")), "{}", contract.version);
        assert!(contract.promises.len() > 60, "{} promises", contract.promises.len());
    }
    let folders = std::fs::read_dir(wit()).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        name.strip_prefix('v').map(str::to_owned)
    });
    let known: BTreeSet<_> = RELEASED.iter().map(|(minor, _)| (*minor).to_owned()).collect();
    assert_eq!(folders.collect::<BTreeSet<_>>(), known, "each frozen folder is pinned");
}

#[test]
fn what_is_in_the_making_breaks_no_plugin_of_its_minor() {
    let current = Contract::of(&texts(&wit())).unwrap();
    for (minor, _) in RELEASED.iter().filter(|(minor, _)| current.version.starts_with(&format!("{minor}."))) {
        let released = Contract::of(&texts(&wit().join(format!("v{minor}")))).unwrap();
        assert_eq!(released.broken_by(&current), Vec::<String>::new(), "this needs another minor");
    }
}

/// The comparison has teeth: every kind of break is found, and what is allowed is not called one.
#[test]
fn breaks_are_found_and_additions_are_not_breaks() {
    let frozen = texts(&wit().join("v0.1"));
    let released = Contract::of(&frozen).unwrap();
    let changed = |file: &str, from: &str, to: &str| {
        let mut texts = frozen.clone();
        let text = texts.iter_mut().find(|(name, _)| name == file).map(|(_, text)| text).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        *text = text.replacen(from, to, 1);
        Contract::of(&texts).unwrap_or_else(|error| panic!("{from}: {error}"))
    };
    for (file, from, to, because) in [
        ("scheduling.wit", "    seq: u64,", "    seq: u32,", "func rank was"),
        ("scheduling.wit", "    seq: u64,", "", "func rank was"),
        ("scheduling.wit", "    seq: u64,", "    seq: u64,\n    more: bool,", "type rank-request was"),
        ("scheduling.wit", "delegate,", "delegate,\n    later,", "type action was"),
        ("scheduling.wit", "cooling, blocked", "blocked, cooling", "type health was"),
        ("types.wit", "enum surface {", "enum surface {\n    web,", "type surface was"),
        ("scheduling.wit", "  update-roster: func(roster: roster);", "", "func update-roster is gone"),
        (
            "scheduling.wit",
            "update-roster:",
            "forget: func();\n  update-roster:",
            "func forget is new, but plugins implement",
        ),
        ("host.wit", "  add: func(name: string, value: f64);", "", "func add is gone"),
        (
            "host.wit",
            "add: func(name: string, value: f64);",
            "add: func(name: string, value: f32);",
            "func add was",
        ),
        ("worlds.wit", "  import secrets;", "", "import secrets is gone"),
        ("lifecycle.wit", "    observe-usage,\n", "", "type hooks was"),
    ] {
        let broken = released.broken_by(&changed(file, from, to));
        assert!(broken.iter().any(|one| one.contains(because)), "{from} -> {to}: {broken:#?}");
    }
    for (file, from, to) in [
        ("types.wit", "/// A wire protocol.", "/// How one speaks."),
        ("host.wit", "add: func(", "observe: func(name: string, value: f64);\n  add: func("),
        (
            "worlds.wit",
            "world observer {",
            "interface more { ask: func() -> u32; }\n\nworld observer {\n  import more;",
        ),
    ] {
        let broken = released.broken_by(&changed(file, from, to));
        assert!(broken.is_empty(), "{to}: {broken:#?}");
    }
}
