//! What no compiler checks: layers, lengths, names, and that documents name things that exist.
//!
//! Each check is a function from what it looks at to a list of problems, so that its tests can show it a bad sample.

mod compliance;
mod layers;
mod lengths;
mod manifests;
mod msrv;
mod mutations;
mod source;
mod words;

pub(crate) use layers::{Layer, layer_of};
use source::Source;

use std::fs;
use std::path::Path;

use crate::mutate::sample;
use crate::workspace::{Package, Workspace, is_rust};

/// Everything that is wrong with the repository, one line each.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut problems = layers::check(&workspace.packages);
    problems.extend(msrv::check(workspace)?);

    let files = workspace.files()?;
    let mut sources = Vec::new();
    for file in &files {
        problems.extend(words::check_name(file));
        // Text that is not UTF-8 is data.
        let Ok(text) = fs::read_to_string(workspace.root.join(file)) else { continue };
        problems.extend(words::check_text(file, &text));
        if is_rust(file) {
            match Source::parse(file, text) {
                Ok(source) => sources.push(source),
                Err(problem) => problems.push(problem),
            }
        }
    }
    problems.extend(lengths::check(&sources, lengths::EXCEPTIONS));

    for package in &workspace.packages {
        problems.extend(check_package(&workspace.root, package, &sources)?);
    }
    Ok(problems)
}

fn check_package(root: &Path, package: &Package, sources: &[Source]) -> Result<Vec<String>, String> {
    let read = |file: &Path| {
        let path = package.folder.join(file);
        fs::read_to_string(root.join(&path)).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut problems = manifests::check_manifest(package, &read(Path::new("Cargo.toml"))?);
    if package.published {
        let library = package.library.as_deref().map(read).transpose()?;
        let readme = read(Path::new("README.md")).is_ok();
        problems.extend(manifests::check_front_page(package, readme, library.as_deref()));
    }
    let tests = compliance::tests_of(package, sources);
    let compliance = read(Path::new("COMPLIANCE.md"));
    if let Ok(text) = &compliance {
        problems.extend(compliance::check(&package.folder.join("COMPLIANCE.md"), text, &tests));
    }
    if let Ok(json) = read(Path::new(sample::FILE)) {
        let path = package.folder.join(sample::FILE);
        let mutations = sample::read(&path, &json)?;
        problems.extend(mutations::check(&path, &mutations, read, &tests, &compliance?));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let problems = check(&Workspace::load().unwrap()).unwrap();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    #[test]
    fn a_package_in_disorder_is_told() {
        let root = std::env::temp_dir().join(format!("plenary-tidy-{}", std::process::id()));
        let folder = Path::new("crates/ice");
        fs::create_dir_all(root.join(folder).join("src")).unwrap();
        fs::write(root.join(folder).join("Cargo.toml"), "[package]\nname = \"plenary-ice\"\n").unwrap();
        fs::write(root.join(folder).join("src/lib.rs"), "pub struct Agent;\n").unwrap();
        fs::write(root.join(folder).join("COMPLIANCE.md"), "|a|b|\n|-|-|\n|x|`no_such_test`|\n").unwrap();
        let package = Package {
            name: "plenary-ice".to_owned(),
            folder: folder.to_owned(),
            published: true,
            library: Some("src/lib.rs".into()),
            ..Package::default()
        };
        let problems = check_package(&root, &package, &[]);
        fs::remove_dir_all(&root).unwrap();
        let problems = problems.unwrap().join("\n");
        for part in ["version.workspace", "README.md is missing", "begins with", "no_such_test"] {
            assert!(problems.contains(part), "{part} in {problems}");
        }
    }
}
