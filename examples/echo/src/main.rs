#![doc = include_str!("../README.md")]

mod call;
mod capture;
mod chance;
mod description;
mod engine;
mod http;
mod media;
mod options;
mod outgoing;
mod refused;
mod rtcp;
mod socket;
mod status;
#[cfg(test)]
mod tests;
mod track;

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use engine::Engine;
use http::Shared;
use options::Options;
use socket::{Outbox, Socket};

/// The longest sleep, where no call has anything to do.
const IDLE: Duration = Duration::from_secs(3600);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plenary-echo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let socket = Socket::bind(options.udp).map_err(|error| format!("UDP {}: {error}", options.udp))?;
    let listener = TcpListener::bind(options.http).await.map_err(|error| format!("HTTP {}: {error}", options.http))?;
    let address = listener.local_addr()?;
    let udp = socket.local();
    let engine = Engine::new(options, udp, Instant::now())?;
    let shared = Shared { engine: Arc::new(Mutex::new(engine)), changed: Arc::new(Notify::new()) };
    println!("http://{address}/");
    println!("media at UDP {udp}; end with Ctrl-C");
    tokio::select! {
        ended = axum::serve(listener, http::router(shared.clone())) => ended?,
        ended = drive(socket, &shared) => ended?,
    }
    Ok(())
}

/// The loop: wait for input or for the earliest timer; take in what came; send what there is to send.
async fn drive(mut socket: Socket, Shared { engine, changed }: &Shared) -> Result<(), Box<dyn Error>> {
    let mut outbox = Outbox::new(socket.segments_max());
    let mut ended = false;
    while !ended {
        let due = engine.lock().expect("no panic under the lock").poll_timeout(Instant::now());
        let due = due.unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            ready = socket.readable() => ready?,
            () = changed.notified() => {}
            () = tokio::time::sleep_until(due.into()) => {}
            signal = tokio::signal::ctrl_c() => {
                signal?;
                ended = true;
            }
        }
        {
            let mut engine = engine.lock().expect("no panic under the lock");
            socket.receive(|datagram| engine.handle_datagram(datagram, Instant::now(), &mut outbox))?;
            engine.handle_timeout(Instant::now());
            if ended {
                engine.close(Instant::now());
            }
            engine.drain(Instant::now(), &mut outbox);
        }
        socket.send(&mut outbox).await;
    }
    println!("the kernel refused to send {} times", socket.unsent());
    Ok(())
}
