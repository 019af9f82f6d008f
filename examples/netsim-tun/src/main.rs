#![doc = include_str!("../README.md")]

mod forward;
mod namespace;
mod options;
mod tun;

use std::error::Error;
use std::process::{Child, Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use plenary_netsim::{DropReason, LinkCounters};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use forward::Done;
use namespace::Namespace;
use options::Options;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("netsim-tun: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces and TUN devices need root".into());
    }
    if options.left == options.right {
        return Err(format!("--left and --right are both {}: they need two names", options.left).into());
    }
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&signalled))?;
    }
    let addresses = |host| [format!("10.77.0.{host}/24"), format!("fd77::{host}/64")];
    let left = Namespace::new(&options.left, &addresses(1), options.mtu)?;
    let right = Namespace::new(&options.right, &addresses(2), options.mtu)?;
    let mut child = start(&options.command, [&left, &right])?;
    let mut status = None;
    let stop = || {
        status = child.as_mut().and_then(|child| child.0.try_wait().ok().flatten());
        status.is_some() || signalled.load(Ordering::Relaxed)
    };
    let devices = [left.device(), right.device()];
    let [forward, back] = forward::run(devices, options.links(), stop)?;
    report(&options.left, &options.right, forward);
    report(&options.right, &options.left, back);
    let code = status.and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    // Ended by a signal, or the command was: but for SIGINT without a command, which is the way to end it.
    let fallback = if options.command.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    Ok(code.map_or(fallback, ExitCode::from))
}

/// A command that ends with this process.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn start(command: &[String], [left, right]: [&Namespace; 2]) -> Result<Option<Running>, Box<dyn Error>> {
    let Some((program, arguments)) = command.split_first() else {
        println!("namespaces {} and {} are up; end with SIGINT", left.name(), right.name());
        return Ok(None);
    };
    let mut command = Command::new(program);
    command.args(arguments).env("NETSIM_LEFT", left.name()).env("NETSIM_RIGHT", right.name());
    Ok(Some(Running(command.spawn().map_err(|error| format!("{program}: {error}"))?)))
}

fn report(from: &str, to: &str, (counters, done): (LinkCounters, Done)) {
    let drops = counters.drops;
    println!(
        "{from} -> {to}: {} offered, {} delivered ({}), {} lost, {} queue full, {} too large, {} blocked, {} refused",
        counters.offered,
        counters.delivered,
        counters.delivered_size,
        drops[DropReason::Lost],
        drops[DropReason::QueueFull],
        drops[DropReason::Mtu],
        done.blocked,
        done.refused,
    );
}
