use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::process;
use crate::workspace::{Workspace, answer};

/// Packages that a published crate is built with and that say they need a newer Rust than ours.
///
/// Cargo would refuse to build them with the Rust that the workspace states.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut command = Command::new(process::cargo());
    command.args(["metadata", "--all-features", "--format-version", "1", "--locked"]).current_dir(&workspace.root);
    let metadata: Value = serde_json::from_str(&answer(&mut command)?).map_err(|error| error.to_string())?;
    Ok(too_new(&metadata))
}

fn too_new(metadata: &Value) -> Vec<String> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<_, _> = list(&metadata["packages"]).into_iter().map(|p| (text(&p["id"]), p)).collect();
    let nodes: BTreeMap<_, _> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|n| (text(&n["id"]), list(&n["deps"]))).collect();

    let mut problems = BTreeSet::new();
    for member in list(&metadata["workspace_members"]) {
        let Some(package) = packages.get(&text(&member)) else { continue };
        let Some(ours) = version(&package["rust_version"]) else { continue };
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let (mut open, mut seen) = (vec![text(&member)], BTreeSet::new());
        while let Some(id) = open.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            let Some(used) = packages.get(&id) else { continue };
            if version(&used["rust_version"]).is_some_and(|theirs| theirs > ours) {
                let (name, theirs) = (text(&used["name"]), text(&used["rust_version"]));
                problems.insert(format!("{}: {name} needs Rust {theirs}", text(&package["name"])));
            }
            let for_builds = |arrow: &Value| list(&arrow["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            open.extend(nodes.get(&id).into_iter().flatten().filter(|a| for_builds(a)).map(|a| text(&a["pkg"])));
        }
    }
    problems.into_iter().collect()
}

/// `1.89` as `[1, 89, 0]`.
fn version(value: &Value) -> Option<[u32; 3]> {
    let mut numbers = value.as_str()?.split('.').map(|part| part.parse().ok());
    Some([numbers.next()??, numbers.next().unwrap_or(Some(0))?, numbers.next().unwrap_or(Some(0))?])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dependency_of_a_dependency_that_is_too_new_is_told() {
        let arrow = |to: &str, kind: Value| json!({"pkg": to, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "workspace_members": ["ours", "tool"],
            "packages": [
                {"id": "ours", "name": "ours", "rust_version": "1.89", "publish": null},
                {"id": "tool", "name": "tool", "rust_version": "1.89", "publish": []},
                {"id": "old", "name": "old", "rust_version": "1.89.0", "publish": null},
                {"id": "new", "name": "new", "rust_version": "1.90", "publish": null},
                {"id": "for-tests", "name": "for-tests", "rust_version": "1.95", "publish": null},
                {"id": "silent", "name": "silent", "rust_version": null, "publish": null},
            ],
            "resolve": {"nodes": [
                {"id": "ours", "deps": [arrow("old", Value::Null), arrow("for-tests", json!("dev"))]},
                {"id": "old", "deps": [arrow("silent", Value::Null), arrow("new", json!("build"))]},
                {"id": "tool", "deps": [arrow("for-tests", Value::Null)]},
            ]},
        });
        assert_eq!(too_new(&metadata), ["ours: new needs Rust 1.90"]);
    }

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(version(&json!("1.9")), Some([1, 9, 0]));
        assert!(version(&json!("1.89.1")) > version(&json!("1.89")));
        assert_eq!(version(&json!("soon")), None);
    }
}
