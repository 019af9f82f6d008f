use std::fs::File;
use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::tun;

/// A network namespace that this process has made, with one TUN device in it. Both are gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    device: Option<File>,
}

/// The name of the device in each namespace.
const DEVICE: &str = "net0";

impl Namespace {
    /// Makes it, with these addresses (and prefix lengths), and a default route to the device.
    pub(crate) fn new(name: &str, addresses: &[String], mtu: u64) -> io::Result<Self> {
        ip(&["netns", "add", name]).map_err(|error| taken(name, error))?;
        // From here on, an error drops it and so deletes the namespace.
        let mut namespace = Self { name: name.to_owned(), device: None };
        let (device, first_name) = tun::open()?;
        namespace.device = Some(device);
        ip(&["link", "set", "dev", &first_name, "netns", name])?;
        let inside = |arguments: &[&str]| ip(&[&["-n", name], arguments].concat());
        inside(&["link", "set", "dev", "lo", "up"])?;
        inside(&["link", "set", "dev", &first_name, "name", DEVICE])?;
        // No address that nobody asked for, and so no router solicitations on the link.
        inside(&["link", "set", "dev", DEVICE, "addrgenmode", "none"])?;
        inside(&["link", "set", "dev", DEVICE, "mtu", &mtu.to_string(), "up"])?;
        for address in addresses {
            let family = if address.contains(':') { "-6" } else { "-4" };
            let nodad: &[&str] = if family == "-6" { &["nodad"] } else { &[] };
            inside(&[&["address", "add", address, "dev", DEVICE], nodad].concat())?;
            inside(&[family, "route", "add", "default", "dev", DEVICE])?;
        }
        Ok(namespace)
    }

    /// What it is called, for `ip netns exec`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its device.
    pub(crate) fn device(&self) -> &File {
        self.device.as_ref().expect("a namespace has a device once it is made")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.device.take());
        // What the command has left behind would keep the namespace alive without its name.
        for process in ip(&["netns", "pids", &self.name]).unwrap_or_default().split_whitespace() {
            if let Some(pid) = process.parse().ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if let Err(error) = ip(&["netns", "delete", &self.name]) {
            eprintln!("netsim-tun: {error}");
        }
    }
}

/// What `ip` says.
fn ip(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| io::Error::new(error.kind(), format!("ip, of iproute2: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {}: {}", arguments.join(" "), output.status, said.trim())))
}

fn taken(name: &str, error: io::Error) -> io::Error {
    if !error.to_string().contains("File exists") {
        return error;
    }
    io::Error::other(format!(
        "a namespace {name} exists already. If another run has it, choose other names with --left and --right; \
         if one was killed, remove it: ip netns delete {name}"
    ))
}
