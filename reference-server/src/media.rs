//! The media threads: one for each core, each with its own engine and socket.

mod counters;
mod messages;
mod outgoing;
mod patience;
mod sleeper;
mod socket;
mod worker;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use plenary_sfu_core::RoomConfig;
use plenary_transport::Certificate;
use tokio::sync::mpsc;

use crate::meeting::{Command, Rules};
use crate::options::Place;

pub(crate) use counters::{Counters, REASONS};
use sleeper::Waker;
use socket::Socket;
use worker::Worker;

/// Commands that wait for one media thread, of some hundred bytes up to a message of a client each: who has another one
/// waits, and is not read from.
const COMMANDS_MAX: usize = 256;

/// Browsers make certificates for as long. Nobody looks at the date: a peer knows it by its fingerprint.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// All media threads. A meeting lives on one of them.
#[derive(Debug)]
pub(crate) struct Media {
    threads: Vec<MediaThread>,
    room: RoomConfig,
}

/// What the rest of the server has of a media thread.
#[derive(Debug)]
struct MediaThread {
    commands: mpsc::Sender<Command>,
    waker: Waker,
    counters: Arc<Counters>,
    told: SocketAddr,
    ended: Mutex<Option<JoinHandle<()>>>,
}

impl Media {
    /// Binds all sockets, and starts a thread for each.
    pub(crate) fn start(places: &[Place], rules: Rules) -> Result<Self, Box<dyn Error>> {
        let certificate = Certificate::generate(SystemTime::now(), CERTIFICATE_LIFETIME)?;
        let start =
            |(index, place): (usize, &Place)| MediaThread::start(index, place, certificate.clone(), rules.clone());
        Ok(Self { threads: places.iter().enumerate().map(start).collect::<Result<_, _>>()?, room: rules.room })
    }

    /// What all meetings are.
    pub(crate) const fn room(&self) -> &RoomConfig {
        &self.room
    }

    pub(crate) const fn threads(&self) -> usize {
        self.threads.len()
    }

    /// The addresses that clients are told.
    pub(crate) fn told(&self) -> Vec<SocketAddr> {
        self.threads.iter().map(|thread| thread.told).collect()
    }

    pub(crate) fn counters(&self) -> impl Iterator<Item = &Counters> {
        self.threads.iter().map(|thread| &*thread.counters)
    }

    /// Gives a thread something to do, once there is room for it.
    pub(crate) async fn send(&self, thread: usize, command: Command) {
        let thread = &self.threads[thread];
        // The thread ends with the server only.
        if thread.commands.send(command).await.is_ok() {
            thread.waker.wake();
        }
    }

    /// Whether all threads run, as they do until they are stopped.
    pub(crate) fn is_running(&self) -> bool {
        let runs = |thread: &MediaThread| {
            let ended = thread.ended.lock().expect("nothing panics under this lock");
            ended.as_ref().is_some_and(|ended| !ended.is_finished())
        };
        self.threads.iter().all(runs)
    }

    /// Ends all meetings, and waits for the threads.
    pub(crate) async fn stop(&self) {
        for index in 0..self.threads.len() {
            self.send(index, Command::Stop).await;
        }
        for thread in &self.threads {
            let ended = thread.ended.lock().expect("nothing panics under this lock").take();
            if let Some(ended) = ended {
                let _ = ended.join();
            }
        }
    }
}

impl MediaThread {
    fn start(index: usize, place: &Place, certificate: Certificate, rules: Rules) -> Result<Self, Box<dyn Error>> {
        let socket = Socket::bind(place).map_err(|error| format!("UDP {}: {error}", place.bind))?;
        let told = socket.told();
        let (commands, waiting) = mpsc::channel(COMMANDS_MAX);
        let counters = Arc::new(Counters::default());
        let (worker, waker) = Worker::new(socket, (certificate, rules), waiting, Arc::clone(&counters))?;
        let thread = std::thread::Builder::new().name(format!("media {index}"));
        let ended =
            thread.spawn(move || worker.run()).map_err(|error: io::Error| format!("thread {index}: {error}"))?;
        Ok(Self { commands, waker, counters, told, ended: Mutex::new(Some(ended)) })
    }
}
