#![doc = include_str!("../README.md")]

mod burst;
mod failure;
mod figures;
mod fleet;
mod floor;
mod latency;
mod line;
mod lives;
mod options;
mod receiver;
mod relay;
mod strangers;

use std::process::ExitCode;

use clap::Parser;

use failure::Failure;
use options::{Mode, Options};

fn main() -> ExitCode {
    let done = match &Options::parse().mode {
        Mode::Relay(options) => relay::run(options).map(Some),
        Mode::Latency(options) => latency::run(options).map(Some),
        Mode::Strangers(options) => strangers::run(options).map(Some),
        Mode::Idle(options) => lives::idle(options).map(Some),
        Mode::Churn(options) => lives::churn(options).map(Some),
        Mode::Floor { kind } => floor::run(*kind).map(|()| None),
    };
    match done {
        Ok(told) => {
            if let Some(told) = told {
                println!("{told}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("plenary-turn-load: {error}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Failure>;
