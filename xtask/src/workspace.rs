//! The workspace as cargo and git see it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process;

/// The members of the workspace, and where its files are.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where cargo builds, and where logs go.
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One member of the workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Where its `Cargo.toml` is, from the root: `crates/rtp`.
    pub(crate) folder: PathBuf,
    pub(crate) published: bool,
    /// Whether it has a library, and from its folder where that begins.
    pub(crate) library: Option<PathBuf>,
    /// All but `default`.
    pub(crate) features: Vec<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// An arrow from one package to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// For tests, examples and benchmarks only.
    pub(crate) dev: bool,
}

impl Workspace {
    /// Asks cargo. The workspace is the one that this program was started from.
    pub(crate) fn load() -> Result<Self, String> {
        let own = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("start it as `cargo xtask`")?;
        let mut command = Command::new(process::cargo());
        command.args(["metadata", "--no-deps", "--format-version", "1", "--locked"]).current_dir(own);
        Self::read(&answer(&mut command)?).ok_or_else(|| "cargo metadata has another form than expected".to_owned())
    }

    fn read(json: &str) -> Option<Self> {
        let metadata: Value = serde_json::from_str(json).ok()?;
        let root = PathBuf::from(metadata["workspace_root"].as_str()?);
        let target = PathBuf::from(metadata["target_directory"].as_str()?);
        let packages =
            metadata["packages"].as_array()?.iter().map(|value| Package::read(&root, value)).collect::<Option<_>>()?;
        Some(Self { root, target, packages })
    }

    /// The package of this name, with or without the `plenary-` in front.
    pub(crate) fn package(&self, name: &str) -> Result<&Package, String> {
        let full = format!("plenary-{name}");
        self.packages.iter().find(|package| package.name == name || package.name == full).ok_or_else(|| {
            let known: Vec<_> = self.packages.iter().map(|package| package.name.as_str()).collect();
            format!("there is no package `{name}`, but {}", known.join(", "))
        })
    }

    /// All files that git tracks or would, from the root, in order; without those that are deleted but not committed.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, String> {
        let mut command = Command::new("git");
        command.current_dir(&self.root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let names = answer(&mut command)?;
        let mut files: Vec<_> = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        files.retain(|file| self.root.join(file).is_file());
        files.sort();
        files.dedup();
        Ok(files)
    }
}

impl Package {
    fn read(root: &Path, value: &Value) -> Option<Self> {
        let manifest = Path::new(value["manifest_path"].as_str()?);
        let folder = manifest.parent()?;
        let library = value["targets"].as_array()?.iter().find(|target| {
            target["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib" || kind == "proc-macro"))
        });
        let library = match library {
            Some(target) => Some(Path::new(target["src_path"].as_str()?).strip_prefix(folder).ok()?.to_owned()),
            None => None,
        };
        let features = value["features"].as_object()?.keys().filter(|name| *name != "default").cloned().collect();
        let dependencies = value["dependencies"].as_array()?.iter().map(|dependency| {
            Some(Dependency { name: dependency["name"].as_str()?.to_owned(), dev: dependency["kind"] == "dev" })
        });
        Some(Self {
            name: value["name"].as_str()?.to_owned(),
            folder: folder.strip_prefix(root).ok()?.to_owned(),
            // `publish = false` is an empty list of registries.
            published: value["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            library,
            features,
            dependencies: dependencies.collect::<Option<_>>()?,
        })
    }
}

/// Whether a path ends in `.rs`.
pub(crate) fn is_rust(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("rs"))
}

/// What a program prints, if it goes well.
pub(crate) fn answer(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{program} does not print UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"workspace_root": "/r", "target_directory": "/r/target", "packages": [{
        "name": "plenary-bwe", "manifest_path": "/r/crates/bwe/Cargo.toml", "publish": null,
        "features": {"default": [], "interceptor": []},
        "targets": [{"kind": ["bench"], "src_path": "/r/crates/bwe/benches/a.rs"},
                    {"kind": ["lib"], "src_path": "/r/crates/bwe/src/lib.rs"}],
        "dependencies": [{"name": "plenary-wire", "kind": null}, {"name": "proptest", "kind": "dev"}]
    }, {"name": "tool", "manifest_path": "/r/tool/Cargo.toml", "publish": [], "features": {}, "targets": [],
        "dependencies": []}]}"#;

    #[test]
    fn cargo_is_understood() {
        let workspace = Workspace::read(METADATA).unwrap();
        let bwe = workspace.package("bwe").unwrap();
        assert_eq!((bwe.folder.as_path(), bwe.published), (Path::new("crates/bwe"), true));
        assert_eq!(bwe.library.as_deref(), Some(Path::new("src/lib.rs")));
        assert_eq!(bwe.features, ["interceptor"]);
        let arrows: Vec<_> = bwe.dependencies.iter().map(|arrow| (arrow.name.as_str(), arrow.dev)).collect();
        assert_eq!(arrows, [("plenary-wire", false), ("proptest", true)]);
        let tool = workspace.package("tool").unwrap();
        assert_eq!((tool.published, &tool.library), (false, &None));
        assert_eq!(workspace.package("ice").unwrap_err(), "there is no package `ice`, but plenary-bwe, tool");
    }

    #[test]
    fn git_and_cargo_know_this_workspace() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.package("xtask").is_ok_and(|package| !package.published));
        let files = workspace.files().unwrap();
        assert!(files.contains(&PathBuf::from("xtask/src/workspace.rs")));
        assert!(!files.iter().any(|file| file.starts_with("target")));
    }
}
