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
mod turn;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use control::{Control, Limits};
use media::Media;
use options::Options;
use turn::Turn;

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
    control::allow_files();
    let turn = start_turn(&options, &media)?.map(Arc::new);
    println!("media at UDP {}", list(&media.told()));
    if let Some(turn) = &turn {
        println!("TURN at UDP and TCP {}", list(turn.relay().listeners()));
        if !turn.relay().listeners_tls().is_empty() {
            println!("TURN at TLS {}", list(turn.relay().listeners_tls()));
        }
    }
    println!("end with Ctrl-C");
    let control = Arc::new(Control::new(Arc::clone(&media), turn.clone(), Limits::default()));
    tokio::select! {
        () = control::serve(listener, control) => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    media.stop().await;
    // Goodbyes went through it.
    if let Some(turn) = turn {
        turn.relay().stop();
    }
    Ok(())
}

fn start_turn(options: &Options, media: &Media) -> Result<Option<Turn>, Box<dyn Error>> {
    let Some(config) = options.turn()? else { return Ok(None) };
    Ok(Some(Turn::start(config, options.turn_name.as_deref(), media.told())?))
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}
