//! A program that was started here, read line by line, and ended with its value.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Child {
    child: std::process::Child,
    lines: Receiver<String>,
    name: String,
}

impl Child {
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
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
        self.lines.recv_timeout(within).map_err(|_| format!("`{}` said nothing within {within:?}", self.name))
    }

    /// Waits for its end, which is to be a good one.
    pub(crate) fn end_by_itself(&mut self) -> Result<(), String> {
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("`{}`: {status}", self.name)) }
    }

    /// What the scheduler has counted for all threads of the process that this `timeout` runs.
    pub(crate) fn cpu_ns(&self) -> Result<u64, String> {
        let pid = self.child.id();
        let pid = super::child_of(pid).ok_or("the server has ended")?;
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
        let cpu = |task: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        Ok(tasks.filter_map(cpu).sum())
    }
}

impl Drop for Child {
    /// By `kill`, as `timeout` passes on what it can catch; by force if that does not help.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(25));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_started_ends_with_its_value() {
        let mut command = Command::new("timeout");
        let child =
            Child::start(command.args(["--foreground", "60", "sh", "-c", "echo there; exec sleep 50"])).unwrap();
        assert_eq!(child.line(Duration::from_secs(20)), Ok("there".to_owned()));
        assert!(child.cpu_ns().unwrap() > 0);
        let server = super::super::child_of(child.child.id()).unwrap();
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
