//! What the server counts of what it sends: `/metrics`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What was sent to one destination at a time by its datagrams, in how many calls, and what it came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Metrics {
    runs: BTreeMap<u64, u64>,
    calls: u64,
    datagrams: u64,
    bytes: u64,
}

impl Metrics {
    pub(crate) fn read(http: &str) -> Result<Self, String> {
        let answer = get(http).map_err(|error| format!("http://{http}/metrics: {error}"))?;
        Ok(Self::parse(&answer))
    }

    fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            match name {
                "plenary_sent_datagrams_total" => metrics.datagrams += value,
                "plenary_send_calls_total" => metrics.calls += value,
                "plenary_sent_bytes_total" => metrics.bytes += value,
                "plenary_sends_total" => {
                    let length = labels.split_once("datagrams=\"").and_then(|(_, rest)| rest.split_once('"'));
                    if let Some(length) = length.and_then(|(length, _)| length.parse().ok()) {
                        *metrics.runs.entry(length).or_default() += value;
                    }
                }
                _ => {}
            }
        }
        metrics
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        let runs = self.runs.iter().map(|(length, count)| (*length, count - before.runs.get(length).unwrap_or(&0)));
        Self {
            runs: runs.filter(|(_, count)| *count > 0).collect(),
            calls: self.calls - before.calls,
            datagrams: self.datagrams - before.datagrams,
            bytes: self.bytes - before.bytes,
        }
    }

    /// For `plenary-load floor`.
    pub(crate) fn runs(&self) -> String {
        self.runs.iter().map(|(length, count)| format!("{length}:{count}")).collect::<Vec<_>>().join(",")
    }

    /// How many single datagrams a call took, as runs have each its own: for `plenary-load floor`.
    pub(crate) fn together(&self) -> u64 {
        let singles = self.runs.get(&1).copied().unwrap_or_default();
        let runs = self.runs.values().sum::<u64>() - singles;
        let calls = self.calls.saturating_sub(runs).max(1);
        ((singles + calls / 2) / calls).clamp(1, 64)
    }

    pub(crate) fn histogram(&self) -> String {
        let sends = self.runs.values().sum::<u64>().max(1);
        let part = |(length, count): (&u64, &u64)| {
            (*count * 100 >= sends).then(|| format!("{length}: {} %", count * 100 / sends))
        };
        let parts = self.runs.iter().filter_map(part).collect::<Vec<_>>().join(", ");
        format!("sends by datagrams {parts}; {} single ones a call", self.together())
    }

    /// In the mean.
    pub(crate) fn datagram_bytes(&self) -> u64 {
        self.bytes / self.datagrams.max(1)
    }

    pub(crate) fn datagrams_per_call(&self) -> f64 {
        self.datagrams as f64 / self.calls.max(1) as f64
    }
}

fn get(http: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(http)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_added_up_and_the_time_before_is_left_out() {
        let before = Metrics::parse(
            "plenary_sends_total{thread=\"0\",datagrams=\"1\"} 5\nplenary_sent_bytes_total{thread=\"0\"} 50",
        );
        let after = Metrics::parse(
            "# HELP plenary_sends_total Calls\n\
             plenary_sends_total{thread=\"0\",datagrams=\"1\"} 5\n\
             plenary_sends_total{thread=\"0\",datagrams=\"10\"} 3\n\
             plenary_sends_total{thread=\"1\",datagrams=\"10\"} 4\n\
             plenary_sent_datagrams_total{thread=\"0\"} 35\n\
             plenary_sent_datagrams_total{thread=\"1\"} 35\n\
             plenary_send_calls_total{thread=\"0\"} 10\n\
             plenary_sent_bytes_total{thread=\"0\"} 1450\n",
        );
        let between = after.since(&before);
        assert_eq!((between.runs(), between.datagram_bytes()), ("10:7".to_owned(), 20));
        assert_eq!((between.datagrams_per_call(), between.together()), (7.0, 1));
        // Seven runs had calls of their own: the five single ones left with the other three.
        assert_eq!(after.together(), 2);
        assert_eq!(after.histogram(), "sends by datagrams 1: 41 %, 10: 58 %; 2 single ones a call");
    }
}
