#![doc = include_str!("../README.md")]

mod options;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use clap::Parser;
use plenary_relay::Relay;
use plenary_turn::Admission;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use options::Options;

/// How often a server that is asked to end looks whether there are allocations yet.
const DRAIN_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// How often it is looked at whether all threads run.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plenary-turn-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    allow_files();
    let metrics = match options.metrics {
        Some(address) => Some(TcpListener::bind(address).await.map_err(|error| format!("metrics {address}: {error}"))?),
        None => None,
    };
    let relay = Arc::new(Relay::start(options.config()?)?);
    for address in relay.listeners() {
        println!("turn:{address}?transport=udp");
        println!("turn:{address}?transport=tcp");
    }
    for address in relay.listeners_tls() {
        println!("turns:{address}?transport=tcp");
    }
    for address in relay.listeners_dtls() {
        println!("turns:{address}?transport=udp");
    }
    if let Some(listener) = metrics {
        println!("http://{}/metrics", listener.local_addr()?);
        tokio::spawn(serve_metrics(listener, Arc::clone(&relay)));
    }
    let (mut end, mut drain) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = end.recv() => {}
        _ = drain.recv() => drained(&relay, &mut end, &mut drain).await,
        () = fallen(&relay) => return Err("a thread has panicked".into()),
    }
    relay.stop();
    Ok(())
}

/// Waits for a thread that has ended by itself.
async fn fallen(relay: &Relay) {
    while relay.is_running() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Takes no new allocations, and waits until those that there are have ended, or a second signal comes.
async fn drained(relay: &Relay, end: &mut Signal, drain: &mut Signal) {
    relay.set_admission(Admission::Closed);
    let empty = async {
        while relay.allocations() > 0 {
            tokio::time::sleep(DRAIN_EVERY).await;
        }
    };
    tokio::select! {
        () = empty => {}
        _ = end.recv() => {}
        _ = drain.recv() => {}
    }
}

async fn serve_metrics(listener: TcpListener, relay: Arc<Relay>) {
    let metrics = async move || ([("content-type", "text/plain; version=0.0.4")], relay.metrics());
    let router = Router::new().route("/metrics", get(metrics));
    if let Err(error) = axum::serve(listener, router).await {
        eprintln!("metrics: {error}");
    }
}

/// Lets the process have as many files as it is allowed: each allocation has a socket.
fn allow_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
