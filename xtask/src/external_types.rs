//! No third-party type, trait or macro stands in the public API of a published library below the server.
//!
//! What rustdoc writes as JSON is searched, without a schema: every object with an `id` in it that names an item of
//! another crate is a use of that crate. That holds through changes of the format that matter to others.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde_json::{Map, Value};

use crate::process::{self, Shell};
use crate::tidy::{Layer, layer_of};
use crate::workspace::{Package, Workspace};

/// Crates that may stand in a package's API, each with the reason. Dependencies of one name in `Cargo.toml` and
/// another in code stand here under the latter.
const ALLOWED: &[(&str, &str, &str)] = &[(
    "plenary-bwe",
    "rtc_interceptor",
    "the feature `interceptor` is there to implement its trait: without the feature nothing of it is seen",
)];

/// Set for the children that are to act as rustdoc.
const REAL_RUSTDOC: &str = "XTASK_RUSTDOC";

/// All uses of third-party items in the libraries of L0 to L4 and the laboratory.
pub(crate) fn check(workspace: &Workspace, shell: &Shell) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    for package in &workspace.packages {
        let in_scope = layer_of(&package.name).is_some_and(|layer| layer != Layer::Server);
        if in_scope && package.library.is_some() {
            problems.extend(leaks(&package.name, &described(workspace, package, shell)?, ALLOWED)?);
        }
    }
    Ok(problems)
}

/// What rustdoc says of a library with all its features.
fn described(workspace: &Workspace, package: &Package, shell: &Shell) -> Result<Value, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let real = std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into());
    let mut command = Command::new(process::cargo());
    command.args(["rustdoc", "--locked", "--lib", "--all-features", "-p", &package.name]);
    command.args(["--", "-Z", "unstable-options", "--output-format", "json"]);
    shell.run(command.env("RUSTDOC", own).env(REAL_RUSTDOC, real))?;

    let file: PathBuf = workspace.target.join("doc").join(format!("{}.json", package.name.replace('-', "_")));
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = fs::read_to_string(&file).map_err(|error| told(&error))?;
    serde_json::from_str(&text).map_err(|error| told(&error))
}

/// Where cargo was told that this program is rustdoc: calls the real one, and lets it write JSON on a stable toolchain.
///
/// The variable that lets it must not reach cargo itself: build scripts ask for it, so all would be built anew.
pub(crate) fn act_as_rustdoc() -> Option<ExitCode> {
    let real = std::env::var_os(REAL_RUSTDOC)?;
    let mut command = Command::new(real);
    command.args(std::env::args_os().skip(1)).env("RUSTC_BOOTSTRAP", "1").env_remove(REAL_RUSTDOC);
    Some(match process::watched(&mut command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    })
}

/// Items of third-party crates that the public items of one crate use; an error if the JSON can't be understood.
fn leaks(package: &str, json: &Value, allowed: &[(&str, &str, &str)]) -> Result<Vec<String>, String> {
    let api = Api::read(json).ok_or("rustdoc's JSON has another form than expected")?;
    let mut found = BTreeSet::new();
    for item in api.index.values().filter(|item| item["crate_id"] == 0 && !is_given(item)) {
        api.search(&item["inner"], &mut |origin, path| {
            if !allowed.iter().any(|(of, name, _)| *of == package && *name == origin) {
                found.insert(format!("{package}: {}{path} is of {origin}", place(item)));
            }
        });
    }
    Ok(found.into_iter().collect())
}

/// `src/lib.rs:12: ` of an item's first line.
fn place(item: &Value) -> String {
    match (item["span"]["filename"].as_str(), item["span"]["begin"][0].as_u64()) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        _ => String::new(),
    }
}

/// Whether an implementation was not written in the crate: those for all types of some kind, and `Send` and its like.
fn is_given(item: &Value) -> bool {
    let implementation = &item["inner"]["impl"];
    implementation["is_synthetic"] == true || implementation["blanket_impl"].is_object()
}

struct Api<'j> {
    /// The public items, and some of other crates.
    index: &'j Map<String, Value>,
    /// Which crate an item is of, and how it is called.
    paths: &'j Map<String, Value>,
    crates: &'j Map<String, Value>,
}

impl<'j> Api<'j> {
    fn read(json: &'j Value) -> Option<Self> {
        let api = Self {
            index: json["index"].as_object()?,
            paths: json["paths"].as_object()?,
            crates: json["external_crates"].as_object()?,
        };
        // An empty index would find nothing, and look like a clean crate.
        (!api.index.is_empty() && api.index.values().all(|item| item["crate_id"].is_u64())).then_some(api)
    }

    /// Calls `report` with the crate and the path of each third-party item below `value`.
    fn search(&self, value: &'j Value, report: &mut dyn FnMut(&str, &str)) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.search(value, report)),
            Value::Object(fields) => {
                if let Some((origin, path)) = self.origin(fields)
                    && !is_ours(origin)
                {
                    report(origin, &path);
                }
                fields.values().for_each(|value| self.search(value, report));
            }
            _ => {}
        }
    }

    /// The crate and path of the item that an object refers to, if it does and it is of another crate.
    fn origin(&self, fields: &'j Map<String, Value>) -> Option<(&'j str, String)> {
        // `pub extern crate name`.
        if let Some(name) = fields.get("extern_crate").and_then(|reexport| reexport["name"].as_str()) {
            return Some((name, name.to_owned()));
        }
        let id = fields.get("id")?.as_u64()?.to_string();
        let Some(item) = self.paths.get(&id) else {
            // Not known by path: an item of this crate, or a re-export whose first word is the crate.
            let source = fields.get("source")?.as_str().filter(|_| !self.index.contains_key(&id))?;
            let first = source.trim_start_matches("::").split("::").next()?;
            return (!matches!(first, "crate" | "self" | "super")).then(|| (first, source.to_owned()));
        };
        if item["crate_id"] == 0 {
            return None;
        }
        let words: Vec<_> = item["path"].as_array()?.iter().filter_map(Value::as_str).collect();
        let name = self.crates.get(&item["crate_id"].to_string())?["name"].as_str()?;
        Some((name, words.join("::")))
    }
}

fn is_ours(name: &str) -> bool {
    matches!(name, "std" | "core" | "alloc") || name.starts_with("plenary_")
}

#[cfg(test)]
mod tests;
