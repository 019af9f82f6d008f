//! Clients that come by TCP or TLS.

use std::time::Instant;

use plenary_wire::{Ecn, FlowId};

use crate::event::{Event, Released};
use crate::handled::Handled;
use crate::quota::counted;
use crate::server::{Flow, Server, Source, Timer};
use crate::{DropReason, Error, FiveTuple};

/// Bytes of a message of a client that has no allocation: any that is meant has less, with the longest names.
const STRANGER_MESSAGE_MAX: usize = 2048;

/// What became of the first message in a piece of a stream.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is not used must be given again, with what comes after it"]
pub struct Streamed<'d> {
    /// How many of the bytes were used. The others are the caller's to keep: they are given again, with what comes after
    /// them if it was 0.
    pub used: usize,
    /// What became of the message; `Consumed` if it is not whole yet.
    pub handled: Handled<'d>,
}

/// What a client's connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carries {
    /// Bytes in their order: TCP, or TLS that the caller decrypts.
    Stream,
    /// Datagrams: DTLS that the caller decrypts.
    Datagrams,
}

/// A client's connection.
pub(crate) struct Stream {
    pub(crate) tuple: FiveTuple,
    pub(crate) carries: Carries,
    /// When it is closed, unless it has an allocation by then.
    pub(crate) deadline: Instant,
}

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// A message of so many bytes, and so many with its padding.
    Whole(usize, usize),
    /// It is not all there. It has so many bytes, as far as that is known.
    Part(usize),
    /// No message of TURN: where the next begins can't be known.
    Lost,
}

fn next(bytes: &[u8]) -> Next {
    let (length, all) = match *bytes {
        [0x40..=0x4f, _, l1, l2, ..] => {
            let length = 4 + usize::from(u16::from_be_bytes([l1, l2]));
            (length, length.next_multiple_of(4)) // RFC 8656 §12.5
        }
        [0..=3, _, l1, l2, ..] if l2.is_multiple_of(4) => {
            let length = 20 + usize::from(u16::from_be_bytes([l1, l2]));
            (length, length)
        }
        [0..=3 | 0x40..=0x4f] | [0..=3 | 0x40..=0x4f, _] | [0..=3 | 0x40..=0x4f, _, _] => return Next::Part(4),
        [] => return Next::Part(0),
        _ => return Next::Lost,
    };
    if bytes[0] <= 3 && !bytes[4..].iter().zip([0x21, 0x12, 0xa4, 0x42]).all(|(byte, cookie)| *byte == cookie) {
        return Next::Lost;
    }
    if bytes.len() < all { Next::Part(all) } else { Next::Whole(length, all) }
}

impl Server {
    /// A client has connected, by TCP, or by TLS or DTLS (RFC 7443: by ALPN `stun.turn`). The flow is its own.
    ///
    /// It is closed, by [`Event::Close`], if it has no allocation for `Config::idle_connection`.
    ///
    /// # Errors
    ///
    /// The flow is in use, or there are `Config::flows_max` in all or `Config::connections_per_address_max` of the address:
    /// close it.
    pub fn handle_accepted(&mut self, tuple: FiveTuple, carries: Carries, now: Instant) -> Result<(), Error> {
        let flow = tuple.flow;
        self.check_flow(flow)?;
        let ip = counted(tuple.remote.ip());
        if self.connected.get(&ip) >= self.config.connections_per_address_max {
            return Err(Error::Flows);
        }
        self.connected.add(ip);
        let deadline = now + self.config.idle_connection;
        self.flows.insert(flow, Flow::Stream);
        self.streams.insert(flow, Stream { tuple, carries, deadline });
        self.timers.add(deadline, Timer::Stream(flow));
        Ok(())
    }

    /// Takes the first message in what a client's connection has brought. Call again with the rest, until nothing is used.
    ///
    /// What is not used has less than 2 kB for a client without an allocation, and less than 65,556 bytes else. What is
    /// relayed to a client that does not read piles up at the caller's: drop what does not fit, as UDP would.
    pub fn handle_stream<'d>(&mut self, flow: FlowId, bytes: &'d [u8], now: Instant) -> Streamed<'d> {
        let Some(stream) = self.streams.get(&flow).filter(|stream| stream.carries == Carries::Stream) else {
            let handled = self.handled(Err(DropReason::UnknownFlow));
            return Streamed { used: bytes.len(), handled };
        };
        let tuple = stream.tuple;
        let size_max = match self.allocations.of_client(&tuple) {
            Some(_) => usize::MAX,
            None => STRANGER_MESSAGE_MAX,
        };
        match next(bytes) {
            Next::Part(size) if size <= size_max => Streamed { used: 0, handled: Handled::Consumed },
            Next::Whole(length, all) if all <= size_max => {
                let source = Source { tuple, via: Some(Carries::Stream), ecn: Ecn::NotEct };
                let done = self.handle_client(&bytes[..length], source, now);
                Streamed { used: all, handled: self.handled(done) }
            }
            lost => {
                self.end_stream(flow, Released::ConnectionClosed);
                self.events.push_back(Event::Close { flow });
                let reason = if lost == Next::Lost { DropReason::NotTurn } else { DropReason::Malformed };
                Streamed { used: bytes.len(), handled: self.handled(Err(reason)) }
            }
        }
    }

    /// A connection is closed, by the other side or by a failure: half of it is enough. A client's allocation is no more, unless
    /// it has a ticket (RFC 8016) and may be taken up from elsewhere.
    pub fn handle_closed(&mut self, flow: FlowId) {
        match self.flows.get(&flow) {
            Some(Flow::Stream) => self.end_stream(flow, Released::ConnectionClosed),
            Some(&(Flow::Peer(id) | Flow::Joined(id))) => self.connection_closed(id, flow),
            _ => {}
        }
    }

    pub(crate) fn end_stream(&mut self, flow: FlowId, reason: Released) {
        let Some(stream) = self.take_stream(flow) else { return };
        self.flows.remove(&flow);
        self.outbox.forget(flow);
        if let Some(key) = self.allocations.of_client(&stream.tuple) {
            self.leave(key, &stream.tuple, reason);
        }
    }

    /// Takes a connection out of the table: it is closed, or is not the server's to read any more.
    pub(crate) fn take_stream(&mut self, flow: FlowId) -> Option<Stream> {
        let stream = self.streams.remove(&flow)?;
        self.connected.take(&counted(stream.tuple.remote.ip()));
        self.timers.remove(stream.deadline, Timer::Stream(flow));
        Some(stream)
    }

    pub(crate) fn stream_is_due(&mut self, flow: FlowId, now: Instant) {
        let Some(stream) = self.streams.get_mut(&flow) else { return };
        match self.allocations.of_client(&stream.tuple) {
            Some(key) => {
                let expires = self.allocations[key].expires;
                stream.deadline = expires.max(now) + self.config.idle_connection;
                self.timers.add(stream.deadline, Timer::Stream(flow));
            }
            None => {
                self.end_stream(flow, Released::Expired);
                self.events.push_back(Event::Close { flow });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_from_a_stream() {
        let stun = [0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0];
        assert_eq!(next(&[]), Next::Part(0));
        for length in 1..stun.len() {
            assert_eq!(next(&stun[..length]), Next::Part(if length < 4 { 4 } else { 24 }), "{length}");
        }
        assert_eq!(next(&[&stun[..], &[9, 9]].concat()), Next::Whole(24, 24));
        let channel = [0x40, 1, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
        for length in 4..channel.len() {
            assert_eq!(next(&channel[..length]), Next::Part(12), "not without its padding");
        }
        assert_eq!(next(&channel), Next::Whole(9, 12));
        assert_eq!(next(&[0x40, 1, 0, 0]), Next::Whole(4, 4));
        for lost in [&[0x16, 3, 1][..], &[0x50, 0, 0, 0], &[0, 1, 0, 3], &[0, 1, 0, 0, 0x21, 0x13], b"POST / HTTP/1.1"]
        {
            assert_eq!(next(lost), Next::Lost, "{lost:?}");
        }
    }
}
