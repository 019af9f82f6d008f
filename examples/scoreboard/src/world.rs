use std::time::{Duration, Instant};

use plenary_bwe::{Controller, Purpose};
use plenary_netsim::{Link, LinkConfig, Packet, Random, RateSchedule, TcpEnd};
use plenary_wire::{Bitrate, DataSize, Ecn};

use crate::Case;
use crate::algorithms::Transport;
use crate::case::{Background, Bottleneck, step_at};
use crate::details::{Decision, Details, PacketSeen};
use crate::download::{Download, Piece};
use crate::feedback::{Message, Reporter};
use crate::media::PACKET_MAX;
use crate::record::Record;
use crate::sender::{Departure, Sender};

/// Labels of chance: links have their index.
const ENCODERS: u64 = 1_000;
const DOWNLOADS: u64 = 2_000;

/// A case that runs: links, senders, receivers and background traffic, and the time.
///
/// It drives `netsim`'s links itself: packets are not bytes here, as all that matters of them is how large they are and
/// when.
#[derive(Debug)]
pub(crate) struct World {
    links: Vec<Link<Parcel>>,
    routes: Vec<Route>,
    flows: Vec<End>,
    background: Vec<Source>,
    downloads: Vec<Download>,
    /// The first route of the first download.
    download_routes: usize,
    /// When what next has something to do: links, then senders, receivers, sources and downloads.
    due: Vec<Duration>,
    record: Record,
    length: Duration,
}

/// The ends of a flow.
#[derive(Debug)]
struct End {
    sender: Sender,
    reporter: Reporter,
    /// What the path there takes at least.
    path: Duration,
}

/// Which links a packet takes, and who gets it at their end.
#[derive(Debug)]
struct Route {
    links: Vec<usize>,
    to: Destination,
}

#[derive(Clone, Copy, Debug)]
enum Destination {
    Receiver(usize),
    Sender(usize),
    Download,
    Nobody,
}

#[derive(Clone, Debug)]
struct Parcel {
    route: usize,
    hop: usize,
    /// In queues so far.
    waited: Duration,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Media(Departure),
    Feedback(Message),
    Background,
    Tcp(usize, Piece),
}

/// Packets of the greatest size at even distances.
#[derive(Debug)]
struct Source {
    rate: Vec<(Duration, Bitrate)>,
    next: Duration,
    route: usize,
}

impl World {
    pub(crate) fn new(
        case: &Case,
        controllers: Vec<Box<dyn Controller>>,
        transport: Transport,
        base: Instant,
        seed: u64,
    ) -> Self {
        let mut links: Vec<_> = case.links.iter().map(config_of).collect();
        let mut routes = Vec::new();
        let mut flows = Vec::new();
        for (index, (spec, controller)) in case.flows.iter().zip(controllers).enumerate() {
            let mut route = |shared: &[usize], to| {
                let mut path = shared.to_vec();
                if !spec.access.is_zero() {
                    path.insert(0, links.len());
                    links.push(LinkConfig::delay(spec.access));
                }
                routes.push(Route { links: path, to });
            };
            route(&spec.forward, Destination::Receiver(index));
            route(&spec.backward, Destination::Sender(index));
            let random = Random::new(seed, ENCODERS + index as u64);
            let ecn = if case.is_ecn { transport.ecn } else { Ecn::NotEct };
            let sender = Sender::new(spec, (controller, ecn), base, random);
            let reporter = Reporter::new(transport.format, base);
            flows.push(End { sender, reporter, path: case.path_of(spec) });
        }
        let background: Vec<_> = case.background.iter().map(|cross| source_of(cross, &mut routes)).collect();
        let download_routes = routes.len();
        for tcp in &case.tcp {
            for links in [&tcp.forward, &tcp.backward] {
                routes.push(Route { links: links.clone(), to: Destination::Download });
            }
        }
        let random = |index| Random::new(seed, DOWNLOADS + index as u64);
        let downloads = case.tcp.iter().enumerate().map(|(index, spec)| Download::new(spec, random(index)));
        let links: Vec<_> =
            links.into_iter().enumerate().map(|(label, config)| Link::new(config, seed, label as u64)).collect();
        let due = vec![Duration::ZERO; links.len() + 2 * flows.len() + background.len() + case.tcp.len()];
        Self {
            links,
            routes,
            flows,
            background,
            downloads: downloads.collect(),
            download_routes,
            due,
            record: Record::new(case),
            length: case.length,
        }
    }

    /// The same, and keeps every packet and decision.
    pub(crate) fn in_detail(mut self) -> Self {
        self.record.details = Some(Details::default());
        self
    }

    /// Until the end of the case.
    pub(crate) fn run(mut self) -> Record {
        while let Some(now) = self.due.iter().min().copied().filter(|now| *now < self.length) {
            for index in 0..self.due.len() {
                if self.due[index] <= now {
                    self.wake(index, now);
                }
            }
        }
        self.record
    }

    fn wake(&mut self, index: usize, now: Duration) {
        let (links, flows, sources) = (self.links.len(), self.flows.len(), self.background.len());
        if index < links {
            self.wake_link(index, now);
        } else if index < links + flows {
            self.wake_sender(index - links, now);
        } else if index < links + 2 * flows {
            self.wake_receiver(index - links - flows, now);
        } else if index < links + 2 * flows + sources {
            self.wake_source(index - links - 2 * flows, now);
        } else {
            let download = index - links - 2 * flows - sources;
            self.downloads[download].handle_timeout(now);
            self.drain_download(download, now);
        }
    }

    fn wake_link(&mut self, index: usize, now: Duration) {
        while let Some(arrival) = self.links[index].poll_arrival(now) {
            let mut packet = arrival.packet;
            packet.payload.waited += arrival.waited;
            self.record.queue(index, arrival.waited, arrival.sent);
            // To the next link of its way, or to whom it is for.
            packet.payload.hop += 1;
            self.send(packet, now);
        }
        while let Some(dropped) = self.links[index].poll_dropped() {
            self.lose(&dropped.packet.payload, now);
        }
        self.due[index] = self.links[index].poll_timeout().unwrap_or(Duration::MAX);
    }

    fn drain_download(&mut self, index: usize, now: Duration) {
        while let Some(piece) = self.downloads[index].poll(now) {
            let (size, ecn) = (piece.segment.size(), piece.segment.ecn());
            let route = self.download_routes + 2 * index + usize::from(piece.from == TcpEnd::Receiver);
            let parcel = Parcel { route, hop: 0, waited: Duration::ZERO, body: Body::Tcp(index, piece) };
            self.send(Packet { size, ecn, payload: parcel }, now);
        }
        let at = self.links.len() + 2 * self.flows.len() + self.background.len() + index;
        self.due[at] = self.downloads[index].poll_timeout();
    }

    fn wake_sender(&mut self, flow: usize, now: Duration) {
        self.flows[flow].sender.handle_timeout(now);
        self.drain_sender(flow, now);
    }

    fn drain_sender(&mut self, flow: usize, now: Duration) {
        while let Some(departure) = self.flows[flow].sender.poll_packet(now) {
            let bin = self.record.bin(flow, now);
            bin.sent += departure.size;
            bin.packets_sent += 1;
            let (size, ecn) = (departure.size, departure.ecn);
            let parcel = Parcel { route: 2 * flow, hop: 0, waited: Duration::ZERO, body: Body::Media(departure) };
            self.send(Packet { size, ecn, payload: parcel }, now);
        }
        let sender = &mut self.flows[flow].sender;
        if let Some(details) = &mut self.record.details
            && let Some((rates, cause)) = sender.poll_decision()
        {
            details.decisions.push(Decision { at: now, flow, rates, cause });
        }
        self.record.bin(flow, now).target = sender.target();
        self.due[self.links.len() + flow] = sender.poll_timeout();
    }

    fn wake_receiver(&mut self, flow: usize, now: Duration) {
        let index = self.links.len() + self.flows.len() + flow;
        while let Some(message) = self.flows[flow].reporter.poll_feedback(now) {
            let size = DataSize::from_bytes(message.size() as u64);
            let feedback = &mut self.record.flows[flow].feedback;
            *feedback += size;
            let parcel = Parcel { route: 2 * flow + 1, hop: 0, waited: Duration::ZERO, body: Body::Feedback(message) };
            self.send(Packet { size, ecn: Ecn::NotEct, payload: parcel }, now);
        }
        self.due[index] = self.flows[flow].reporter.poll_timeout();
    }

    fn wake_source(&mut self, index: usize, now: Duration) {
        let source = &mut self.background[index];
        let size = DataSize::from_bytes(PACKET_MAX as u64);
        let rate = step_at(&source.rate, now).unwrap_or(Bitrate::ZERO);
        let later = source.rate.iter().map(|step| step.0).find(|at| *at > now).unwrap_or(Duration::MAX);
        source.next = rate.time_for(size).map_or(later, |time| now + time);
        let due = source.next;
        let parcel = Parcel { route: source.route, hop: 0, waited: Duration::ZERO, body: Body::Background };
        if rate > Bitrate::ZERO {
            self.send(Packet { size, ecn: Ecn::NotEct, payload: parcel }, now);
        }
        let at = self.links.len() + 2 * self.flows.len() + index;
        self.due[at] = due;
    }

    fn send(&mut self, packet: Packet<Parcel>, now: Duration) {
        let route = &self.routes[packet.payload.route];
        let Some(&index) = route.links.get(packet.payload.hop) else {
            return self.deliver(route.to, packet, now);
        };
        let link = &mut self.links[index];
        if let Err((_, packet)) = link.send(packet, now) {
            self.lose(&packet.payload, now);
        }
        self.due[index] = self.links[index].poll_timeout().unwrap_or(Duration::MAX);
    }

    fn lose(&mut self, parcel: &Parcel, now: Duration) {
        if let (Destination::Receiver(flow), Body::Media(departure)) = (self.routes[parcel.route].to, &parcel.body) {
            self.record.bin(flow, now).packets_lost += 1;
            self.note(flow, departure, now, (parcel.waited, None));
        }
    }

    /// Keeps what became of a packet, and with which bits it arrived if it did.
    fn note(&mut self, flow: usize, departure: &Departure, at: Duration, (waited, arrived): (Duration, Option<Ecn>)) {
        if let Some(details) = &mut self.record.details {
            let (is_marked, is_lost) = (arrived == Some(Ecn::Ce), arrived.is_none());
            details.packets.push(PacketSeen { flow, departure: *departure, at, waited, is_marked, is_lost });
        }
    }

    fn deliver(&mut self, to: Destination, packet: Packet<Parcel>, now: Duration) {
        match (to, packet.payload.body) {
            (Destination::Receiver(flow), Body::Media(departure)) => {
                let waited = packet.payload.waited;
                let bin = self.record.bin(flow, now);
                bin.received += packet.size;
                if departure.purpose != Purpose::Padding {
                    bin.useful += packet.size;
                    bin.late = bin.late.max((now - departure.captured).saturating_sub(self.flows[flow].path));
                }
                self.record.flows[flow].waits.push((now, waited));
                if departure.ends_frame {
                    self.record.flows[flow].frames.push((now, now - departure.captured));
                }
                self.note(flow, &departure, now, (waited, Some(packet.ecn)));
                self.flows[flow].reporter.handle_packet(&departure, packet.ecn, now);
                self.due[self.links.len() + self.flows.len() + flow] = self.flows[flow].reporter.poll_timeout();
            }
            (Destination::Sender(flow), Body::Feedback(message)) => {
                self.flows[flow].sender.handle_feedback(&message, now);
                self.drain_sender(flow, now);
            }
            (Destination::Download, Body::Tcp(index, piece)) => {
                let arrived = self.downloads[index].handle(piece, packet.ecn, now);
                *self.record.tcp(index, now) += arrived;
                self.drain_download(index, now);
            }
            _ => {}
        }
    }
}

fn config_of(spec: &Bottleneck) -> LinkConfig {
    LinkConfig {
        rate: RateSchedule::steps(&spec.capacity),
        delay: spec.delay,
        jitter: spec.jitter,
        loss: spec.loss.clone(),
        queue: spec.queue,
        conditions: spec.conditions.clone(),
        aqm: spec.aqm,
        ..LinkConfig::default()
    }
}

fn source_of(cross: &Background, routes: &mut Vec<Route>) -> Source {
    routes.push(Route { links: cross.links.clone(), to: Destination::Nobody });
    Source { rate: cross.rate.clone(), next: Duration::ZERO, route: routes.len() - 1 }
}
