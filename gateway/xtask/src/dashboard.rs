//! Builds the dashboard into `dashboard/dist/`: one WebAssembly module, its glue, one style sheet and one page.
//!
//! Assets are named by their content, so they may be cached for ever, and stand beside a brotli and a gzip copy.
//! It serves nothing and embeds nothing: the server crate lists the folder. It refuses a bundle over its budget.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};
use wasmparser::types::EntityType;

use crate::progress::say;
use crate::wasm_toolchain::{WasmToolchain, output_dir};

const PACKAGE: &str = "switchyard-dashboard";

/// The budget of the module: a phone on a slow line should see the page within a few seconds.
const WASM_LIMIT: usize = 1_400_000;
/// See [`WASM_LIMIT`]; this is what travels.
const WASM_BROTLI_LIMIT: usize = 380_000;

/// What decides the bundle. The lock file stands for all dependencies.
const INPUTS: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "dashboard/Cargo.toml",
    "dashboard/boot.js",
    "dashboard/icon.svg",
    "dashboard/index.html",
    "dashboard/src",
    "dashboard/style",
    "gateway/api",
];

/// What `wasm-opt` must accept: the features that the compiler turns on for this target.
const WASM_OPT_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Builds the dashboard unless `dashboard/dist` already is what its sources say.
///
/// # Errors
/// Cargo or wasm-bindgen failed, a source file is missing, or the bundle is over its budget.
pub(crate) fn build(root: &Path, wasm: &WasmToolchain) -> anyhow::Result<()> {
    let dist = root.join("dashboard/dist");
    let stamp = root.join("target/dashboard.stamp");
    let inputs = inputs_digest(root, wasm)?;
    let is_current = fs::read_to_string(&stamp).is_ok_and(|last| last == inputs);
    if is_current && dist.join("index.html").is_file() {
        return Ok(());
    }
    let module = compile(root, wasm)?;
    let bound = bind(&module)?;
    let bundle = Bundle::assemble(root, bound)?;
    bundle.check_budget()?;
    bundle.write(&dist)?;
    fs::create_dir_all(root.join("target")).context("create target")?;
    fs::write(&stamp, inputs).with_context(|| format!("write {}", stamp.display()))
}

fn compile(root: &Path, wasm: &WasmToolchain) -> anyhow::Result<PathBuf> {
    say(&format!("building the dashboard with {} (minutes the first time)", wasm.describe()));
    // A folder of its own: another compiler may build here, and another cargo may hold the usual one.
    let target_dir = root.join("target/wasm");
    let mut cargo = wasm.cargo_command(&target_dir);
    // Leptos gives every element a type made of all types inside it; without them the module is an eighth smaller.
    cargo.env("RUSTFLAGS", "--cfg erase_components");
    let status = cargo.current_dir(root).args(["-p", PACKAGE]).status().context("start cargo")?;
    ensure!(status.success(), "building the dashboard failed, see above");
    Ok(output_dir(&target_dir).join(PACKAGE).with_extension("wasm"))
}

/// The module and its glue as wasm-bindgen leaves them.
struct Bound {
    js: String,
    wasm: Vec<u8>,
}

fn bind(module: &Path) -> anyhow::Result<Bound> {
    let mut output = wasm_bindgen_cli_support::Bindgen::new()
        .input_path(module)
        .web(true)?
        .typescript(false)
        // The page names the module by its hash; a default path would point at a file that is not there.
        .omit_default_module_path(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()
        .with_context(|| format!("run wasm-bindgen on {}", module.display()))?;
    let inline = output.snippets().values().map(Vec::len).sum::<usize>();
    let extra = inline + output.local_modules().len() + output.npm_dependencies().len();
    ensure!(
        extra == 0,
        "a crate of the dashboard brings JavaScript of its own ({extra} files): the bundle has no place for it, \
         write that part in Rust"
    );
    let wasm = output.wasm_mut().emit_wasm();
    let js = output.js().to_owned();
    Ok(Bound { js, wasm: shrink(wasm)? })
}

/// Runs `wasm-opt` where it is installed. What it makes is used only if it is smaller, valid and offers exactly
/// what the glue calls: it may be older than our compiler, and a larger bundle is better than a broken one.
/// (Version 108 of Debian 12 answers a valid module whose second table is lost.)
fn shrink(wasm: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let Some(version) = wasm_opt_version() else { return Ok(wasm) };
    let folder = std::env::temp_dir().join(format!("switchyard-wasm-opt-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let (before, after) = (folder.join("before.wasm"), folder.join("after.wasm"));
    fs::write(&before, &wasm).with_context(|| format!("write {}", before.display()))?;
    let run = Command::new("wasm-opt")
        .args(WASM_OPT_FEATURES)
        .args(["-Oz", "-o"])
        .args([&after, &before])
        .output()
        .context("start wasm-opt")?;
    let smaller = fs::read(&after).ok().filter(|smaller| run.status.success() && smaller.len() < wasm.len());
    fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    match smaller {
        Some(smaller) if surface(&smaller).is_some_and(|after| Some(after) == surface(&wasm)) => Ok(smaller),
        _ => {
            let why = String::from_utf8_lossy(&run.stderr);
            let why = why.lines().next().unwrap_or("what it makes is not the same module, only smaller");
            say(&format!("{version} is of no use here, the dashboard stays a little larger: {why}"));
            Ok(wasm)
        }
    }
}

fn wasm_opt_version() -> Option<String> {
    let run = Command::new("wasm-opt").arg("--version").output().ok()?;
    run.status.success().then(|| String::from_utf8_lossy(&run.stdout).trim().to_owned())
}

/// What a valid module offers: each export with its type, sorted. Sizes may change, kinds and types may not.
fn surface(wasm: &[u8]) -> Option<Vec<String>> {
    let types = wasmparser::Validator::new().validate_all(wasm).ok()?;
    let types = types.as_ref();
    let describe = |entity: EntityType| match entity {
        EntityType::Func(id) | EntityType::FuncExact(id) | EntityType::Tag(id) => {
            format!("{:?}", types.get(id).map(|known| &known.composite_type))
        }
        EntityType::Table(table) => format!("table of {:?}", table.element_type),
        EntityType::Memory(memory) => format!("memory, 64 bit: {}", memory.memory64),
        EntityType::Global(global) => format!("global of {:?}", global.content_type),
    };
    let mut exports: Vec<String> =
        types.core_exports()?.map(|(name, entity)| format!("{name}: {}", describe(entity))).collect();
    exports.sort();
    Some(exports)
}

/// One file of the bundle with its compressed copies.
struct Asset {
    path: String,
    raw: Vec<u8>,
    brotli: Vec<u8>,
    gzip: Vec<u8>,
}

impl Asset {
    fn new(path: String, raw: Vec<u8>) -> anyhow::Result<Self> {
        let params = brotli::enc::BrotliEncoderParams {
            quality: 11,
            lgwin: 22,
            size_hint: raw.len(),
            ..Default::default()
        };
        let mut brotli = Vec::new();
        brotli::BrotliCompress(&mut raw.as_slice(), &mut brotli, &params)
            .with_context(|| format!("compress {path}"))?;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&raw).with_context(|| format!("compress {path}"))?;
        let gzip = encoder.finish().with_context(|| format!("compress {path}"))?;
        Ok(Self { path, raw, brotli, gzip })
    }

    /// `assets/<stem>-<hash>.<ext>`.
    fn hashed(stem: &str, extension: &str, raw: Vec<u8>) -> anyhow::Result<Self> {
        let hash = hex(&Sha256::digest(&raw));
        let short = hash.get(..16).unwrap_or(&hash);
        Self::new(format!("assets/{stem}-{short}.{extension}"), raw)
    }

    fn url(&self) -> String {
        format!("/{}", self.path)
    }
}

struct Bundle {
    wasm: Asset,
    others: Vec<Asset>,
}

impl Bundle {
    fn assemble(root: &Path, bound: Bound) -> anyhow::Result<Self> {
        let source = root.join("dashboard");
        let wasm = Asset::hashed("app", "wasm", bound.wasm)?;
        let glue = Asset::hashed("app", "js", bound.js.into_bytes())?;
        let style = Asset::hashed("style", "css", style_sheet(&source.join("style"))?)?;
        let icon = Asset::hashed("icon", "svg", read(&source.join("icon.svg"))?)?;
        let urls = [("{{app_js}}", glue.url()), ("{{app_wasm}}", wasm.url())];
        let boot = Asset::hashed("boot", "js", fill(&source.join("boot.js"), &urls)?)?;
        let page = fill(
            &source.join("index.html"),
            &[
                ("{{style}}", style.url()),
                ("{{icon}}", icon.url()),
                ("{{boot}}", boot.url()),
                ("{{app_js}}", glue.url()),
                ("{{app_wasm}}", wasm.url()),
            ],
        )?;
        let page = Asset::new("index.html".to_owned(), page)?;
        Ok(Self { wasm, others: vec![glue, style, icon, boot, page] })
    }

    fn check_budget(&self) -> anyhow::Result<()> {
        let (raw, brotli) = (self.wasm.raw.len(), self.wasm.brotli.len());
        say(&format!("dashboard: {} kB WebAssembly, {} kB compressed", raw / 1_000, brotli / 1_000));
        ensure!(raw <= WASM_LIMIT, "the dashboard's module has {raw} bytes, its budget is {WASM_LIMIT}");
        ensure!(
            brotli <= WASM_BROTLI_LIMIT,
            "the dashboard's module has {brotli} bytes compressed, its budget is {WASM_BROTLI_LIMIT}"
        );
        Ok(())
    }

    /// Writes beside the folder and renames, so that nobody embeds half a bundle.
    fn write(&self, dist: &Path) -> anyhow::Result<()> {
        let partial = dist.with_extension("partial");
        remove(&partial)?;
        fs::create_dir_all(partial.join("assets"))
            .with_context(|| format!("create {}", partial.display()))?;
        for asset in self.others.iter().chain([&self.wasm]) {
            for (suffix, content) in [("", &asset.raw), (".br", &asset.brotli), (".gz", &asset.gzip)] {
                let path = partial.join(format!("{}{suffix}", asset.path));
                fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
            }
        }
        remove(dist)?;
        fs::rename(&partial, dist).with_context(|| format!("write {}", dist.display()))
    }
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

/// All style sheets in the order of their names.
fn style_sheet(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let mut sheet = Vec::new();
    for path in files_below(folder)? {
        sheet.extend(read(&path)?);
    }
    Ok(sheet)
}

/// A text with its marks replaced; a mark left over or never used is a mistake in the template.
fn fill(path: &Path, marks: &[(&str, String)]) -> anyhow::Result<Vec<u8>> {
    let mut text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    for (mark, value) in marks {
        ensure!(text.contains(mark), "{} does not mention {mark}", path.display());
        text = text.replace(mark, value);
    }
    if let Some(start) = text.find("{{") {
        let left = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or("{{");
        bail!("{}: nobody fills in {left}", path.display());
    }
    Ok(text.into_bytes())
}

/// A digest over every file that decides the bundle, over this module and over the tools.
fn inputs_digest(root: &Path, wasm: &WasmToolchain) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    digest.update(include_bytes!("dashboard.rs"));
    digest.update(wasm.describe());
    digest.update(wasm_opt_version().unwrap_or_default());
    for input in INPUTS {
        for path in files_below(&root.join(input))? {
            let content = read(&path)?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            // Lengths keep the border between two files where it is.
            digest.update(format!("{name}\0{}\0", content.len()));
            digest.update(content);
        }
    }
    Ok(hex(&digest.finalize()))
}

/// The file itself, or all files below the folder, sorted.
fn files_below(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path).with_context(|| format!("read {}", path.display()))? {
                open.push(entry?.path());
            }
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest module there is: magic and version.
    const EMPTY_MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";

    fn source_tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("dashboard/style/2.css", "b{}");
        write("dashboard/style/1.css", "a{}\n");
        write("dashboard/icon.svg", "<svg/>");
        write("dashboard/boot.js", "import('{{app_js}}'); '{{app_wasm}}'");
        write("dashboard/index.html", "{{style}} {{icon}} {{boot}} {{app_js}} {{app_wasm}}");
        for input in ["Cargo.lock", "Cargo.toml", "dashboard/Cargo.toml", "dashboard/src/a.rs"] {
            write(input, "x");
        }
        write("gateway/api/lib.rs", "x");
        root
    }

    fn bundle(root: &Path) -> Bundle {
        let bound = Bound { js: "export default 1".to_owned(), wasm: EMPTY_MODULE.to_vec() };
        Bundle::assemble(root, bound).unwrap()
    }

    #[test]
    fn the_page_names_files_that_exist_with_their_copies() {
        let root = source_tree();
        let dist = root.path().join("dashboard/dist");
        bundle(root.path()).write(&dist).unwrap();
        let page = fs::read_to_string(dist.join("index.html")).unwrap();
        let urls: Vec<&str> = page.split_whitespace().collect();
        assert_eq!(urls.len(), 5);
        for url in urls {
            let path = dist.join(url.strip_prefix('/').unwrap());
            for suffix in ["", ".br", ".gz"] {
                let copy = PathBuf::from(format!("{}{suffix}", path.display()));
                assert!(copy.is_file(), "{} is missing", copy.display());
            }
        }
        let style = fs::read_dir(dist.join("assets"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|extension| extension == "css"))
            .unwrap();
        assert_eq!(fs::read_to_string(style).unwrap(), "a{}\nb{}");
    }

    #[test]
    fn names_follow_the_content() {
        let name = |raw: &str| Asset::hashed("app", "js", raw.as_bytes().to_vec()).unwrap().path;
        assert_eq!(name("one"), name("one"));
        assert_ne!(name("one"), name("two"));
    }

    #[test]
    fn a_mark_nobody_fills_in_is_refused() {
        let root = source_tree();
        let page = root.path().join("page");
        fs::write(&page, "a {{style}}").unwrap();
        assert!(fill(&page, &[]).unwrap_err().to_string().contains("{{style}}"));
        assert!(fill(&page, &[("{{icon}}", String::new())]).unwrap_err().to_string().contains("{{icon}}"));
        assert_eq!(fill(&page, &[("{{style}}", "/s".to_owned())]).unwrap(), b"a /s");
    }

    #[test]
    fn any_changed_input_changes_the_digest() {
        let root = source_tree();
        let digest = || inputs_digest(root.path(), &WasmToolchain::Rustup).unwrap();
        let first = digest();
        assert_eq!(first, digest());
        fs::write(root.path().join("gateway/api/lib.rs"), "y").unwrap();
        assert_ne!(first, digest());
    }

    #[test]
    fn a_bundle_over_its_budget_is_refused() {
        let root = source_tree();
        let mut fat = bundle(root.path());
        assert!(fat.check_budget().is_ok());
        fat.wasm.raw = vec![0; WASM_LIMIT + 1];
        assert!(fat.check_budget().unwrap_err().to_string().contains("budget"));
    }

    #[test]
    fn a_module_is_known_by_what_it_offers() {
        // One table, exported as `t`; the byte in the middle is its element type.
        let table = |element: u8| {
            let mut module = EMPTY_MODULE.to_vec();
            module.extend([4, 4, 1, element, 0, 0]);
            module.extend([7, 5, 1, 1, b't', 1, 0]);
            module
        };
        let (functions, anything) = (0x70, 0x6f);
        assert_eq!(surface(&EMPTY_MODULE), Some(Vec::new()));
        assert_eq!(surface(&table(functions)), surface(&table(functions)));
        assert_ne!(surface(&table(functions)), surface(&table(anything)));
        assert_eq!(surface(b"\0asm\x02\0\0\0"), None);
    }
}
