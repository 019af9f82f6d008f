//! ICE-TCP (RFC 6544): streams, and the framing of RFC 4571.

use std::net::SocketAddr;
use std::time::Instant;

use plenary_wire::FlowId;

use crate::agent::Agent;
use crate::candidate::{Local, LocalId, canonical};
use crate::check::Purpose;
use crate::pair::{Pair, PairId, PairState};
use crate::{Error, Event, Failure, Request, State, TcpType, Transport};

/// A connected stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) flow: FlowId,
    pub(crate) local: LocalId,
    pub(crate) local_address: SocketAddr,
    /// Since when no pair needs it.
    pub(crate) idle_since: Option<Instant>,
}

impl Agent {
    /// Answers [`Event::Connect`]: the stream's flow and local address, or `None` if the
    /// connection could not be opened. From then on its frames come by [`handle_datagram`](Self::handle_datagram).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownRequest`] if it is not wanted any more, and [`Error::Streams`] if there are too many: the caller
    /// closes the stream.
    pub fn handle_connected(
        &mut self,
        request: Request,
        stream: Option<(FlowId, SocketAddr)>,
        now: Instant,
    ) -> Result<(), Error> {
        let (number, id) = ((request.0 >> 32) as u32, PairId(request.0 as u32));
        let asked = self
            .transactions
            .iter()
            .position(|it| it.generation == number && it.purpose == Purpose::Connect { pair: id })
            .ok_or(Error::UnknownRequest)?;
        let full = self.streams.len() >= usize::from(self.config.streams_max);
        let transaction = self.transactions.remove(asked);
        let pair = self.generation_mut(number).and_then(|generation| generation.pair_mut(id));
        let pair = pair.ok_or(Error::UnknownRequest)?;
        match stream {
            Some((flow, address)) if !full => {
                pair.flow = Some(flow);
                pair.local_address = canonical(address);
                let (local, local_address) = (pair.local, pair.local_address);
                self.streams.push(Stream { flow, local, local_address, idle_since: None });
                if let Some(generation) = self.generation_mut(number) {
                    generation.trigger(id);
                }
                self.run(now);
                Ok(())
            }
            stream => {
                self.check_failed(&transaction, id, Failure::ConnectFailed);
                self.run(now);
                if stream.is_some() { Err(Error::Streams) } else { Ok(()) }
            }
        }
    }

    /// A stream was accepted at a passive candidate. The peer's check comes by it, and makes the pair; if none comes for
    /// `Config::check_timeout`, [`Event::CloseStream`] does.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownFlow`] if `local` is no passive candidate, [`Error::Streams`] if there are too many: the caller
    /// closes the stream.
    pub fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, now: Instant) -> Result<(), Error> {
        if self.state == State::Closed {
            return Err(Error::Closed);
        }
        let address = canonical(local);
        let passive = self.locals.iter().find(|it| {
            it.transport == Transport::Tcp(TcpType::Passive)
                && it.base.port() == address.port()
                && it.base.ip() == address.ip()
        });
        let local = passive.ok_or(Error::UnknownFlow)?.id;
        if self.streams.len() >= usize::from(self.config.streams_max) {
            return Err(Error::Streams);
        }
        self.streams.push(Stream { flow, local, local_address: address, idle_since: Some(now) });
        Ok(())
    }

    /// A stream has ended: its pairs with it. If the one in use was opened from here, the caller is asked for another
    /// (RFC 6544 §11.1).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownFlow`] if it is none of the agent's.
    pub fn handle_closed(&mut self, flow: FlowId, now: Instant) -> Result<(), Error> {
        let index = self.streams.iter().position(|stream| stream.flow == flow).ok_or(Error::UnknownFlow)?;
        let stream = self.streams.remove(index);
        let in_use = self.current.selected_pair().filter(|pair| pair.flow == Some(flow)).map(|pair| pair.id);
        self.end_flow(flow);
        let active = |it: &&Local| it.id == stream.local && it.transport == Transport::Tcp(TcpType::Active);
        let base = self.locals.iter().find(active).map(|local| local.base);
        if let (Some(base), Some(id)) = (base, in_use)
            && let Some(pair) = self.current.pair_mut(id)
        {
            (pair.flow, pair.local_address, pair.state) = (None, base, PairState::Waiting);
            self.current.trigger(id);
        }
        self.run(now);
        Ok(())
    }

    /// Has those streams closed that no pair needs: of strangers, of pairs that have failed, and of before a restart.
    pub(crate) fn close_idle_streams(&mut self, now: Instant) {
        if self.streams.is_empty() {
            return;
        }
        let mut streams = std::mem::take(&mut self.streams);
        streams.retain_mut(|stream| {
            let needs = |pair: &Pair| pair.flow == Some(stream.flow) && (pair.valid || pair.is_pending());
            if self.generations().any(|generation| generation.pairs.iter().any(needs)) {
                stream.idle_since = None;
                return true;
            }
            let since = *stream.idle_since.get_or_insert(now);
            let stays = now.saturating_duration_since(since) < self.config.check_timeout;
            if !stays {
                self.forget_flow(stream.flow);
                self.push_event(Event::CloseStream(stream.flow));
            }
            stays
        });
        self.streams = streams;
    }

    pub(crate) fn streams_due_at(&self) -> Option<Instant> {
        let since = self.streams.iter().filter_map(|stream| stream.idle_since).min();
        since.map(|since| since + self.config.check_timeout)
    }

    /// The agent is closed, and its streams with it.
    pub(crate) fn close_streams(&mut self) {
        for stream in std::mem::take(&mut self.streams) {
            self.push_event(Event::CloseStream(stream.flow));
        }
    }
}

/// A frame is longer than was agreed, so that the rest of the stream can't be found: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame is longer than allowed")]
pub struct FrameTooLong;

/// Takes frames from a byte stream (RFC 4571 §2): each is a datagram with 16 bits of length before it.
///
/// It holds one frame and no more, in a buffer that grows to the largest seen.
///
/// ```
/// let mut deframer = plenary_ice::Deframer::new(1500);
/// let mut bytes = &[0, 2, b'h', b'i', 0, 1][..];
/// let frame = deframer.take(&mut bytes).unwrap().unwrap();
/// assert_eq!(frame, b"hi");
/// assert_eq!(deframer.take(&mut bytes), Ok(None));
/// assert!(bytes.is_empty());
/// ```
#[derive(Debug)]
pub struct Deframer {
    frame: Vec<u8>,
    length: Option<usize>,
    first: Option<u8>,
    frame_bytes_max: usize,
    done: bool,
}

impl Deframer {
    /// `frame_bytes_max` bounds what it holds; 65,535 takes any frame.
    pub const fn new(frame_bytes_max: usize) -> Self {
        Self { frame: Vec::new(), length: None, first: None, frame_bytes_max, done: false }
    }

    /// Takes bytes from the front of `bytes` up to the end of the next frame, and answers it: `None` if more bytes are
    /// needed, and all were taken. Empty frames are passed over. Call it until it answers `None`.
    ///
    /// # Errors
    ///
    /// [`FrameTooLong`]; again, if it is called again.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Result<Option<&mut [u8]>, FrameTooLong> {
        if self.done {
            self.frame.clear();
            (self.length, self.done) = (None, false);
        }
        loop {
            let Some(length) = self.length else {
                let Some((&byte, rest)) = bytes.split_first() else { return Ok(None) };
                *bytes = rest;
                match self.first.take() {
                    None => self.first = Some(byte),
                    Some(first) => {
                        let length = usize::from(u16::from_be_bytes([first, byte]));
                        self.length = (length > 0).then_some(length);
                    }
                }
                continue;
            };
            if length > self.frame_bytes_max {
                return Err(FrameTooLong);
            }
            let (taken, rest) = bytes.split_at(bytes.len().min(length - self.frame.len()));
            self.frame.extend_from_slice(taken);
            *bytes = rest;
            if self.frame.len() < length {
                return Ok(None);
            }
            self.done = true;
            return Ok(Some(&mut self.frame));
        }
    }
}

/// Appends a datagram as a frame (RFC 4571 §2).
///
/// # Errors
///
/// [`FrameTooLong`] above 65,535 bytes; nothing was written.
pub fn write_frame(datagram: &[u8], out: &mut Vec<u8>) -> Result<(), FrameTooLong> {
    let length = u16::try_from(datagram.len()).map_err(|_| FrameTooLong)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(datagram);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_thousand_frames_in_one_segment_come_one_by_one() {
        let mut stream = Vec::new();
        for number in 0..1000u16 {
            write_frame(&number.to_be_bytes(), &mut stream).unwrap();
        }
        let (mut deframer, mut bytes) = (Deframer::new(2), &stream[..]);
        for number in 0..1000u16 {
            assert_eq!(deframer.take(&mut bytes).unwrap().unwrap(), number.to_be_bytes());
        }
        assert_eq!(deframer.take(&mut bytes), Ok(None));
    }

    #[test]
    fn empty_frames_are_passed_over_and_long_ones_refused() {
        let mut deframer = Deframer::new(4);
        let mut bytes = &[0, 0, 0, 0, 0, 1, 7, 0, 5, 1, 2, 3, 4, 5][..];
        assert_eq!(deframer.take(&mut bytes).unwrap().unwrap(), [7]);
        assert_eq!(deframer.take(&mut bytes), Err(FrameTooLong));
        assert_eq!(deframer.take(&mut bytes), Err(FrameTooLong));
        assert!(deframer.frame.capacity() <= 8, "nothing was kept of it");
        let mut out = Vec::new();
        assert_eq!(write_frame(&[0; 65_536], &mut out), Err(FrameTooLong));
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn frames_come_back_however_the_stream_is_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..10), cut in 1..60usize,
        ) {
            let mut stream = Vec::new();
            for frame in &frames {
                write_frame(frame, &mut stream).unwrap();
            }
            let mut deframer = Deframer::new(50);
            let mut found = Vec::new();
            for mut bytes in stream.chunks(cut) {
                while let Some(frame) = deframer.take(&mut bytes).unwrap() {
                    found.push(frame.to_vec());
                }
            }
            prop_assert_eq!(found, frames);
        }
    }
}
