use std::fmt::Write as _;
use std::time::Duration;

use plenary_bwe::{Cause, Purpose, Rates};
use plenary_netsim::RtpRecord;
use plenary_wire::Bitrate;

use crate::media::{IP_UDP_HEADERS, RTP_HEADER};
use crate::sender::Departure;

/// Every packet and every decision of a run.
#[derive(Clone, Debug, Default)]
pub struct Details {
    pub(crate) packets: Vec<PacketSeen>,
    pub(crate) decisions: Vec<Decision>,
}

/// What became of a packet of media.
#[derive(Clone, Debug)]
pub(crate) struct PacketSeen {
    pub(crate) flow: usize,
    pub(crate) departure: Departure,
    /// When it was so.
    pub(crate) at: Duration,
    /// In queues.
    pub(crate) waited: Duration,
    pub(crate) is_marked: bool,
    pub(crate) is_lost: bool,
}

/// Rates of a controller that are others than before.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) at: Duration,
    pub(crate) flow: usize,
    pub(crate) rates: Rates,
    pub(crate) cause: Cause,
}

impl Details {
    /// A line for each packet, in the order in which they arrived or were lost: times in microseconds since the start, sizes
    /// with all headers.
    #[must_use]
    pub fn packets_csv(&self) -> String {
        let mut out = "flow,number,purpose,bytes,captured_us,sent_us,arrived_us,lost_us,queue_us,marked\n".to_owned();
        for seen in &self.packets {
            let Departure { number, purpose, size, captured, sent, .. } = seen.departure;
            let purpose = name_of(purpose);
            let (captured, sent, at) = (captured.as_micros(), sent.as_micros(), seen.at.as_micros());
            let (arrived, lost) = if seen.is_lost { (None, Some(at)) } else { (Some(at), None) };
            let [arrived, lost] = [arrived, lost].map(|time| time.map_or_else(String::new, |time| time.to_string()));
            let (flow, size, waited) = (seen.flow, size.as_bytes(), seen.waited.as_micros());
            let marked = u8::from(seen.is_marked);
            let _ =
                writeln!(out, "{flow},{number},{purpose},{size},{captured},{sent},{arrived},{lost},{waited},{marked}");
        }
        out
    }

    /// The common log of RFC 8868 §3.1 of what was sent, or of what was received. SSRCs are made up, so that flows differ.
    #[must_use]
    pub fn rtp_log(&self, is_received: bool) -> String {
        let mut records: Vec<_> = self.packets.iter().filter(|seen| !(is_received && seen.is_lost)).collect();
        if !is_received {
            records.sort_by_key(|seen| (seen.departure.sent, seen.flow, seen.departure.number));
        }
        let mut out = String::new();
        for seen in records {
            let _ = writeln!(out, "{}", rtp_record(seen, is_received));
        }
        out
    }

    /// A line for each decision: rates in bit/s, the window in bytes, and why the target is what it is.
    #[must_use]
    pub fn decisions_csv(&self) -> String {
        let mut out = "at_us,flow,target,pacing,padding,window,cause\n".to_owned();
        for Decision { at, flow, rates, cause } in &self.decisions {
            let [target, pacing, padding] = [rates.target, rates.pacing, rates.padding].map(Bitrate::as_bps);
            let window = rates.window.map_or_else(String::new, |window| window.as_bytes().to_string());
            let cause = format!("{cause:?}").to_lowercase();
            let _ = writeln!(out, "{},{flow},{target},{pacing},{padding},{window},{cause}", at.as_micros());
        }
        out
    }
}

fn rtp_record(seen: &PacketSeen, is_received: bool) -> RtpRecord {
    let Departure { rtp: (ssrc, seq), size, purpose, sent, captured, ends_frame, .. } = seen.departure;
    let (payload_type, clock) = match purpose {
        Purpose::Audio => (111, 48_000),
        Purpose::Video => (96, 90_000),
        Purpose::Retransmission | Purpose::Padding => (97, 90_000),
    };
    RtpRecord {
        at: if is_received { seen.at } else { sent },
        payload_type,
        ssrc: 16 * (1 + seen.flow as u32) + ssrc.0,
        sequence: seq.0,
        timestamp: (captured.as_nanos() * clock / 1_000_000_000) as u32,
        marker: ends_frame,
        size: (size.as_bytes() as usize).saturating_sub(RTP_HEADER + IP_UDP_HEADERS),
    }
}

pub(crate) const fn name_of(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Audio => "audio",
        Purpose::Retransmission => "retransmission",
        Purpose::Video => "video",
        Purpose::Padding => "padding",
    }
}

#[cfg(test)]
mod tests {
    use crate::{Entrant, cases, run_in_detail};

    #[test]
    fn each_packet_has_its_end_and_each_decision_its_cause() {
        let oracle = crate::ALGORITHMS.iter().find(|one| one.name == "oracle").unwrap();
        let case = cases().into_iter().find(|case| case.name == "8868-loss-10").unwrap();
        let record = run_in_detail(&case, &Entrant::BuiltIn(*oracle), 1).unwrap();
        let details = record.details.as_ref().unwrap();
        let (packets, decisions) = (details.packets_csv(), details.decisions_csv());
        let sent: u32 = record.flows[0].bins.iter().map(|bin| bin.packets_sent).sum();
        let lost: u32 = record.flows[0].bins.iter().map(|bin| bin.packets_lost).sum();
        let lines: Vec<Vec<_>> = packets.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len() as u32, sent);
        assert_eq!(lines.iter().filter(|line| line[6].is_empty()).count() as u32, lost);
        assert!(lines.iter().all(|line| line.len() == 10 && line[6].is_empty() != line[7].is_empty()));
        let (sent_log, received_log) = (details.rtp_log(false), details.rtp_log(true));
        assert_eq!((sent_log.lines().count() as u32, received_log.lines().count() as u32), (sent, sent - lost));
        assert_eq!(sent_log.lines().next(), Some("0.000000 111 11 0 0 0 50"));
        assert_eq!(decisions.lines().nth(1), Some("0,0,952380,1000000,0,,start"));
    }
}
