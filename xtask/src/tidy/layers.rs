use crate::workspace::Package;

/// Where a package stands. A package depends on lower layers only, never on a sibling of its own layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    Words,
    Formats,
    Machines,
    Peer,
    Engine,
    /// A part of the server that is of use alone.
    Part,
    Server,
    /// The laboratory: knows `wire` only; the tests of all may use it.
    Laboratory,
}

/// Every package of Plenary. A new one gets its line here, and one in ARCHITECTURE.md.
const LAYERS: &[(&str, Layer)] = &[
    ("plenary-wire", Layer::Words),
    ("plenary-rtp", Layer::Formats),
    ("plenary-stun", Layer::Formats),
    ("plenary-sdp", Layer::Formats),
    ("plenary-ice", Layer::Machines),
    ("plenary-turn", Layer::Machines),
    ("plenary-srtp", Layer::Machines),
    ("plenary-stream", Layer::Machines),
    ("plenary-bwe", Layer::Machines),
    ("plenary-jitter", Layer::Machines),
    ("plenary-recorder", Layer::Machines),
    ("plenary-transport", Layer::Peer),
    ("plenary-sfu-core", Layer::Engine),
    ("plenary-relay", Layer::Part),
    ("plenary-server", Layer::Server),
    ("plenary-netsim", Layer::Laboratory),
];

/// The layer of a package; `None` for tools and examples, which may use everything and be used by nothing.
pub(crate) fn layer_of(name: &str) -> Option<Layer> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

/// Arrows that do not point down.
pub(crate) fn check(packages: &[Package]) -> Vec<String> {
    let mut problems = Vec::new();
    for package in packages {
        let Some(layer) = layer_of(&package.name) else {
            if package.published && package.name.starts_with("plenary-") {
                problems.push(format!("{}: has no layer: add it to the table in {}", package.name, file!()));
            }
            continue;
        };
        for arrow in &package.dependencies {
            let is_member = packages.iter().any(|other| other.name == arrow.name);
            let allowed = match layer_of(&arrow.name) {
                Some(below) => may_use(layer, below, arrow.dev),
                None => !is_member,
            };
            if !allowed {
                let kind = if arrow.dev { "dev-depends" } else { "depends" };
                problems.push(format!("{}: {kind} on {}, which is not below it", package.name, arrow.name));
            }
        }
    }
    problems
}

fn may_use(layer: Layer, below: Layer, dev: bool) -> bool {
    match (layer, below) {
        (Layer::Laboratory, _) => below == Layer::Words,
        (_, Layer::Laboratory) => dev && layer != Layer::Words,
        _ => below < layer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    /// Packages, each written as `name: dependency dependency(dev)`.
    fn problems(packages: &[&str]) -> Vec<String> {
        let packages = packages.iter().map(|line| {
            let (name, arrows) = line.split_once(':').unwrap();
            let dependencies = arrows.split_whitespace().map(|arrow| Dependency {
                name: arrow.trim_end_matches("(dev)").to_owned(),
                dev: arrow.ends_with("(dev)"),
            });
            let (dependencies, published) = (dependencies.collect(), name != "xtask" && !name.ends_with("-peers"));
            Package { name: name.to_owned(), dependencies, published, ..Package::default() }
        });
        check(&packages.collect::<Vec<_>>())
    }

    #[test]
    fn arrows_point_down() {
        let good = [
            "plenary-wire: serde",
            "plenary-netsim: plenary-wire",
            "plenary-rtp: plenary-wire plenary-netsim(dev)",
            "plenary-bwe: plenary-rtp plenary-wire plenary-netsim(dev)",
            "plenary-server: plenary-wire plenary-sfu-core",
            "netsim-tun: plenary-netsim",
            "plenary-srtp-peers: plenary-srtp",
            "xtask:",
        ];
        assert_eq!(problems(&good), [""; 0]);
    }

    #[test]
    fn siblings_and_upward_arrows_are_told() {
        for (package, told) in [
            ("plenary-rtp: plenary-sdp", "plenary-rtp: depends on plenary-sdp, which is not below it"),
            ("plenary-ice: plenary-turn(dev)", "plenary-ice: dev-depends on plenary-turn, which is not below it"),
            ("plenary-wire: plenary-rtp", "plenary-wire: depends on plenary-rtp, which is not below it"),
            ("plenary-bwe: plenary-netsim", "plenary-bwe: depends on plenary-netsim, which is not below it"),
            ("plenary-netsim: plenary-rtp(dev)", "plenary-netsim: dev-depends on plenary-rtp, which is not below it"),
        ] {
            assert_eq!(problems(&[package]), [told]);
        }
    }

    // Cargo can't publish a ring of dev-dependencies with versions: netsim needs wire, so wire can't test with netsim.
    #[test]
    fn wire_does_not_test_with_the_laboratory() {
        assert_eq!(problems(&["plenary-wire: plenary-netsim(dev)"]).len(), 1);
    }

    #[test]
    fn a_package_without_a_layer_is_told() {
        let told = problems(&["plenary-mixer: plenary-wire"]);
        assert!(told[0].starts_with("plenary-mixer: has no layer: add it to the table in "), "{told:?}");
    }

    #[test]
    fn nothing_depends_on_tools() {
        let told = problems(&["xtask:", "plenary-rtp: xtask(dev)"]);
        assert_eq!(told, ["plenary-rtp: dev-depends on xtask, which is not below it"]);
    }
}
