//! A connection, of a client or of a peer: what comes in pieces, and what the other side has not taken yet.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use arrayvec::ArrayVec;
use plenary_turn::RequestId;
use plenary_wire::FlowId;

use crate::message::{Message, PARTS_MAX};
use crate::poller::Interest;
use crate::tls::{Outgoing, Scratch, TOGETHER_MAX, Tls};

/// What a client has not taken, beside what the kernel keeps: some tenths of a second of pictures. Datagrams that find no room
/// are lost, as they would be in a router.
pub(crate) const UNREAD_MAX: usize = 128 << 10;

/// What one side of a relayed connection has not taken, before no more is read from the other (RFC 6062).
const JOINED_UNREAD_MAX: usize = 64 << 10;

/// Messages of one write.
const MESSAGES_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// What stands between the stream and the client, if there is something.
    tls: Option<Box<Tls>>,
    pub(crate) role: Role,
    /// What the server could not use yet: less than a message.
    pub(crate) received: Vec<u8>,
    /// As it is sent: encrypted, where there is TLS.
    unread: VecDeque<u8>,
    /// The other side has sent all that it will.
    pub(crate) is_ended: bool,
    /// Nothing comes behind what waits: the other side is told so when it has taken that.
    is_last: bool,
    interest: Interest,
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A client's, which speaks TURN.
    Client,
    /// It is being opened to a peer.
    Opening(RequestId),
    /// A peer's: nothing is read from it until it is joined.
    Peer,
    /// All that is read from it goes to the other one.
    Joined(FlowId),
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, role: Role, tls: Option<Tls>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // Each write is of whole messages, and none waits for more.
        stream.set_nodelay(true)?;
        let mut connection = Self {
            stream,
            tls: tls.map(Box::new),
            role,
            received: Vec::new(),
            unread: VecDeque::new(),
            is_ended: false,
            is_last: false,
            interest: Interest::NONE,
        };
        connection.interest = connection.wanted(false);
        Ok(connection)
    }

    /// What it is watched for.
    pub(crate) const fn interest(&self) -> Interest {
        self.interest
    }

    /// What it is to be watched for from now on, if that has changed. Nothing is read while the other side `is_full`.
    pub(crate) fn change_interest(&mut self, is_full: bool) -> Option<Interest> {
        let wanted = self.wanted(is_full);
        let has_changed = wanted != self.interest;
        self.interest = wanted;
        has_changed.then_some(wanted)
    }

    fn wanted(&self, is_full: bool) -> Interest {
        match self.role {
            Role::Opening(_) => Interest::WRITES,
            Role::Peer => Interest::NONE,
            Role::Client | Role::Joined(_) => {
                Interest { reads: !is_full && !self.is_ended, writes: !self.unread.is_empty() }
            }
        }
    }

    /// Whether no more is to be read that would have to be written here.
    pub(crate) fn is_full(&self) -> bool {
        self.unread.len() >= JOINED_UNREAD_MAX
    }

    /// Bytes that wait to be taken.
    pub(crate) fn unread(&self) -> usize {
        self.unread.len()
    }

    /// Reads what there is, but no more than `most`; 0 is the end, and nothing yet is `WouldBlock`. In the buffer there is room
    /// for [`RECEIVED_MAX`](crate::tls::RECEIVED_MAX) bytes more, which may come with it.
    pub(crate) fn read(&mut self, buffer: &mut [u8], most: usize, scratch: &mut Scratch) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(&mut buffer[..most]) };
        let read = tls.read((&mut self.stream).take(most as u64), buffer, scratch);
        self.push(&mut scratch.outgoing);
        read
    }

    /// Whether the other side has said that it has sent all, though its stream may not have ended.
    pub(crate) fn has_said_goodbye(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_ended())
    }

    /// Sends messages, each whole or not at all; says how many are lost. No more than `room` may wait beside what does.
    pub(crate) fn send(&mut self, messages: &[Message<'_>], room: usize, scratch: &mut Scratch) -> u64 {
        let most = UNREAD_MAX.min(room);
        if self.tls.is_some() { self.send_sealed(messages, most, scratch) } else { self.send_plain(messages, most) }
    }

    fn send_plain(&mut self, messages: &[Message<'_>], most: usize) -> u64 {
        let mut lost = 0;
        for messages in messages.chunks(MESSAGES_MAX) {
            let mut left = if self.unread.is_empty() { self.write_now(messages) } else { 0 };
            for message in messages {
                let written = left.min(message.len());
                left -= written;
                let waits = message.len() - written;
                // What has begun must be ended.
                let fits = written > 0 || self.unread.len() + waits <= most;
                if fits {
                    message.write_from(written, |bytes| self.unread.extend(bytes));
                } else {
                    lost += 1;
                }
            }
        }
        lost
    }

    /// What is encrypted can't be taken back: it finds room before. Each message is a record, as from coturn: there are clients that
    /// take one for the other, its own among them.
    fn send_sealed(&mut self, messages: &[Message<'_>], most: usize, scratch: &mut Scratch) -> u64 {
        let mut lost = 0;
        for message in messages {
            let len = Tls::sealed_len(message.len());
            let together = scratch.outgoing.len() + len;
            if together > TOGETHER_MAX || self.unread.len() + together > most {
                self.push(&mut scratch.outgoing);
            }
            let fits = self.unread.len() + scratch.outgoing.len() + len <= most;
            if let Some(tls) = self.tls.as_mut().filter(|_| fits) {
                scratch.plain.clear();
                message.write_from(0, |bytes| scratch.plain.extend_from_slice(bytes));
                tls.seal(&scratch.plain, &mut scratch.outgoing);
            } else {
                lost += 1;
            }
        }
        self.push(&mut scratch.outgoing);
        lost
    }

    /// Sends what is encrypted; what there is no room for waits.
    fn push(&mut self, outgoing: &mut Outgoing) {
        let bytes = outgoing.take();
        let is_first = self.unread.is_empty() && !bytes.is_empty();
        // A failure shows again when it is read.
        let written = if is_first { self.stream.write(bytes).unwrap_or(0) } else { 0 };
        self.unread.extend(&bytes[written..]);
    }

    /// How many bytes leave at once.
    fn write_now(&mut self, messages: &[Message<'_>]) -> usize {
        let slices: ArrayVec<IoSlice<'_>, { MESSAGES_MAX * PARTS_MAX }> =
            messages.iter().flat_map(Message::slices).collect();
        // A failure shows again when it is read.
        self.stream.write_vectored(&slices).unwrap_or(0)
    }

    /// Takes bytes that must not be lost: nothing is to be read for it while it [is full](Self::is_full).
    pub(crate) fn write(&mut self, bytes: &[u8], scratch: &mut Scratch) {
        if let Some(tls) = &mut self.tls {
            tls.seal(bytes, &mut scratch.outgoing);
            self.push(&mut scratch.outgoing);
        } else {
            self.unread.extend(bytes);
        }
        self.flush();
    }

    /// Nothing is to be written any more but what waits.
    pub(crate) fn end(&mut self, scratch: &mut Scratch) {
        self.close(scratch);
        self.is_last = true;
        self.flush();
    }

    /// Whether it was told to end.
    pub(crate) const fn is_last(&self) -> bool {
        self.is_last
    }

    /// Whether the other side has sent all, and taken all.
    pub(crate) fn is_over(&self) -> bool {
        self.is_ended && self.is_last && self.unread.is_empty()
    }

    /// Says goodbye, where that is said: behind what waits, if there is room.
    pub(crate) fn close(&mut self, scratch: &mut Scratch) {
        if let Some(tls) = self.tls.as_mut().filter(|_| !self.is_last) {
            tls.close(&mut scratch.outgoing);
            self.push(&mut scratch.outgoing);
        }
    }

    /// Writes what waits, as much as there is room for.
    pub(crate) fn flush(&mut self) {
        while !self.unread.is_empty() {
            let (first, second) = self.unread.as_slices();
            match self.stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]) {
                Ok(0) => break,
                Ok(count) => drop(self.unread.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A failure shows again when it is read; nobody takes this any more.
                Err(_) => self.unread.clear(),
            }
        }
        if self.unread.is_empty() {
            self.unread = VecDeque::new();
            if self.is_last {
                // One that has failed is closed anyway.
                let _ = self.stream.shutdown(Shutdown::Write);
            }
        }
    }

    /// Whether it is open, once the kernel says that there is room to write.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stream.take_error(), Ok(None))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Connection::new(listener.accept().unwrap().0, Role::Client, None).unwrap(), other)
    }

    #[test]
    fn who_does_not_read_loses_whole_messages_and_no_more_than_that() {
        let (mut connection, mut other) = pair();
        let to = other.local_addr().unwrap();
        let mut scratch = Scratch::default();
        let (head, padding) = ([0; 4], [0; 2]);
        let mut sent = Vec::new();
        for number in 1..20_000_u32 {
            let body = [number.to_be_bytes(); 250].concat();
            let (one, two) = (&body[..998], &body[..1000]);
            let messages = [Message::of_parts(to, [&head, one, &padding]), Message::of_parts(to, [&[], two, &[]])];
            let lost = connection.send(&messages, usize::MAX, &mut scratch);
            assert!(connection.unread() <= UNREAD_MAX + 2000);
            sent.push(2 - lost);
        }
        assert!(sent.contains(&0), "it is full at some time");
        let all: u64 = sent.iter().sum();
        other.set_nonblocking(true).unwrap();
        let (mut bytes, mut buffer) = (Vec::new(), [0; 65_536]);
        while connection.unread() > 0 || other.peek(&mut buffer).is_ok() {
            while let Ok(count) = other.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..count]);
            }
            connection.flush();
        }
        // Each message is there, whole, in order.
        let mut at = 0;
        for _ in 0..all {
            let is_first = bytes[at..at + 4] == head;
            let start = if is_first { at + 4 } else { at };
            let number: [u8; 4] = bytes[start..start + 4].try_into().unwrap();
            let body = [number; 250].concat();
            let length = if is_first { 998 } else { 1000 };
            assert!(bytes[start..start + length] == body[..length], "a message is broken");
            at = start + length + if is_first { 2 } else { 0 };
        }
        assert_eq!(at, bytes.len());
    }

    #[test]
    fn all_connections_have_no_more_room_than_there_is() {
        let (mut connection, other) = pair();
        let to = other.local_addr().unwrap();
        let mut scratch = Scratch::default();
        while connection.send(&[Message::plain(to, &[1; 1000])], 10_000, &mut scratch) == 0 {}
        assert!((9_000..=10_000).contains(&connection.unread()), "{}", connection.unread());
    }

    #[test]
    fn it_is_watched_for_what_it_waits_for() {
        let (mut connection, _other) = pair();
        assert_eq!(connection.interest(), Interest::READS);
        assert_eq!(connection.change_interest(true), Some(Interest::NONE), "the other side is full");
        assert_eq!(connection.change_interest(true), None);
        connection.role = Role::Peer;
        assert_eq!(connection.change_interest(false), None);
        while !connection.is_full() {
            connection.write(&[0; 10_000], &mut Scratch::default());
        }
        connection.role = Role::Joined(FlowId(1));
        assert_eq!(connection.change_interest(false), Some(Interest { reads: true, writes: true }));
        connection.is_ended = true;
        assert_eq!(connection.change_interest(false), Some(Interest::WRITES));
    }
}
