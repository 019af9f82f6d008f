use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use plenary_wire::{DataSize, Ecn};

use super::packet::PacketKey;
use super::{LinkId, Network};
use crate::{DropReason, Probability, Protocol};

/// What became of one packet on a link. Written with [`Display`](fmt::Display) it is a line of CSV, without the end of
/// the line; [`CSV_HEADER`](Self::CSV_HEADER) names the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRecord {
    /// When it arrived at the far end, or was dropped.
    pub at: Duration,
    /// When it came to the link.
    pub sent: Duration,
    /// How long it waited in the queue, until the transmitter began with it or it was dropped.
    pub waited: Duration,
    /// Its size, with headers.
    pub size: DataSize,
    /// What it is of: its protocol and addresses, as they are on this link.
    pub protocol: Protocol,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it goes to.
    pub destination: SocketAddr,
    /// Its ECN bits, after the queue.
    pub ecn: Ecn,
    /// Why it did not arrive.
    pub dropped: Option<DropReason>,
}

impl LinkRecord {
    /// The columns. Times are in seconds with nine decimals.
    pub const CSV_HEADER: &str = "at,sent,queue_delay,size,protocol,source,destination,ecn,dropped";
}

impl fmt::Display for LinkRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for time in [self.at, self.sent, self.waited] {
            write!(f, "{}.{:09},", time.as_secs(), time.subsec_nanos())?;
        }
        let protocol = match self.protocol {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
        };
        let ecn = match self.ecn {
            Ecn::NotEct => "not-ect",
            Ecn::Ect1 => "ect1",
            Ecn::Ect0 => "ect0",
            Ecn::Ce => "ce",
        };
        write!(f, "{},{protocol},{},{},{ecn},", self.size.as_bytes(), self.source, self.destination)?;
        self.dropped.map_or(Ok(()), |reason| write!(f, "{reason}"))
    }
}

/// What became of the packets of a link, in the order in which they arrived or were dropped. Copies that the link made
/// are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkLog {
    /// One of each packet.
    pub records: Vec<LinkRecord>,
    /// How many more there would be if the log had room.
    pub missed: u64,
    records_max: usize,
}

impl LinkLog {
    /// The queue delay that this part of the packets did not exceed, of those that were put on the wire (by nearest
    /// rank); `None` if there were none.
    pub fn queue_delay(&self, quantile: Probability) -> Option<Duration> {
        let on_wire = |record: &&LinkRecord| matches!(record.dropped, None | Some(DropReason::Lost));
        let mut delays: Vec<_> = self.records.iter().filter(on_wire).map(|record| record.waited).collect();
        let rank = (delays.len() as u64 * u64::from(quantile.as_ppm())).div_ceil(1_000_000).max(1);
        let index = usize::try_from(rank - 1).ok().filter(|index| *index < delays.len())?;
        Some(*delays.select_nth_unstable(index).1)
    }

    fn add(&mut self, record: LinkRecord) {
        if self.records.len() < self.records_max {
            self.records.push(record);
        } else {
            self.missed += 1;
        }
    }
}

impl Network {
    /// Logs what becomes of each packet of a link from now on, up to this many; a record is 136 bytes or less.
    pub fn log_link(&mut self, link: LinkId, records_max: usize) {
        self.link_logs[link.0 as usize] = Some(LinkLog { records_max, ..LinkLog::default() });
    }

    /// What a link has logged since this was last asked. The log goes on with as much room as at first.
    ///
    /// # Panics
    ///
    /// If the link has no log.
    pub fn take_link_log(&mut self, link: LinkId) -> LinkLog {
        let log = self.link_logs[link.0 as usize].as_mut().expect("the link was told to keep a log");
        let next = LinkLog { records_max: log.records_max, ..LinkLog::default() };
        std::mem::replace(log, next)
    }

    /// Notes what became of a packet, if the link has a log. `times` are when it was so, was sent, and for how long it
    /// had waited.
    pub(super) fn log(
        &mut self,
        link: LinkId,
        key: PacketKey,
        [at, sent, waited]: [Duration; 3],
        (ecn, dropped): (Ecn, Option<DropReason>),
    ) {
        if let Some(log) = &mut self.link_logs[link.0 as usize] {
            let packet = self.packets.get(key);
            let (source, destination, protocol) = (packet.source, packet.destination, packet.protocol());
            let size = self.packets.size(key).0;
            log.add(LinkRecord { at, sent, waited, size, protocol, source, destination, ecn, dropped });
        }
    }
}
