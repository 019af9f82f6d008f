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
use std::time::Duration;

use clap::Parser;

use control::{Control, Limits};
use media::Media;
use options::Options;
use turn::Turn;

/// How often it is looked at whether all threads run.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
        for (by, listeners) in [("TLS", turn.relay().listeners_tls()), ("DTLS", turn.relay().listeners_dtls())] {
            if !listeners.is_empty() {
                println!("TURN at {by} {}", list(listeners));
            }
        }
    }
    println!("end with Ctrl-C");
    let control = Arc::new(Control::new(Arc::clone(&media), turn.clone(), Limits::default()));
    tokio::select! {
        () = control::serve(listener, control) => {}
        signal = tokio::signal::ctrl_c() => signal?,
        // Those who were on it are not served any more: whoever started this is to start it anew.
        () = fallen(&media, turn.as_deref()) => return Err("a thread has panicked".into()),
    }
    media.stop().await;
    // Goodbyes went through it.
    if let Some(turn) = turn {
        turn.relay().stop();
    }
    Ok(())
}

/// Waits for a thread that has ended by itself.
async fn fallen(media: &Media, turn: Option<&Turn>) {
    while media.is_running() && turn.is_none_or(|turn| turn.relay().is_running()) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn start_turn(options: &Options, media: &Media) -> Result<Option<Turn>, Box<dyn Error>> {
    let Some(config) = options.turn()? else { return Ok(None) };
    Ok(Some(Turn::start(config, options.turn_name.as_deref(), media.told())?))
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}
