//! A meeting under load: who is in it, when it is measured, and what came of it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use plenary_rtp::NtpTime;
use plenary_stream::NtpClock;
use plenary_transport::Certificate;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Client, Part, Setting};
use crate::failure::Failure;
use crate::options;
use crate::reception::Figures;
use crate::signaling::create_meeting;

/// Clients that are on their way into the meeting at one time.
const ENTERING_MAX: usize = 8;

/// How long all of them may take.
const ENTER_WITHIN: Duration = Duration::from_secs(60);

/// How long the clients stay after the end, so that who reads the server's figures then has none of their leaving.
const LINGER: Duration = Duration::from_secs(1);

const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(86_400);

struct Member {
    figures: Arc<Figures>,
    connected: Arc<AtomicBool>,
    publishes: bool,
}

/// What all members had sent and received at one time.
struct Moment {
    at: Instant,
    sent: u64,
    received: Vec<u64>,
    lost: i64,
}

/// Says `{"phase":"start"}` and `{"phase":"end",…}` on standard output, and ends a second later.
pub(crate) async fn run(options: &options::Call) -> Result<(), Box<dyn Error>> {
    let now = Instant::now();
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let setting = Arc::new(Setting {
        server: options.server,
        meeting: create_meeting(options.server).await?,
        certificate: Certificate::generate(SystemTime::now(), CERTIFICATE_LIFETIME)?,
        start: now,
        clock: NtpClock::new(now, NtpTime::from_unix(unix)),
    });
    let mut tasks = JoinSet::new();
    let members = enter(options, &setting, &mut tasks);
    until_all_receive(&members, &mut tasks).await?;
    sleep(Duration::from_secs(options.warmup)).await;
    members.iter().for_each(|it| it.figures.latencies.lock().expect("nothing panics under this lock").clear());
    let start = Moment::now(&members);
    println!("{}", json!({ "phase": "start" }));
    sleep(Duration::from_secs(options.seconds)).await;
    let end = Moment::now(&members);
    println!("{}", report(&start, &end, &members));
    sleep(LINGER).await;
    if let Some(failed) = tasks.try_join_next() {
        failed??;
    }
    Ok(())
}

fn enter(options: &options::Call, setting: &Arc<Setting>, tasks: &mut JoinSet<Result<(), Failure>>) -> Vec<Member> {
    let entering = Arc::new(Semaphore::new(ENTERING_MAX));
    let mut members = Vec::new();
    for number in 0..options.publishers + options.subscribers {
        let publishes = number < options.publishers;
        let (figures, connected) = (Arc::new(Figures::default()), Arc::new(AtomicBool::new(false)));
        members.push(Member { figures: Arc::clone(&figures), connected: Arc::clone(&connected), publishes });
        let light = options.light && number > options.publishers;
        let part = Part { media: publishes.then_some(options.media), light, figures, connected };
        let (setting, entering) = (Arc::clone(setting), Arc::clone(&entering));
        tasks.spawn(async move {
            let permit = entering.acquire_owned().await.expect("it is never closed");
            Client::run(setting, part, permit).await
        });
    }
    members
}

async fn until_all_receive(members: &[Member], tasks: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        if let Some(ended) = tasks.try_join_next() {
            ended??;
        }
        let connected = members.iter().filter(|it| it.connected.load(Ordering::Relaxed)).count();
        let receives = |it: &&Member| it.publishes || it.figures.received.load(Ordering::Relaxed) > 0;
        let receiving = members.iter().filter(receives).count();
        if connected == members.len() && receiving == members.len() {
            return Ok(());
        }
        if start.elapsed() > ENTER_WITHIN {
            let seconds = ENTER_WITHIN.as_secs();
            return Err(Failure::Slow { connected, receiving, clients: members.len(), seconds });
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Moment {
    fn now(members: &[Member]) -> Self {
        let figures = || members.iter().map(|it| &it.figures);
        Self {
            at: Instant::now(),
            sent: figures().map(|it| it.sent.load(Ordering::Relaxed)).sum(),
            received: figures().map(|it| it.received.load(Ordering::Relaxed)).collect(),
            lost: figures().map(|it| it.lost.load(Ordering::Relaxed)).sum(),
        }
    }
}

fn report(start: &Moment, end: &Moment, members: &[Member]) -> Value {
    let received = end.received.iter().zip(&start.received).map(|(end, start)| end - start);
    let received: Vec<_> = received.zip(members).filter(|(_, it)| !it.publishes).map(|(count, _)| count).collect();
    let latencies = members.iter().map(|it| it.figures.latencies.lock().expect("nothing panics under this lock"));
    let mut latencies: Vec<u32> = latencies.flat_map(|it| it.clone()).collect();
    latencies.sort_unstable();
    let latencies = [50, 90, 99].map(|percent| percentile(&latencies, percent));
    json!({
        "phase": "end",
        "seconds": (end.at - start.at).as_secs_f64(),
        "sent": end.sent - start.sent,
        "received": received.iter().sum::<u64>(),
        "received_min": received.iter().min(),
        "received_max": received.iter().max(),
        "lost": end.lost - start.lost,
        "latency_us": latencies,
    })
}

/// `None` if there are no samples.
fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    sorted.get(sorted.len() * percent / 100).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_there_is() {
        let samples: Vec<u32> = (0..200).collect();
        assert_eq!([50, 90, 99].map(|percent| percentile(&samples, percent)), [Some(100), Some(180), Some(198)]);
        assert_eq!((percentile(&[7], 99), percentile(&[], 50)), (Some(7), None));
    }
}
