use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use plenary_netsim::{Link, LinkConfig, LinkCounters, Packet};
use plenary_wire::{DataSize, Ecn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The most time between two looks at whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// Packets read from one device before the others get their turn.
const BATCH: usize = 32;

/// One direction: from a device by a link to another.
struct Direction<'d> {
    from: &'d File,
    to: &'d File,
    link: Link<Vec<u8>>,
    blocks_udp: bool,
    done: Done,
}

/// What became of packets, beside what the link counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// The receiving device did not take them.
    pub(crate) refused: u64,
    /// They were UDP, which is blocked.
    pub(crate) blocked: u64,
}

/// What one packet is read into, and the buffers of packets that are gone.
struct Buffers {
    scratch: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

/// What each direction did.
pub(crate) type Report = [(LinkCounters, Done); 2];

/// What the two directions are like.
pub(crate) struct Links {
    pub(crate) both: [LinkConfig; 2],
    pub(crate) blocks_udp: bool,
    pub(crate) seed: u64,
}

/// Carries packets between two devices, in real time, until `stop` says so.
pub(crate) fn run([left, right]: [&File; 2], links: Links, mut stop: impl FnMut() -> bool) -> io::Result<Report> {
    let start = Instant::now();
    let mut buffers = Buffers { scratch: vec![0; 65_536], spare: Vec::new() };
    let Links { both: [forward, back], blocks_udp, seed } = links;
    let mut directions = [(left, right, forward, 0), (right, left, back, 1)].map(|(from, to, config, stream)| {
        let link = Link::new(config, seed, stream);
        Direction { from, to, link, blocks_udp, done: Done::default() }
    });
    while !stop() {
        wait(&directions, start)?;
        for direction in &mut directions {
            direction.take_in(&mut buffers, start)?;
            direction.give_out(&mut buffers.spare, start);
        }
    }
    Ok(directions.map(|direction| (*direction.link.counters(), direction.done)))
}

/// Sleeps until a packet can be read, or is due on a link.
fn wait(directions: &[Direction<'_>; 2], start: Instant) -> io::Result<()> {
    let due = directions.iter().filter_map(|direction| direction.link.poll_timeout()).min();
    let time = due.map_or(PATIENCE, |due| due.saturating_sub(start.elapsed()).min(PATIENCE));
    let timeout = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
    let mut devices = directions.each_ref().map(|direction| PollFd::new(direction.from, PollFlags::IN));
    match poll(&mut devices, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Direction<'_> {
    fn take_in(&mut self, buffers: &mut Buffers, start: Instant) -> io::Result<()> {
        for _ in 0..BATCH {
            let length = match self.from.read(&mut buffers.scratch) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
                Err(error) => return Err(error),
            };
            if self.blocks_udp && is_udp(&buffers.scratch[..length]) {
                self.done.blocked += 1;
                continue;
            }
            let mut bytes = buffers.spare.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(&buffers.scratch[..length]);
            let size = DataSize::from_bytes(bytes.len() as u64);
            let packet = Packet { size, ecn: ecn(&bytes), payload: bytes };
            if let Err((_, packet)) = self.link.send(packet, start.elapsed()) {
                buffers.spare.push(packet.payload);
            }
        }
        Ok(())
    }

    fn give_out(&mut self, spare: &mut Vec<Vec<u8>>, start: Instant) {
        while let Some(arrival) = self.link.poll_arrival(start.elapsed()) {
            // A device that is down or full loses the packet, as a host without room does.
            self.done.refused += u64::from(self.to.write(&arrival.packet.payload).is_err());
            spare.push(arrival.packet.payload);
        }
        while let Some(dropped) = self.link.poll_dropped() {
            spare.push(dropped.packet.payload);
        }
    }
}

/// The ECN bits of an IP packet: in the second byte of IPv4, across the first two of IPv6.
fn ecn(packet: &[u8]) -> Ecn {
    match *packet {
        [first, second, ..] if first >> 4 == 4 => Ecn::from_bits(second),
        [first, second, ..] if first >> 4 == 6 => Ecn::from_bits(second >> 4),
        _ => Ecn::NotEct,
    }
}

/// Whether an IP packet holds UDP, or a part of it: by the protocol of IPv4, or the first header behind that of IPv6.
fn is_udp(packet: &[u8]) -> bool {
    const UDP: Option<&u8> = Some(&17);
    match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(9) == UDP,
        Some(6) => packet.get(6) == UDP,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn udp_is_told_from_others_in_both_families() {
        let packet = |first: u8, at: usize, protocol: u8| {
            let mut packet = [0; 40];
            (packet[0], packet[at]) = (first, protocol);
            packet
        };
        assert!(is_udp(&packet(0x45, 9, 17)) && is_udp(&packet(0x60, 6, 17)));
        assert!(!is_udp(&packet(0x45, 9, 6)) && !is_udp(&packet(0x60, 6, 58)) && !is_udp(&packet(0x45, 6, 17)));
        assert!(!is_udp(&[]) && !is_udp(&[0x45, 0, 0]));
    }

    #[test]
    fn ecn_is_found_in_both_families() {
        assert_eq!(ecn(&[0x45, 0b1011_1001, 0]), Ecn::Ect1);
        assert_eq!(ecn(&[0x60, 0b0010_0000, 0]), Ecn::Ect0);
        assert_eq!(ecn(&[]), Ecn::NotEct);
    }
}
