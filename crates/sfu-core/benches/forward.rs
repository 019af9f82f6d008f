//! What a forwarded packet costs: taken in once, then written, numbered and encrypted for each subscriber. No sockets.
//!
//! Items are forwarded packets of 1200 bytes; `run` is a frame of ten, `single` one packet at a time.

#[path = "../tests/it/lab.rs"]
#[allow(dead_code)]
mod lab;

use std::cell::RefCell;
use std::net::SocketAddr;

use divan::Bencher;
use divan::counter::ItemsCount;
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

use lab::{Camera, Lab, ms};
use plenary_sfu_core::RoomConfig;

fn main() {
    divan::main();
}

/// Of a payload; 1200 with all around it.
const SIZE: usize = 1172;

/// Rooms as large as asked for, and all that publish in them.
struct Meeting {
    lab: Lab,
    cameras: Vec<(usize, Camera)>,
    out: Vec<u8>,
}

impl Meeting {
    /// Everyone of `publishers` is received by all `subscribers`; so many more are there and receive nothing.
    fn new(publishers: usize, subscribers: usize, idle: usize) -> Self {
        Self::of(Lab::new(), publishers, subscribers, idle)
    }

    fn of(mut lab: Lab, publishers: usize, subscribers: usize, idle: usize) -> Self {
        let mut tracks = Vec::new();
        let mut cameras = Vec::new();
        for _ in 0..publishers {
            let client = lab.join();
            let (track, camera) = lab.publish_camera(client);
            tracks.push(track);
            cameras.push((client, camera));
        }
        for _ in 0..subscribers {
            let client = lab.join();
            for (number, track) in (0..).zip(&tracks) {
                lab.add_video_slot(client, number);
                lab.sfu.subscribe(lab.clients[client].session, *track, lab.now).unwrap();
            }
        }
        for _ in 0..idle {
            // It stays connected for the engine.
            lab.join();
            lab.clients.pop();
        }
        let mut meeting = Self { lab, cameras, out: Vec::with_capacity(1 << 20) };
        let start = meeting.datagrams(true, &[SIZE; 5]);
        meeting.forward(start);
        meeting
    }

    /// A frame of each publisher, as it leaves there.
    fn datagrams(&mut self, is_key: bool, sizes: &[usize]) -> Vec<(SocketAddr, Vec<u8>)> {
        self.lab.now += ms(1);
        let mut datagrams = Vec::new();
        for (client, camera) in &mut self.cameras {
            let client = &mut self.lab.clients[*client];
            for (index, packet) in camera.frame(is_key, sizes) {
                client.send(packet, index);
            }
            camera.sent.clear();
            let address = client.address;
            datagrams.extend(client.outbox.drain(..).map(|bytes| (address, bytes)));
        }
        datagrams
    }

    /// All of them in, and all that comes of them out; the answer is how many datagrams.
    fn forward(&mut self, datagrams: Vec<(SocketAddr, Vec<u8>)>) -> usize {
        let now = self.lab.now;
        for (remote, mut bytes) in datagrams {
            let (flow, local, ecn) = (FlowId(0), lab::server(), Ecn::NotEct);
            let _ = self.lab.sfu.handle_datagram(Datagram { flow, local, remote, ecn, bytes: &mut bytes }, now);
        }
        let mut count = 0;
        while let Some(transmit) = self.lab.sfu.poll_transmit(now, Limit::GSO, &mut self.out) {
            count += transmit.datagrams(&self.out).len();
            if self.out.len() > 1 << 19 {
                self.out.clear();
            }
        }
        self.out.clear();
        while self.lab.sfu.poll_event().is_some() {}
        count
    }
}

fn measure(bencher: Bencher<'_, '_>, meeting: Meeting, sizes: &[usize], subscribers: usize) {
    let forwarded = sizes.len() * subscribers * meeting.cameras.len();
    let meeting = RefCell::new(meeting);
    bencher
        .counter(ItemsCount::new(forwarded))
        .with_inputs(|| meeting.borrow_mut().datagrams(false, sizes))
        .bench_local_values(|datagrams| {
            let sent = meeting.borrow_mut().forward(datagrams);
            assert!(sent >= forwarded, "{sent} of {forwarded} were forwarded");
        });
}

#[divan::bench(args = [10, 100, 1000], sample_size = 1, sample_count = 200)]
fn run_1_to(bencher: Bencher<'_, '_>, subscribers: usize) {
    measure(bencher, Meeting::new(1, subscribers, 0), &[SIZE; 10], subscribers);
}

#[divan::bench(args = [10, 100, 1000], sample_size = 1, sample_count = 500)]
fn single_1_to(bencher: Bencher<'_, '_>, subscribers: usize) {
    measure(bencher, Meeting::new(1, subscribers, 0), &[SIZE; 1], subscribers);
}

#[divan::bench(sample_size = 1, sample_count = 50)]
fn run_50_to_50(bencher: Bencher<'_, '_>) {
    measure(bencher, Meeting::new(50, 50, 0), &[SIZE; 10], 50);
}

#[divan::bench(args = [0, 9900], sample_size = 1, sample_count = 200)]
fn run_1_to_100_beside_idle(bencher: Bencher<'_, '_>, idle: usize) {
    measure(bencher, Meeting::new(1, 100, idle), &[SIZE; 10], 100);
}

/// A frame of ten packets, of which the last five are longer by a byte, as Chromium cuts them; with so much padding at most.
#[divan::bench(args = [0, 16], sample_size = 1, sample_count = 400)]
fn uneven_1_to_100(bencher: Bencher<'_, '_>, padding_max: u8) {
    let lab = Lab::configured(RoomConfig::default(), |config| config.padding_max = padding_max);
    let sizes: [usize; 10] = std::array::from_fn(|index| SIZE - usize::from(index < 5));
    measure(bencher, Meeting::of(lab, 1, 100, 0), &sizes, 100);
}
