//! `import`: modules are scripts inside the policies folder, read while a script is loaded and kept with it. Refuses
//! every path that leads outside, and every import that would read a file while requests are served.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

use crate::compile::{MAX_SOURCE_BYTES, two_pass};
use crate::engine::MAX_MODULES;

/// The longest path in an `import`.
const MAX_PATH_BYTES: usize = 128;

thread_local! {
    static LOADING: RefCell<Option<Loading>> = const { RefCell::new(None) };
}

/// What one load has read so far: each file once, so that all parts of a version fit together.
#[derive(Default)]
struct Loading {
    texts: BTreeMap<String, String>,
    /// The imports around the one that is being resolved.
    path: Vec<String>,
}

/// Files may be read while this lives.
pub(crate) struct Session(());

impl Session {
    pub(crate) fn begin() -> Self {
        LOADING.set(Some(Loading::default()));
        Self(())
    }

    /// The modules that were imported, by path.
    pub(crate) fn finish(self) -> BTreeMap<String, String> {
        let loading = LOADING.take();
        drop(self);
        loading.map(|loading| loading.texts).unwrap_or_default()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        LOADING.set(None);
    }
}

/// Resolves imports for both passes over a script.
#[derive(Clone)]
pub(crate) struct FolderModules {
    /// Nobody may import without one.
    root: Option<PathBuf>,
    /// The engine of the first pass, which itself holds this resolver.
    first_pass: Arc<OnceLock<Weak<Engine>>>,
}

impl FolderModules {
    pub(crate) fn new(root: Option<&Path>) -> Self {
        Self { root: root.map(Path::to_owned), first_pass: Arc::default() }
    }

    pub(crate) fn remember_first_pass(&self, engine: &Arc<Engine>) {
        let _only_once = self.first_pass.set(Arc::downgrade(engine));
    }

    fn text(&self, path: &str) -> Result<String, String> {
        let known =
            LOADING.with_borrow(|loading| loading.as_ref().map(|loading| loading.texts.get(path).cloned()));
        match known {
            None => {
                return Err(
                    "modules are read when a script is loaded; write their paths as plain texts".to_owned()
                );
            }
            Some(Some(text)) => return Ok(text),
            Some(None) => {}
        }
        let root = self.root.as_deref().ok_or("this script has no policies folder to import from")?;
        let text = read_inside(root, path)?;
        LOADING.with_borrow_mut(|loading| {
            let Some(loading) = loading else { return Ok(()) };
            if loading.texts.len() >= MAX_MODULES {
                return Err(format!("a script may import {MAX_MODULES} modules at most"));
            }
            loading.texts.insert(path.to_owned(), text.clone());
            Ok(())
        })?;
        Ok(text)
    }

    fn module(&self, engine: &Engine, path: &str, text: &str) -> Result<Module, Box<EvalAltResult>> {
        let first_pass = self.first_pass.get().and_then(Weak::upgrade);
        let first_pass = first_pass.ok_or("the script host is gone; load the script again")?;
        let mut ast = two_pass(&first_pass, text, |constants| engine.compile_with_scope(constants, text))?;
        ast.set_source(path);
        Module::eval_ast_as_new(Scope::new(), &ast, engine)
    }
}

impl ModuleResolver for FolderModules {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        // What is wrong with the import itself belongs to the line of the import, the rest to a line of the module.
        let import = |text: String| {
            let import =
                EvalAltResult::ErrorSystem(format!("import \"{path}\": {text}"), "not imported".into());
            EvalAltResult::ErrorInModule(String::new(), import.into(), position)
        };
        let wrap = |error| EvalAltResult::ErrorInModule(path.to_owned(), error, position);
        let text = self.text(path).map_err(import)?;
        let _entered = Entered::into(path).map_err(import)?;
        Ok(self.module(engine, path, &text).map_err(wrap)?.into())
    }
}

/// A module is being resolved; one that imports itself would never end.
struct Entered(());

impl Entered {
    fn into(path: &str) -> Result<Self, String> {
        LOADING.with_borrow_mut(|loading| {
            let Some(loading) = loading else { return Ok(Self(())) };
            if loading.path.iter().any(|around| around == path) {
                return Err(format!("it imports itself by way of {}", loading.path.join(", ")));
            }
            loading.path.push(path.to_owned());
            Ok(Self(()))
        })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        LOADING.with_borrow_mut(|loading| {
            if let Some(loading) = loading {
                loading.path.pop();
            }
        });
    }
}

/// The text of `<root>/<path>.rhai`, if that lies inside of the root, links followed.
fn read_inside(root: &Path, path: &str) -> Result<String, String> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    if path.len() > MAX_PATH_BYTES || !path.split('/').all(is_plain) {
        return Err("a module is named by its path inside the policies folder without `.rhai`, like \"shared/pace\"; \
                    letters, digits, `-`, `_` and `/` only"
            .to_owned());
    }
    let root = root.canonicalize().map_err(|error| format!("the policies folder cannot be read: {error}"))?;
    let file = root.join(format!("{path}.rhai"));
    let file =
        file.canonicalize().map_err(|_| format!("there is no file {path}.rhai in the policies folder"))?;
    if !file.starts_with(&root) {
        return Err(format!("{path}.rhai leads outside of the policies folder"));
    }
    let size = fs::metadata(&file).map_err(|error| format!("{path}.rhai cannot be read: {error}"))?.len();
    if size > MAX_SOURCE_BYTES as u64 {
        return Err(format!("{path}.rhai is larger than {} KiB", MAX_SOURCE_BYTES / 1024));
    }
    fs::read_to_string(&file).map_err(|error| format!("{path}.rhai cannot be read: {error}"))
}
