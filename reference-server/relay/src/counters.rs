//! What a thread counts. It alone writes; anybody may read.

use std::array;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use plenary_turn::{DropReason, Server};

use crate::ways::Tally;

/// Codes of errors that are counted one by one.
const CODES: [u16; 16] = [300, 400, 401, 403, 405, 420, 437, 438, 440, 441, 442, 443, 446, 447, 486, 508];

/// A figure: its name behind `plenary_turn_`, its kind, and what it is.
const FIGURES: [(&str, &str, &str); FIGURES_COUNT] = [
    ("allocations", "gauge", "Allocations"),
    ("allocations_total", "counter", "Allocations that came to be"),
    ("requests_succeeded_total", "counter", "Requests that were answered with success"),
    ("to_peers_datagrams_total", "counter", "Datagrams that went from clients to peers"),
    ("to_peers_bytes_total", "counter", "Their bytes"),
    ("to_clients_datagrams_total", "counter", "Datagrams that went from peers to clients"),
    ("to_clients_bytes_total", "counter", "Their bytes"),
    ("sent_datagrams_total", "counter", "Datagrams and messages that the kernel took, or that wait for their client"),
    ("send_calls_total", "counter", "System calls that took the datagrams"),
    ("refused_datagrams_total", "counter", "Datagrams that the kernel refused"),
    ("blocked_datagrams_total", "counter", "Datagrams for which there was no room in a socket"),
    ("unread_messages_total", "counter", "Messages for clients by TCP or TLS that do not read"),
    ("nowhere_datagrams_total", "counter", "Datagrams to an address of this host where no relay is"),
    ("receive_errors_total", "counter", "Receptions that failed, and what port 0 has sent"),
    ("accept_errors_total", "counter", "Connections that could not be taken"),
    ("tls_errors_total", "counter", "Connections and associations that ended because TLS or DTLS could not be spoken"),
    ("dtls_dropped_total", "counter", "Datagrams of which DTLS could make nothing"),
    ("bind_errors_total", "counter", "Sockets of relays that could not be bound"),
    ("saturation", "gauge", "The largest share of time, ports and allocations that is in use, in thousandths"),
    ("admits", "gauge", "Whether new allocations are made"),
];

const FIGURES_COUNT: usize = 20;

/// Figures of one thread.
#[derive(Debug)]
pub(crate) struct Counters {
    figures: [AtomicU64; FIGURES_COUNT],
    dropped: [AtomicU64; DropReason::COUNT],
    refused: [AtomicU64; CODES.len()],
}

/// What a thread knows beside its server and its sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Events {
    pub(crate) receive_errors: u64,
    pub(crate) accept_errors: u64,
    pub(crate) tls_errors: u64,
    pub(crate) dtls_dropped: u64,
    pub(crate) bind_errors: u64,
    pub(crate) saturation: u64,
    pub(crate) admits: bool,
}

impl Default for Counters {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            figures: array::from_fn(|_| zero()),
            dropped: array::from_fn(|_| zero()),
            refused: array::from_fn(|_| zero()),
        }
    }
}

impl Counters {
    pub(crate) fn note(&self, server: &Server, tally: &Tally, events: &Events) {
        let all = server.counters();
        let figures: [u64; FIGURES_COUNT] = [
            server.allocations() as u64,
            all.allocated,
            all.succeeded,
            all.to_peers,
            all.to_peers_bytes,
            all.to_clients,
            all.to_clients_bytes,
            tally.sent.datagrams,
            tally.sent.calls,
            tally.sent.refused,
            tally.sent.blocked,
            tally.unread,
            tally.nowhere,
            events.receive_errors,
            events.accept_errors,
            events.tls_errors,
            events.dtls_dropped,
            events.bind_errors,
            events.saturation,
            events.admits.into(),
        ];
        store(&self.figures, figures);
        store(&self.dropped, DropReason::ALL.map(|reason| server.dropped(reason)));
        store(&self.refused, CODES.map(|code| server.refused(code)));
    }

    pub(crate) fn saturation(&self) -> u64 {
        self.figures[FIGURES_COUNT - 2].load(Ordering::Relaxed)
    }

    pub(crate) fn allocations(&self) -> u64 {
        self.figures[0].load(Ordering::Relaxed)
    }
}

fn store<const N: usize>(counters: &[AtomicU64; N], values: [u64; N]) {
    counters.iter().zip(values).for_each(|(counter, value)| counter.store(value, Ordering::Relaxed));
}

/// All of it, in the text format of Prometheus.
pub(crate) fn text<'c>(threads: impl Iterator<Item = &'c Counters> + Clone) -> String {
    let mut text = String::new();
    for (at, (name, kind, help)) in FIGURES.into_iter().enumerate() {
        head(&mut text, name, kind, help);
        for (thread, counters) in threads.clone().enumerate() {
            line(&mut text, name, &format!("thread=\"{thread}\""), &counters.figures[at]);
        }
    }
    head(&mut text, "dropped_total", "counter", "Datagrams and messages that were dropped, by reason");
    for (thread, counters) in threads.clone().enumerate() {
        for (reason, counter) in DropReason::ALL.into_iter().zip(&counters.dropped) {
            let labels = format!("thread=\"{thread}\",reason=\"{}\"", hyphenated(&format!("{reason:?}")));
            line(&mut text, "dropped_total", &labels, counter);
        }
    }
    head(&mut text, "refused_total", "counter", "Requests that were refused, by the code of the error");
    for (thread, counters) in threads.enumerate() {
        for (code, counter) in CODES.into_iter().zip(&counters.refused) {
            line(&mut text, "refused_total", &format!("thread=\"{thread}\",code=\"{code}\""), counter);
        }
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP plenary_turn_{name} {help}\n# TYPE plenary_turn_{name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, counter: &AtomicU64) {
    let _ = writeln!(text, "plenary_turn_{name}{{{labels}}} {}", counter.load(Ordering::Relaxed));
}

/// `NoChannel` as `no-channel`.
fn hyphenated(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_has_its_line() {
        let counters = [Counters::default(), Counters::default()];
        counters[1].figures[3].store(7, Ordering::Relaxed);
        counters[0].dropped[DropReason::NoChannel as usize].store(5, Ordering::Relaxed);
        counters[1].refused[2].store(9, Ordering::Relaxed);
        let text = text(counters.iter());
        for line in [
            "plenary_turn_to_peers_datagrams_total{thread=\"1\"} 7",
            "plenary_turn_dropped_total{thread=\"0\",reason=\"no-channel\"} 5",
            "plenary_turn_refused_total{thread=\"1\",code=\"401\"} 9",
            "# TYPE plenary_turn_saturation gauge",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }
}
