//! Figures, in the text format of Prometheus.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Control;
use crate::media::{Counters, REASONS};

/// A figure of one media thread: its name, its kind, what it is, and where it is read.
type Figure = (&'static str, &'static str, &'static str, fn(&Counters) -> &AtomicU64);

const FIGURES: [Figure; 10] = [
    ("plenary_meetings", "gauge", "Meetings that somebody is in", |it| &it.meetings),
    ("plenary_sessions", "gauge", "Participants", |it| &it.sessions),
    ("plenary_received_datagrams_total", "counter", "Datagrams that came in", |it| &it.received),
    ("plenary_received_bytes_total", "counter", "Their bytes", |it| &it.received_bytes),
    ("plenary_receive_errors_total", "counter", "Receptions that failed, and what port 0 has sent", |it| {
        &it.receive_errors
    }),
    ("plenary_sent_datagrams_total", "counter", "Datagrams that the kernel took", |it| &it.sent),
    ("plenary_sent_bytes_total", "counter", "Their bytes", |it| &it.sent_bytes),
    ("plenary_send_calls_total", "counter", "System calls that took them", |it| &it.calls),
    ("plenary_refused_datagrams_total", "counter", "Datagrams that the kernel refused", |it| &it.refused),
    ("plenary_blocked_total", "counter", "How often there was no room in a socket", |it| &it.blocked),
];

pub(super) fn text(control: &Control) -> String {
    let mut text = String::new();
    for (name, kind, help, read) in FIGURES {
        head(&mut text, name, kind, help);
        for (thread, counters) in control.media.counters().enumerate() {
            line(&mut text, name, &format!("thread=\"{thread}\""), read(counters));
        }
    }
    let name = "plenary_dropped_datagrams_total";
    head(&mut text, name, "counter", "Datagrams that were dropped, by reason");
    for (thread, counters) in control.media.counters().enumerate() {
        for ((_, reason), counter) in REASONS.iter().zip(&counters.dropped) {
            line(&mut text, name, &format!("thread=\"{thread}\",reason=\"{reason}\""), counter);
        }
    }
    let name = "plenary_sends_total";
    head(&mut text, name, "counter", "What was sent to one destination at a time, by its datagrams (GSO)");
    for (thread, counters) in control.media.counters().enumerate() {
        for (segments, counter) in counters.runs.iter().enumerate().skip(1) {
            if counter.load(Ordering::Relaxed) > 0 {
                line(&mut text, name, &format!("thread=\"{thread}\",datagrams=\"{segments}\""), counter);
            }
        }
    }
    let signaling = [
        ("plenary_signaling_messages_total", "Messages of clients", &control.counters.messages),
        ("plenary_signaling_errors_total", "Errors that clients were told", &control.counters.errors),
        ("plenary_signaling_drops_total", "Connections that ended without a close", &control.counters.drops),
    ];
    for (name, help, counter) in signaling {
        head(&mut text, name, "counter", help);
        let _ = writeln!(text, "{name} {}", counter.load(Ordering::Relaxed));
    }
    if let Some(turn) = &control.turn {
        text.push_str(&turn.relay().metrics());
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, counter: &AtomicU64) {
    let _ = writeln!(text, "{name}{{{labels}}} {}", counter.load(Ordering::Relaxed));
}
