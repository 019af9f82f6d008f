//! What a relayed packet costs a TURN server, beside another server and relays that know nothing of TURN; how long it
//! takes, and what is held of clients and strangers.

mod holding;
mod latency;
mod point;
mod relaying;
mod server;
mod smoke;
mod verdict;

use std::path::PathBuf;
use std::process::Command;

use crate::process;
use crate::workspace::Workspace;
use point::Measure;
use server::{Kind, Server};
pub(crate) use smoke::run as smoke;
use verdict::Verdict;

/// Where points are of three rounds: load of others makes single ones worthless.
const ROUNDS: usize = 3;

/// Where the programs are, and where coturn may keep files.
struct Place {
    programs: PathBuf,
    folder: PathBuf,
}

/// Measures the points that are named, or all; says whether each goal is met.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<bool, String> {
    let points = point::named(names)?;
    let mut build = Command::new(process::cargo());
    build.current_dir(&workspace.root).args(["build", "--locked", "--release"]);
    if !process::watched(build.args(["-p", "plenary-turn-server", "-p", "plenary-turn-load"]))? {
        return Ok(false);
    }
    let place = Place::new(workspace, "release");
    let relaying: Vec<_> = points.iter().filter(|it| matches!(it.measure, Measure::Relaying { .. })).copied().collect();
    let mut verdicts = relaying::run(&place, &relaying)?;
    for point in points {
        verdicts.extend(match point.measure {
            Measure::Relaying { .. } => Vec::new(),
            Measure::Latency => latency::run(&place)?,
            Measure::Strangers => holding::strangers(&place)?,
            Measure::Idle => holding::idle(&place)?,
            Measure::Churn => holding::churn(&place)?,
        });
    }
    println!("\ngoals:");
    for verdict in &verdicts {
        println!("  {verdict}");
    }
    Ok(verdicts.iter().all(Verdict::is_met))
}

impl Place {
    fn new(workspace: &Workspace, profile: &str) -> Self {
        let folder = workspace.target.join("xtask").join("bench-turn");
        Self { programs: workspace.target.join(profile), folder }
    }

    fn start(&self, kind: Kind) -> Result<Server, String> {
        Server::start(kind, &self.programs, &self.folder)
    }
}
