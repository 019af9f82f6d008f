//! Clients by DTLS: each is a flow of its own, behind the socket of its listener.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use plenary_turn::{Carries, FiveTuple, Handled};
use plenary_wire::{Datagram, Ecn, FlowId};

use crate::dtls::{Association, Certificate, Cookies, Hello, Outcome};
use crate::flows::Flow;
use crate::message::Message;
use crate::ways::{Batch, Ways};
use crate::worker::Worker;

/// A client may begin anew from its address (RFC 6347 §4.2.8), but not all the time.
const ANEW_AFTER: Duration = Duration::from_secs(2);

/// Messages that are encrypted before they are sent: half a megabyte at most.
const SEALED_MAX: usize = 32;

/// What it takes to welcome a client.
pub(crate) struct Host {
    pub(crate) cookies: Cookies,
    pub(crate) certificate: Certificate,
}

/// A client, where it comes in.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) association: Association,
    pub(crate) listener: FlowId,
    pub(crate) remote: SocketAddr,
    since: Instant,
    /// When it is looked at, as the others know it.
    due: Option<Instant>,
}

/// Which clients there are.
#[derive(Debug, Default)]
pub(crate) struct Associations {
    flows: HashMap<(FlowId, SocketAddr), FlowId>,
    due: BTreeSet<(Instant, FlowId)>,
}

impl Associations {
    fn remove(&mut self, client: &Client, flow: FlowId) {
        self.flows.remove(&(client.listener, client.remote));
        if let Some(due) = client.due {
            self.due.remove(&(due, flow));
        }
    }

    /// When the next is to be looked at.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    fn reschedule(&mut self, client: &mut Client, flow: FlowId) {
        let due = client.association.due;
        if due != client.due {
            if let Some(before) = client.due {
                self.due.remove(&(before, flow));
            }
            self.due.extend(due.map(|due| (due, flow)));
            client.due = due;
        }
    }
}

impl Worker {
    /// Takes in what came to a listener for clients by DTLS.
    pub(crate) fn take_sealed(&mut self, datagram: Datagram<'_>, now: Instant) {
        let (listener, remote) = (datagram.flow, datagram.remote);
        let known = self.ways.associations.flows.get(&(listener, remote)).copied();
        // RFC 7983 §7: anything else is not DTLS.
        let is_dtls = matches!(datagram.bytes.first(), Some(20..=63));
        let hello = Hello::parse(datagram.bytes).filter(|_| is_dtls);
        match (known, hello) {
            (Some(flow), Some(hello)) if !self.is_of(flow, &hello) => self.greet(&datagram, &hello, known, now),
            (Some(flow), _) if is_dtls => self.unseal(flow, datagram, now),
            (None, Some(hello)) => self.greet(&datagram, &hello, known, now),
            _ => self.events.dtls_dropped += 1,
        }
    }

    /// Whether a client has begun with this hello: what it was answered may be lost.
    fn is_of(&mut self, flow: FlowId, hello: &Hello<'_>) -> bool {
        self.ways.flows.association(flow).is_some_and(|client| client.association.random == hello.random)
    }

    /// Answers a hello: with a cookie, or if it has one by a handshake.
    fn greet(&mut self, datagram: &Datagram<'_>, hello: &Hello<'_>, known: Option<FlowId>, now: Instant) {
        let Some(host) = &self.host else { return };
        let is_of_old = hello.is_of_old();
        if is_of_old || !host.cookies.is_proven(hello, datagram.remote, now) {
            let outcome = &mut self.outcome;
            outcome.clear();
            if is_of_old {
                hello.refusal(&mut outcome.bytes);
                self.events.dtls_dropped += 1;
            } else {
                host.cookies.request(hello, datagram.remote, now, &mut outcome.bytes);
            }
            outcome.packets.push((0..outcome.bytes.len(), Ecn::NotEct));
            self.ways.transmit(datagram.flow, datagram.remote, outcome);
            return;
        }
        if let Some(flow) = known {
            let since = self.ways.flows.association(flow).map(|client| client.since);
            if since.is_some_and(|since| now < since + ANEW_AFTER) {
                self.events.dtls_dropped += 1;
                return;
            }
            self.ended(flow, now);
        }
        self.welcome(datagram, hello, now);
    }

    fn welcome(&mut self, datagram: &Datagram<'_>, hello: &Hello<'_>, now: Instant) {
        let Some(host) = &self.host else { return };
        let association = Association::new(&host.certificate, hello, now);
        let (listener, local, remote) = (datagram.flow, datagram.local, datagram.remote);
        let client = Client { association, listener, remote, since: now, due: None };
        let Some(flow) = self.ways.add_association(client) else {
            self.events.accept_errors += 1;
            return;
        };
        let accepted = self.server.handle_accepted(FiveTuple { flow, local, remote }, Carries::Datagrams, now);
        if accepted.is_err() {
            self.events.accept_errors += 1;
            self.ways.close(flow);
            return;
        }
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.clear();
        if let Some(client) = self.ways.flows.association(flow) {
            client.association.begin(hello, datagram.bytes, now, &mut outcome);
        }
        self.settle(flow, datagram, &mut outcome, now);
        self.outcome = outcome;
    }

    fn unseal(&mut self, flow: FlowId, datagram: Datagram<'_>, now: Instant) {
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.clear();
        if let Some(client) = self.ways.flows.association(flow) {
            client.association.handle(datagram.bytes, now, &mut outcome);
        }
        self.settle(flow, &datagram, &mut outcome, now);
        self.outcome = outcome;
    }

    /// Does what came of it: sends, takes in what was decrypted, and ends.
    fn settle(&mut self, flow: FlowId, datagram: &Datagram<'_>, outcome: &mut Outcome, now: Instant) {
        self.ways.conclude(flow, outcome);
        let Outcome { bytes, data, .. } = &mut *outcome;
        for range in data.drain(..) {
            let Datagram { local, remote, ecn, .. } = *datagram;
            let datagram = Datagram { flow, local, remote, ecn, bytes: &mut bytes[range] };
            if let Handled::Relay(relay) = self.server.handle_datagram(datagram, now) {
                let mut batch = Batch::new();
                batch.push(relay);
                self.ways.relay(&mut batch);
            }
        }
        self.end_if_failed(flow, outcome, now);
    }

    /// Looks at those whose handshake has to be helped on.
    pub(crate) fn help_on(&mut self, now: Instant) {
        while let Some((due, flow)) = self.ways.associations.due.first().copied().filter(|(due, _)| *due <= now) {
            self.ways.associations.due.remove(&(due, flow));
            let Some(client) = self.ways.flows.association(flow) else { continue };
            client.due = None;
            let mut outcome = std::mem::take(&mut self.outcome);
            outcome.clear();
            client.association.handle_timeout(now, &mut outcome);
            self.ways.conclude(flow, &outcome);
            self.end_if_failed(flow, &outcome, now);
            self.outcome = outcome;
        }
    }

    fn end_if_failed(&mut self, flow: FlowId, outcome: &Outcome, now: Instant) {
        if outcome.is_over {
            self.events.tls_errors += u64::from(outcome.has_failed);
            self.ended(flow, now);
        }
    }
}

impl Ways {
    pub(crate) fn add_association(&mut self, client: Client) -> Option<FlowId> {
        let key = (client.listener, client.remote);
        let flow = self.flows.insert(Flow::Association(Box::new(client)))?;
        self.associations.flows.insert(key, flow);
        Some(flow)
    }

    /// Sends what an association has to say, and notes when it wants to be looked at again.
    fn conclude(&mut self, flow: FlowId, outcome: &Outcome) {
        let Some(client) = self.flows.association(flow) else { return };
        self.associations.reschedule(client, flow);
        let (listener, remote) = (client.listener, client.remote);
        self.transmit(listener, remote, outcome);
    }

    /// Encrypts messages for a client, and sends them.
    pub(crate) fn seal(&mut self, flow: FlowId, messages: &[Message<'_>]) {
        let mut outcome = std::mem::take(&mut self.outcome);
        for messages in messages.chunks(SEALED_MAX) {
            outcome.clear();
            let Some(client) = self.flows.association(flow) else { break };
            for message in messages {
                self.scratch.plain.clear();
                message.write_from(0, |bytes| self.scratch.plain.extend_from_slice(bytes));
                outcome.ecn = message.ecn;
                let is_sent = client.association.send(&self.scratch.plain, &mut outcome);
                self.tally.sent.refused += u64::from(!is_sent);
            }
            let (listener, remote) = (client.listener, client.remote);
            self.transmit(listener, remote, &outcome);
        }
        self.outcome = outcome;
    }

    /// Says goodbye to a client whose flow is closed.
    pub(crate) fn part(&mut self, mut client: Client, flow: FlowId) {
        self.associations.remove(&client, flow);
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.clear();
        client.association.close(&mut outcome);
        self.transmit(client.listener, client.remote, &outcome);
        self.outcome = outcome;
    }

    fn transmit(&mut self, listener: FlowId, remote: SocketAddr, outcome: &Outcome) {
        let Some(udp) = self.flows.udp(listener) else { return };
        for packets in outcome.packets.chunks(SEALED_MAX) {
            let sealed = |(range, ecn): &(_, _)| Message::sealed(remote, *ecn, &outcome.bytes[Range::clone(range)]);
            let messages: ArrayVec<Message<'_>, SEALED_MAX> = packets.iter().map(sealed).collect();
            self.tally.sent.add(self.sender.send(udp, &messages));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Arc;

    use dimpl::{Dtls, DtlsCertificate, Output};

    use super::*;
    use crate::identity::tests::{identity, made};
    use crate::relay::lone_worker;
    use crate::worker::tests::take_a_turn;

    fn worker() -> (Worker, SocketAddr) {
        let ip = "127.0.0.1".parse().unwrap();
        let worker = lone_worker(crate::Config {
            listen: Vec::new(),
            listen_tls: vec![(ip, 0).into()],
            identity: Some(identity().0),
            told: None,
            relays: vec![crate::RelayAddress { bind: ip, told: ip }],
            ports: 49_152..=65_535,
            threads: None,
            turn: plenary_turn::Config { secrets: vec![vec![1; 32]], ..plenary_turn::Config::default() },
        });
        let server = worker.ways.flows.udp(FlowId(0)).unwrap().local;
        (worker, server)
    }

    fn client() -> Dtls {
        let (certificate, private_key) = made();
        let certificate = DtlsCertificate { certificate, private_key };
        let mut client = Dtls::new_12(Arc::new(dimpl::Config::default()), certificate, Instant::now());
        client.set_active(true);
        client.handle_timeout(Instant::now()).unwrap();
        client
    }

    /// Whether it is connected, and what it has to send.
    fn poll(client: &mut Dtls) -> (bool, Vec<Vec<u8>>) {
        let (mut buffer, mut packets, mut is_connected) = ([0; 4096], Vec::new(), false);
        loop {
            match client.poll_output(&mut buffer) {
                Output::Packet(bytes) => packets.push(bytes.to_vec()),
                Output::Connected => is_connected = true,
                Output::Timeout(_) => return (is_connected, packets),
                _ => {}
            }
        }
    }

    #[test]
    fn ten_thousand_hellos_leave_nothing() {
        let (mut worker, local) = worker();
        let hello = poll(&mut client()).1.remove(0);
        let mut ask = |number: u32| {
            let mut bytes = hello.clone();
            bytes[27..31].copy_from_slice(&number.to_be_bytes());
            let [_, _, high, low] = number.to_be_bytes();
            let remote = SocketAddr::from(([127, 1, high, low], 9));
            let datagram = Datagram { flow: FlowId(0), local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
            let measured = allocation_counter::measure(|| worker.take_sealed(datagram, Instant::now()));
            (measured.count_total, worker.ways.tally.sent.datagrams)
        };
        ask(0);
        for number in 1..=10_000 {
            // Of some the port unreachable is told first.
            assert_eq!(ask(number), (0, u64::from(number) + 1));
        }
        assert!(worker.ways.associations.flows.is_empty() && worker.ways.associations.due.is_empty());
    }

    /// What the README says.
    #[test]
    fn an_idle_association_is_small() {
        let (mut worker, server) = worker();
        let (mut held, mut sizes) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(server).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
            let (mut client, mut size) = (client(), 0);
            loop {
                let (is_connected, packets) = poll(&mut client);
                for packet in packets {
                    socket.send(&packet).unwrap();
                }
                size += allocation_counter::measure(|| take_a_turn(&mut worker)).bytes_current;
                if is_connected {
                    break;
                }
                let mut buffer = [0; 4096];
                while let Ok(count) = socket.recv(&mut buffer) {
                    client.handle_timeout(Instant::now()).unwrap();
                    client.handle_packet(&buffer[..count]).unwrap();
                }
            }
            sizes.push(size);
            held.push(socket);
        }
        sizes.sort_unstable();
        assert!(sizes[10] < 8 << 10, "{sizes:?}");
        assert!(worker.ways.associations.due.is_empty(), "nothing is to be sent again");
        // They are gone with their flows.
        let flows: Vec<FlowId> = worker.ways.associations.flows.values().copied().collect();
        assert_eq!(flows.len(), 20);
        let freed =
            allocation_counter::measure(|| flows.into_iter().for_each(|flow| worker.ended(flow, Instant::now())));
        assert!(-freed.bytes_current > sizes.iter().sum::<i64>() / 2, "{freed:?}");
        assert!(worker.ways.associations.flows.is_empty());
    }
}
