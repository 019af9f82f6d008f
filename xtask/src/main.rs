//! The project's own tools. `cargo xtask` alone says what there is; CONTRIBUTING.md says when to use which.

mod arguments;
mod bench_sfu;
mod bench_turn;
mod child;
mod external_types;
mod fuzz;
mod mutate;
mod process;
mod report;
mod steps;
mod tidy;
mod workspace;

use std::process::{Command, ExitCode};

use arguments::Task;
use workspace::Workspace;

fn main() -> ExitCode {
    if let Some(status) = external_types::act_as_rustdoc() {
        return status;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = arguments::parse(&arguments).and_then(|task| Workspace::load().map(|workspace| (task, workspace)));
    match done.and_then(|(task, workspace)| perform(task, &workspace)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well, or why the task could not be done.
fn perform(task: Task, workspace: &Workspace) -> Result<bool, String> {
    match task {
        Task::Help => println!("{}", arguments::USAGE),
        Task::Test { quick } => return Ok(steps::run(workspace, quick)),
        Task::Tidy => return Ok(told(&tidy::check(workspace)?)),
        Task::ExternalTypes => return Ok(told(&external_types::check(workspace, &process::Shell::quiet(workspace))?)),
        Task::Fuzz { target: None, .. } => println!("targets:\n  {}", fuzz::targets(workspace)?.join("\n  ")),
        Task::Fuzz { target: Some(target), seconds } => return fuzz::run_by_hand(workspace, &target, seconds),
        Task::Mutate { package, number } => return mutate::run(workspace, &package, number),
        Task::BenchSfu { points } => return bench_sfu::run(workspace, &points),
        Task::BenchTurn { points } => return bench_turn::run(workspace, &points),
        Task::Scoreboard => steps::scoreboard::write(workspace)?,
        Task::Bench { package } => return bench(workspace, package.as_deref()),
    }
    Ok(true)
}

fn told(problems: &[String]) -> bool {
    for problem in problems {
        println!("{problem}");
    }
    println!("{} problems", problems.len());
    problems.is_empty()
}

fn bench(workspace: &Workspace, package: Option<&str>) -> Result<bool, String> {
    let mut command = Command::new(process::cargo());
    command.current_dir(&workspace.root).args(["bench", "--bench", "*"]);
    match package {
        Some(name) => command.args(["-p", &workspace.package(name)?.name]),
        None => command.arg("--workspace"),
    };
    process::watched(&mut command)
}
