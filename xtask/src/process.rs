//! Other programs, run with their output in a step's log or before the eyes of whoever asked.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::workspace::Workspace;

/// The cargo that runs this program, so that its children are of the same toolchain.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// Runs with the caller's own standard streams, and says whether it went well.
pub(crate) fn watched(command: &mut Command) -> Result<bool, String> {
    let status = command.status().map_err(|error| format!("{}: {error}", line(command)))?;
    Ok(status.success())
}

/// The same command, ended when `limit` (whole seconds) has passed: a failure with exit code 124.
pub(crate) fn bounded(limit: Duration, program: impl Into<OsString>) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg(limit.as_secs().to_string()).arg(program.into());
    command
}

/// Where a step's programs run, and the log that takes all they print.
#[derive(Debug)]
pub(crate) struct Shell {
    root: PathBuf,
    log: PathBuf,
}

impl Shell {
    /// A shell with a new, empty log of this name, under `target/xtask`.
    pub(crate) fn new(workspace: &Workspace, name: &str) -> Self {
        let directory = workspace.target.join("xtask");
        let log = directory.join(format!("{}.log", name.replace(' ', "-")));
        // A log that can't be made is told by the first command that needs it.
        let _ = fs::create_dir_all(&directory);
        let _ = fs::remove_file(&log);
        Self { root: workspace.root.clone(), log }
    }

    /// For a task run by itself.
    pub(crate) fn quiet(workspace: &Workspace) -> Self {
        Self::new(workspace, "last-task")
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Runs to the end and returns what was printed, both streams together; an error if it did not go well.
    ///
    /// The program runs in the repository's root unless it was given another directory, and has no standard input.
    pub(crate) fn run(&self, command: &mut Command) -> Result<String, String> {
        let line = line(command);
        match self.attempt(command).map_err(|error| format!("{}: {error}", self.log.display()))? {
            Ok((status, printed)) if status.success() => Ok(printed),
            Ok((status, _)) => Err(format!("`{line}` failed, {status}")),
            Err(error) => Err(format!("`{line}` can't be run: {error}")),
        }
    }

    /// The same, but what was printed is returned in either case.
    pub(crate) fn run_whatever(&self, command: &mut Command) -> Result<String, String> {
        match self.attempt(command) {
            Ok(Ok((status, printed))) if status.success() => Ok(printed),
            Ok(Ok((_, printed))) => Err(printed),
            Ok(Err(error)) | Err(error) => Err(error.to_string()),
        }
    }

    /// The outer error is the log's, the inner one that the program can't be run.
    fn attempt(&self, command: &mut Command) -> io::Result<io::Result<(ExitStatus, String)>> {
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        writeln!(log, "$ {}", line(command))?;
        let start = log.seek(SeekFrom::End(0))?;
        if command.get_current_dir().is_none() {
            command.current_dir(&self.root);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
        let status = match command.status() {
            Ok(status) => status,
            Err(error) => return Ok(Err(error)),
        };
        let mut printed = Vec::new();
        let mut log = File::open(&self.log)?;
        log.seek(SeekFrom::Start(start))?;
        log.read_to_end(&mut printed)?;
        Ok(Ok((status, String::from_utf8_lossy(&printed).into_owned())))
    }
}

/// A command as one would type it, without its directory.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str) -> Shell {
        Shell::new(&Workspace::load().expect("the workspace loads"), name)
    }

    #[test]
    fn both_streams_are_kept_and_failures_told() {
        let shell = shell("unit-test-streams");
        let mut both = Command::new("sh");
        assert_eq!(shell.run(both.args(["-c", "echo one; echo two >&2"])), Ok("one\ntwo\n".to_owned()));
        let mut bad = Command::new("sh");
        let error = shell.run(bad.args(["-c", "echo why; exit 3"])).unwrap_err();
        assert_eq!(error, "`sh -c echo why; exit 3` failed, exit status: 3");
        let log = fs::read_to_string(shell.log()).unwrap();
        assert_eq!(log, "$ sh -c echo one; echo two >&2\none\ntwo\n$ sh -c echo why; exit 3\nwhy\n");
        let mut bad = Command::new("sh");
        assert_eq!(shell.run_whatever(bad.args(["-c", "echo why; exit 3"])), Err("why\n".to_owned()));
        assert!(shell.run(&mut Command::new("no-such-program")).unwrap_err().contains("can't be run"));
    }

    #[test]
    fn a_bounded_program_is_ended() {
        let error = shell("unit-test-bound").run(bounded(Duration::from_secs(1), "sleep").arg("60")).unwrap_err();
        assert!(error.contains("exit status: 124"), "{error}");
    }
}
