#![doc = include_str!("../README.md")]

mod chance;
mod code;
mod control;
mod media;
mod meeting;
mod options;
mod protocol;
mod rate;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use control::{Control, Limits};
use media::Media;
use options::Options;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plenary-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let media = Arc::new(Media::start(&options.places()?, options.rules()?)?);
    let listener = control::listen(options.http).map_err(|error| format!("HTTP {}: {error}", options.http))?;
    println!("http://{}/", listener.local_addr()?);
    println!("media at UDP {}; end with Ctrl-C", media.told());
    control::allow_files();
    let control = Arc::new(Control::new(Arc::clone(&media), Limits::default()));
    tokio::select! {
        () = control::serve(listener, control) => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    media.stop().await;
    Ok(())
}
