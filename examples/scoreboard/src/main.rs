//! Runs the scoreboard: see the README of `plenary-bwe`.

use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, io, thread};

use clap::Parser;
use plenary_scoreboard::external::Command;
use plenary_scoreboard::{
    ALGORITHMS, Algorithm, Case, Entrant, GOLDEN_CASES, Outcome, Sweep, cases, curve, markdown, recorded,
};

/// Runs congestion controllers through the cases of RFC 8867 and others, in virtual time, and writes a table.
#[derive(Debug, Parser)]
struct Options {
    /// Only these, by name, separated by commas; without it, all. The oracle takes part in any case.
    #[arg(long, value_delimiter = ',')]
    algorithms: Vec<String>,
    /// A program that takes part, with its arguments: see EXTERNAL.md. More than one may be given.
    #[arg(long)]
    external: Vec<String>,
    /// Only those whose names begin so, separated by commas; without it, all.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// A file with a recorded link, to be a case as well: gym's .json, .csv, or mahimahi. More than one may be given.
    #[arg(long)]
    trace: Vec<PathBuf>,
    /// How many seeds: 1 to this.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The directory that the results go to.
    #[arg(long, default_value = "target/scoreboard")]
    out: PathBuf,
    /// Also writes every packet and decision of the first seed, as CSV and as the log of RFC 8868.
    #[arg(long)]
    csv: bool,
    /// Also writes the curves that the tests hold algorithms to, into this directory.
    #[arg(long)]
    golden: Option<PathBuf>,
    /// How many threads; without it, as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Tells the names of cases and algorithms, and runs nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match start(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scoreboard: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Options) -> io::Result<()> {
    let (cases, entrants) = (chosen_cases(options)?, entrants(options)?);
    if options.list {
        println!("algorithms: {}", entrants.iter().map(Entrant::name).collect::<Vec<_>>().join(" "));
        cases.iter().for_each(|case| println!("{:28} {}", case.name, case.title));
        return Ok(());
    }
    let sweep = Sweep { cases: &cases, entrants: &entrants, seeds: options.seeds, is_detailed: options.csv };
    let threads = options.threads.or_else(|| thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let outcomes = sweep.run(threads, &progress);
    fs::create_dir_all(&options.out)?;
    let table = options.out.join("SCOREBOARD.md");
    fs::write(&table, markdown(&sweep, &outcomes))?;
    let page = options.out.join("index.html");
    fs::write(&page, plenary_scoreboard::page(&sweep, &outcomes))?;
    if options.csv {
        write_details(&sweep, &outcomes, &options.out.join("csv"))?;
    }
    if let Some(directory) = &options.golden {
        write_golden(&sweep, &outcomes, directory)?;
    }
    println!("{}\n{}", table.display(), page.display());
    failures(&sweep, &outcomes)
}

fn chosen_cases(options: &Options) -> io::Result<Vec<Case>> {
    let is_chosen = |case: &Case| options.cases.iter().any(|prefix| case.name.starts_with(prefix));
    let mut chosen: Vec<_> = cases().into_iter().filter(|case| options.cases.is_empty() || is_chosen(case)).collect();
    for path in &options.trace {
        let case = recorded(path, &fs::read_to_string(path)?);
        chosen.push(case.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?);
    }
    if chosen.is_empty() { Err(io::Error::other("there is no such case: see --list")) } else { Ok(chosen) }
}

fn entrants(options: &Options) -> io::Result<Vec<Entrant>> {
    let mut names = options.algorithms.clone();
    if let Some(unknown) = names.iter().find(|name| ALGORITHMS.iter().all(|one| one.name != **name)) {
        return Err(io::Error::other(format!("there is no algorithm {unknown}: see --list")));
    }
    names.push("oracle".to_owned());
    let is_chosen = |one: &&Algorithm| names.len() == 1 || names.iter().any(|name| name == one.name);
    let external = options.external.iter().map(|line| Entrant::External(command(line)));
    Ok(external.chain(ALGORITHMS.iter().filter(is_chosen).copied().map(Entrant::BuiltIn)).collect())
}

/// Named after the file of its last word: `python3 agents/aimd.py` is `aimd`.
fn command(line: &str) -> Command {
    let last = Path::new(line.split_whitespace().next_back().unwrap_or("external"));
    let name = last.file_stem().map_or_else(|| line.to_owned(), |stem| stem.to_string_lossy().into_owned());
    Command { name, line: line.to_owned(), reply_time_max: Duration::from_secs(10) }
}

/// Of each case and algorithm, every packet, the same as RTP logs, and every decision.
fn write_details(sweep: &Sweep<'_>, outcomes: &[Vec<Outcome>], directory: &Path) -> io::Result<()> {
    for (case, row) in sweep.cases.iter().zip(outcomes) {
        let directory = directory.join(&case.name);
        fs::create_dir_all(&directory)?;
        for (entrant, outcome) in sweep.entrants.iter().zip(row) {
            let Some(details) = outcome.as_ref().ok().and_then(|entry| entry.first.details.as_ref()) else { continue };
            let write = |kind, text| fs::write(directory.join(format!("{}.{kind}", entrant.name())), text);
            write("packets.csv", details.packets_csv())?;
            write("decisions.csv", details.decisions_csv())?;
            write("sent.log", details.rtp_log(false))?;
            write("received.log", details.rtp_log(true))?;
        }
    }
    Ok(())
}

/// A file for each algorithm, with its curves in the cases that are kept.
fn write_golden(sweep: &Sweep<'_>, outcomes: &[Vec<Outcome>], directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (index, entrant) in sweep.entrants.iter().enumerate() {
        let kept = sweep.cases.iter().zip(outcomes).filter(|(case, _)| GOLDEN_CASES.contains(&case.name.as_str()));
        let curves = kept.filter_map(|(case, row)| Some(curve(case, &row[index].as_ref().ok()?.first)));
        fs::write(directory.join(format!("{}.txt", entrant.name())), curves.collect::<String>())?;
    }
    Ok(())
}

/// Who failed, where and why: of each the first.
fn failures(sweep: &Sweep<'_>, outcomes: &[Vec<Outcome>]) -> io::Result<()> {
    let mut failed = Vec::new();
    for (index, entrant) in sweep.entrants.iter().enumerate() {
        let errors =
            sweep.cases.iter().zip(outcomes).filter_map(|(case, row)| Some((case, row[index].as_ref().err()?)));
        let errors: Vec<_> = errors.collect();
        if let Some((case, error)) = errors.first() {
            failed.push(format!(
                "{} failed in {} cases, first in {}: {error}",
                entrant.name(),
                errors.len(),
                case.name
            ));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(io::Error::other(failed.join("\n"))) }
}

/// A bar on a terminal; nothing elsewhere.
fn progress(done: usize, all: usize) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let bar = "#".repeat(40 * done / all);
        let end = if done == all { "\n" } else { "" };
        let _ = write!(stderr, "\r[{bar:40}] {done} of {all}{end}").and_then(|()| stderr.flush());
    }
}
