use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::cargo::cargo;
use super::{Context, Result};
use crate::process::Shell;
use crate::report::Outcome;
use crate::workspace::{Workspace, answer};

/// What the steps need of Debian, beside git and the C compiler that Rust itself needs.
const PACKAGES: &[(&str, &str)] = &[
    ("chromium", "a peer in tests of examples/echo and reference-server"),
    ("firefox-esr", "another"),
    ("coturn", "a peer in tests of turn"),
    ("g++", "libFuzzer"),
    ("gir1.2-nice-0.1", "libnice, a peer in tests of examples/turn-server"),
    ("iproute2", "network namespaces in tests of examples/netsim-tun"),
    ("iputils-ping", "the same"),
    ("libsrtp2-dev", "a peer in tests of srtp"),
    ("openssl", "a peer in tests of transport"),
    ("pkg-config", "finds libsrtp"),
    ("python3-gi", "speaks with libnice"),
    ("python3-venv", "aiortc, a peer in tests of examples/echo, and typos come as Python packages"),
];

/// Programs that run the browsers, each with Debian's package of it. Who has them from elsewhere keeps those.
const PROGRAMS: &[(&str, &str)] = &[("node", "nodejs"), ("npm", "npm")];

/// What the steps need beside packages of the system, installed into `tools/` of the repository.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tool {
    Aiortc,
    Deny,
    Fuzz,
    NodeDatachannel,
    Playwright,
    Puppeteer,
    Typos,
}

/// Where a tool comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registry {
    Cargo,
    Npm,
    /// Each package has an environment of its own.
    Python,
}

impl Tool {
    const ALL: [Self; 7] =
        [Self::Aiortc, Self::Deny, Self::Fuzz, Self::NodeDatachannel, Self::Playwright, Self::Puppeteer, Self::Typos];

    /// Registry, name and the one version that is used.
    const fn package(self) -> (Registry, &'static str, &'static str) {
        match self {
            Self::Aiortc => (Registry::Python, "aiortc", "1.16.0"),
            Self::Deny => (Registry::Cargo, "cargo-deny", "0.20.2"),
            Self::Fuzz => (Registry::Cargo, "cargo-fuzz", "0.13.2"),
            Self::NodeDatachannel => (Registry::Npm, "node-datachannel", "0.33.4"),
            // The last that run on Debian's Node.js 18.
            Self::Playwright => (Registry::Npm, "playwright-core", "1.60.0"),
            Self::Puppeteer => (Registry::Npm, "puppeteer-core", "24.43.1"),
            Self::Typos => (Registry::Python, "typos", "1.52.0"),
        }
    }

    /// The program, or the folder of a Node.js package.
    pub(crate) fn path(self, workspace: &Workspace) -> PathBuf {
        let (registry, name, _) = self.package();
        let folder = match registry {
            Registry::Cargo => "tools/bin".to_owned(),
            Registry::Npm => "tools/node/node_modules".to_owned(),
            Registry::Python => format!("tools/{name}/bin"),
        };
        workspace.root.join(folder).join(name)
    }

    fn is_there(self, workspace: &Workspace) -> bool {
        let (registry, name, version) = self.package();
        let path = self.path(workspace);
        match registry {
            Registry::Cargo => {
                let printed = answer(Command::new(path).arg("--version")).unwrap_or_default();
                printed.split_whitespace().any(|word| word == version)
            }
            Registry::Npm => {
                let manifest = fs::read_to_string(path.join("package.json")).unwrap_or_default();
                manifest.contains(&format!("\"version\": \"{version}\""))
            }
            Registry::Python => {
                let ask = format!("import importlib.metadata as it; print(it.version('{name}'))");
                let python = path.with_file_name("python");
                answer(Command::new(python).args(["-c", &ask])).is_ok_and(|printed| printed.trim() == version)
            }
        }
    }

    fn install(self, context: &Context<'_>) -> Result<()> {
        let (registry, name, version) = self.package();
        match registry {
            Registry::Cargo => {
                let mut command = cargo(&format!("install --locked --force --root tools --version {version} {name}"));
                // It runs for seconds: what counts is how long it takes to build.
                command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
                context.shell.run(&mut command)?;
            }
            Registry::Npm => {
                let mut npm = Command::new("npm");
                npm.args(["install", "--prefix", "tools/node", "--save-exact", "--no-audit", "--no-fund"]);
                context.shell.run(npm.arg(format!("{name}@{version}")))?;
            }
            Registry::Python => {
                let environment = context.workspace.root.join("tools").join(name);
                // One that another Python made would not run.
                let _ = fs::remove_dir_all(&environment);
                context.shell.run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
                let pip = environment.join("bin/pip");
                context.shell.run(Command::new(pip).args(["install", "--quiet", &format!("{name}=={version}")]))?;
            }
        }
        Ok(())
    }
}

/// Installs what is missing.
pub(super) fn run(context: &Context<'_>) -> Result {
    let packages = install_packages(&context.shell);
    let mut tools = Vec::new();
    for tool in Tool::ALL {
        if !tool.is_there(context.workspace) {
            tool.install(context)?;
            tools.push(tool.package().1);
        }
    }
    // Who may not install packages has the tools at least.
    let installed = [packages?, tools].concat();
    if installed.is_empty() {
        return Ok(Outcome::Passed(String::new()));
    }
    Ok(Outcome::Passed(format!("installed {}", installed.join(", "))))
}

fn install_packages(shell: &Shell) -> Result<Vec<&'static str>> {
    // Another system has other packages: what is missing there shows where it is needed.
    if Command::new("dpkg-query").arg("--version").output().is_err() {
        return Ok(Vec::new());
    }
    let is_missing = |program: &str| Command::new(program).arg("--version").output().is_err();
    let programs = PROGRAMS.iter().filter(|(program, _)| is_missing(program)).map(|(_, package)| *package);
    let packages = PACKAGES.iter().map(|(name, _)| *name).filter(|name| !is_installed(name));
    let missing: Vec<_> = packages.chain(programs).collect();
    if missing.is_empty() {
        return Ok(missing);
    }
    let Some(mut update) = as_root("apt-get") else {
        return Err(format!("install by hand, as this is not root: apt-get install {}", missing.join(" ")));
    };
    shell.run(update.arg("update"))?;
    let mut install = as_root("apt-get").unwrap_or_else(|| Command::new("apt-get"));
    shell.run(install.args(["install", "--yes", "--no-install-recommends"]).args(&missing))?;
    Ok(missing)
}

fn is_installed(package: &str) -> bool {
    let mut command = Command::new("dpkg-query");
    answer(command.args(["--show", "--showformat=${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

/// A command with root's rights, if they can be had without a password.
fn as_root(program: &str) -> Option<Command> {
    let is_root = answer(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root && answer(Command::new("sudo").args(["-n", "true"])).is_err() {
        return None;
    }
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    if !is_root {
        command.args(["-n", "env"]);
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", program]);
    Some(command)
}
