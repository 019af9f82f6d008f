//! A program that was started here, read line by line, and ended with its value.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Child {
    child: std::process::Child,
    lines: Receiver<String>,
    name: String,
}

/// A program under `timeout`, which ends it after so many seconds whatever becomes of this one, and passes signals on. In
/// the foreground Ctrl-C reaches it.
pub(crate) fn bounded(seconds: u64, program: impl Into<OsString>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--kill-after=5", &seconds.to_string()]).arg(program.into());
    command
}

impl Child {
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let name = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{name}` can't be run: {error}"))?;
        let out = child.stdout.take().ok_or("no standard output")?;
        let (say, lines) = mpsc::channel();
        // It ends with the program's output.
        thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Ok(Self { child, lines, name })
    }

    /// The next line that it prints.
    pub(crate) fn line(&self, within: Duration) -> Result<String, String> {
        self.lines.recv_timeout(within).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("`{}` said nothing within {within:?}", self.name),
            RecvTimeoutError::Disconnected => format!("`{}` has ended, and said nothing", self.name),
        })
    }

    /// Waits for its end, which is to be a good one.
    pub(crate) fn end_by_itself(&mut self) -> Result<(), String> {
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("`{}`: {status}", self.name)) }
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The process that this `timeout` runs.
    pub(crate) fn pid(&self) -> Result<u32, String> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let first = children.split_whitespace().next().and_then(|it| it.parse().ok());
        first.ok_or_else(|| format!("`{}` has ended", self.name))
    }

    /// What the scheduler has counted for all threads of that process.
    pub(crate) fn cpu_ns(&self) -> Result<u64, String> {
        let pid = self.pid()?;
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
        let cpu = |task: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        Ok(tasks.filter_map(cpu).sum())
    }
}

impl Drop for Child {
    /// By a signal to the process itself, as a `timeout` that has just begun does not pass it on; by force if that does not
    /// help.
    fn drop(&mut self) {
        for signal in ["-TERM", "-KILL"] {
            let pid = self.pid().unwrap_or_else(|_| self.child.id());
            if self.has_ended() {
                return;
            }
            let _ = Command::new("kill").arg(signal).arg(pid.to_string()).status();
            for _ in 0..200 {
                if self.has_ended() {
                    return;
                }
                thread::sleep(Duration::from_millis(25));
            }
        }
    }
}

/// The median of what several runs of the same have said: load of others makes a single one worthless.
pub(crate) fn middle(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_started_ends_with_its_value() {
        let child = Child::start(bounded(60, "sh").args(["-c", "echo there; exec sleep 50"])).unwrap();
        assert_eq!(child.line(Duration::from_secs(20)), Ok("there".to_owned()));
        assert!(child.cpu_ns().unwrap() > 0);
        let server = child.pid().unwrap();
        drop(child);
        // It was told to, and does so once it is its turn.
        let is_there = || fs::exists(format!("/proc/{server}/task/{server}/children")).unwrap();
        for _ in 0..1000 {
            if !is_there() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("its child has not ended");
    }
}
