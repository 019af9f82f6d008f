use crate::workspace::Package;

/// What every member takes from the workspace, each in its section of `Cargo.toml`.
const INHERITED: &[(&str, &str)] = &[
    ("package", "version.workspace=true"),
    ("package", "edition.workspace=true"),
    ("package", "rust-version.workspace=true"),
    ("package", "license.workspace=true"),
    ("lints", "workspace=true"),
];

const FRONT_PAGE: &str = "#![doc = include_str!(\"../README.md\")]";

/// What a manifest states by itself, or not at all, but should inherit.
pub(crate) fn check_manifest(package: &Package, manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut stated = Vec::new();
    for line in manifest.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => section = name,
            None => stated.push((section, line.replace(' ', ""))),
        }
    }
    // What is not published may call C, say, to compare with it: then it states its own lints, in full.
    let own_lints = !package.published && stated.iter().any(|(section, _)| *section == "lints.rust");
    let missing = INHERITED.iter().filter(|(section, line)| {
        !(stated.contains(&(section, (*line).to_owned())) || own_lints && *section == "lints")
    });
    missing.map(|(section, line)| format!("{}: [{section}] lacks {line}", package.name)).collect()
}

/// A published package has a README, and its library shows it.
pub(crate) fn check_front_page(package: &Package, readme: bool, library: Option<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    if !readme {
        problems.push(format!("{}: README.md is missing", package.name));
    }
    if library.is_some_and(|text| !text.starts_with(FRONT_PAGE)) {
        problems.push(format!("{}: the library begins with something else than {FRONT_PAGE}", package.name));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true # one for all\nedition.workspace=true\n\
        rust-version.workspace = true\nlicense.workspace = true\n\n[lints]\nworkspace = true\n";

    fn package() -> Package {
        Package { name: "a".to_owned(), published: true, ..Package::default() }
    }

    #[test]
    fn a_manifest_inherits() {
        assert_eq!(check_manifest(&package(), GOOD), [""; 0]);
        for (_, line) in INHERITED {
            let name = line.split_once('=').unwrap().0;
            let without: String =
                GOOD.lines().filter(|kept| !kept.starts_with(name)).map(|l| format!("{l}\n")).collect();
            let told = check_manifest(&package(), &without);
            assert!(told.len() == 1 && told[0].ends_with(line), "{line}: {told:?}");
        }
    }

    #[test]
    fn a_version_of_ones_own_is_told() {
        let own = GOOD.replace("rust-version.workspace = true", "rust-version = \"1.95\"");
        assert_eq!(check_manifest(&package(), &own), ["a: [package] lacks rust-version.workspace=true"]);
        let elsewhere = GOOD.replace("[lints]", "[lints.rust]");
        assert_eq!(check_manifest(&package(), &elsewhere), ["a: [lints] lacks workspace=true"]);
        let unpublished = Package { published: false, ..package() };
        assert_eq!(check_manifest(&unpublished, &elsewhere), [""; 0]);
        let none = GOOD.replace("[lints]", "[other]");
        assert_eq!(check_manifest(&unpublished, &none), ["a: [lints] lacks workspace=true"]);
    }

    #[test]
    fn a_library_shows_its_readme() {
        let library = format!("{FRONT_PAGE}\n\nmod a;\n");
        assert_eq!(check_front_page(&package(), true, Some(&library)), [""; 0]);
        assert_eq!(check_front_page(&package(), true, None), [""; 0]);
        assert_eq!(check_front_page(&package(), false, Some("//! A crate.\n")).len(), 2);
    }
}
