#![doc = include_str!("../README.md")]

mod call;
mod chance;
mod client;
mod description;
mod failure;
mod floor;
mod options;
mod reception;
mod runs;
mod signaling;
mod source;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use options::{Mode, Options};

fn main() -> ExitCode {
    let done = match &Options::parse().mode {
        Mode::Call(options) => call(options),
        Mode::Floor(options) => floor::run(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plenary-load: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn call(options: &options::Call) -> Result<(), Box<dyn Error>> {
    call::run(options).await
}
