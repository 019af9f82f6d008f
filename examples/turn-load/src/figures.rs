//! What the kernel counts of the server's process.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Of all threads, as the scheduler has it: user and system.
    pub(crate) cpu_ns: u64,
    /// Memory of its own: neither files nor what is shared, and nothing of the kernel's.
    pub(crate) memory_bytes: u64,
    pub(crate) files: usize,
    /// UDP sockets.
    pub(crate) ports: usize,
}

impl Figures {
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let (files, ports) = files(pid)?;
        Ok(Self { cpu_ns: cpu_ns(pid)?, memory_bytes: memory_bytes(pid)?, files, ports })
    }

    /// For whoever reads what this program prints; CPU time is only of use as a difference.
    pub(crate) fn told(&self) -> Value {
        json!({ "memory_bytes": self.memory_bytes, "files": self.files, "ports": self.ports })
    }
}

/// Of the threads that there are: it falls when one ends.
pub(crate) fn cpu_ns(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may have ended by now.
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        sum += text.split_whitespace().next().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

fn memory_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.split_whitespace().next());
    let kilobytes = kilobytes.and_then(|it| it.parse::<u64>().ok());
    kilobytes.map(|it| it * 1024).ok_or_else(|| io::Error::other("no RssAnon"))
}

/// All open files, and those of them that are UDP sockets of IPv4.
fn files(pid: u32) -> io::Result<(usize, usize)> {
    let mut sockets = BTreeSet::new();
    let mut files = 0;
    for file in fs::read_dir(format!("/proc/{pid}/fd"))? {
        files += 1;
        let Ok(to) = fs::read_link(file?.path()) else { continue };
        let inode = to.to_str().and_then(|it| it.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok());
        sockets.extend(inode);
    }
    let table = fs::read_to_string(format!("/proc/{pid}/net/udp"))?;
    let inodes = table.lines().filter_map(|line| line.split_whitespace().nth(9)?.parse::<u64>().ok());
    Ok((files, inodes.filter(|inode| sockets.contains(inode)).count()))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn what_a_process_holds_is_counted() {
        let pid = std::process::id();
        let before = Figures::of(pid).unwrap();
        let held: Vec<_> = (0..400).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let memory = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = Figures::of(pid).unwrap();
        // Other tests open and close some as well.
        assert!((250..550).contains(&(after.files - before.files)), "{before:?} {after:?}");
        assert!((250..550).contains(&(after.ports - before.ports)), "{before:?} {after:?}");
        assert!(after.memory_bytes > before.memory_bytes + (32 << 20), "{before:?} {after:?}");
        assert!((1..3_600_000_000_000).contains(&after.cpu_ns), "{after:?}");
        drop((held, memory));
    }
}
