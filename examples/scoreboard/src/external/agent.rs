use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{self, Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::{Command, Error, REPLY_BYTES_MAX};

/// A program that runs, and the two threads that write to it and read of it: so that one that hangs holds up nobody.
#[derive(Debug)]
pub(super) struct Agent {
    child: Child,
    /// What is written next.
    lines: Sender<String>,
    replies: Receiver<Result<String, Error>>,
    /// Told and not yet handed to the writer.
    pending: String,
    reply_time_max: Duration,
}

impl Agent {
    pub(super) fn start(command: &Command) -> Result<Self, Error> {
        let mut words = command.line.split_whitespace();
        let program = words.next().ok_or(Error::NoCommand)?;
        let spawned = process::Command::new(program).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| Error::Start(error.kind()))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (lines, to_write) = channel();
        // One reply is asked for at a time: who replies unasked waits.
        let (replied, replies) = sync_channel(1);
        thread::spawn(move || write(stdin, &to_write));
        thread::spawn(move || read(stdout, |line| replied.send(line).is_ok()));
        Ok(Self { child, lines, replies, pending: String::new(), reply_time_max: command.reply_time_max })
    }

    /// Tells what needs no reply, at the latest with the next that does.
    pub(super) fn tell(&mut self, message: &str) {
        self.pending.push_str(message);
        self.pending.push('\n');
    }

    pub(super) fn ask(&mut self, message: &str) -> Result<String, Error> {
        self.tell(message);
        // A writer that has ended shows as a program that has.
        let _ = self.lines.send(std::mem::take(&mut self.pending));
        match self.replies.recv_timeout(self.reply_time_max) {
            Ok(Err(Error::Ended(_))) | Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Ok(reply) => reply,
            Err(RecvTimeoutError::Timeout) => Err(Error::Silent),
        }
    }

    /// Its output is closed: it has ended, or is about to.
    fn ended(&mut self) -> Error {
        let _ = self.child.kill();
        Error::Ended(self.child.wait().ok())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(stdin: Option<ChildStdin>, lines: &Receiver<String>) {
    let Some(mut stdin) = stdin else { return };
    while let Ok(line) = lines.recv() {
        if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// Hands on line after line, until one is no good, there is no more, or nobody wants it.
fn read(stdout: Option<ChildStdout>, mut hand_on: impl FnMut(Result<String, Error>) -> bool) {
    let Some(stdout) = stdout else { return };
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let got = stdout.by_ref().take(REPLY_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
        let reply = match got {
            Ok(0) | Err(_) => Err(Error::Ended(None)),
            Ok(length) if length > REPLY_BYTES_MAX => Err(Error::TooLong),
            Ok(_) => String::from_utf8(line).map_err(|_| Error::NotJson),
        };
        let is_last = reply.is_err();
        if !hand_on(reply) || is_last {
            return;
        }
    }
}
