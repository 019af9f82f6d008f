use super::*;

const AUDIO: StreamId = StreamId(1);
const RTX: StreamId = StreamId(2);
const CAMERA: StreamId = StreamId(3);
const SCREEN: StreamId = StreamId(4);
const PACKET: DataSize = DataSize::from_bytes(1000);

/// A pacer, and what waits in its streams.
struct Lab {
    pacer: Pacer,
    start: Instant,
    now: Instant,
    /// Milliseconds, stream, purpose, bytes, probe.
    sent: Vec<(u128, StreamId, Purpose, u64, Option<ProbeId>)>,
}

impl Lab {
    fn new(kbps: u64) -> Self {
        Self::with(PacerConfig::default(), kbps)
    }

    fn with(config: PacerConfig, kbps: u64) -> Self {
        let start = plenary_netsim::base();
        let mut pacer = Pacer::new(config, start);
        pacer.add_stream(AUDIO, Purpose::Audio, false).unwrap();
        pacer.add_stream(RTX, Purpose::Retransmission, false).unwrap();
        pacer.add_stream(CAMERA, Purpose::Video, true).unwrap();
        pacer.add_stream(SCREEN, Purpose::Video, true).unwrap();
        pacer.set_rates(&Rates::target(Bitrate::from_kbps(kbps)), start);
        Self { pacer, start, now: start, sent: Vec::new() }
    }

    fn rates(&mut self, change: impl FnOnce(&mut Rates)) {
        let mut rates = self.pacer.rates;
        change(&mut rates);
        self.pacer.set_rates(&rates, self.now);
    }

    fn wait(&mut self, id: StreamId, packets: u64) {
        let size = self.pacer.turns.waiting_of(id) + DataSize::from_bytes(1000 * packets);
        self.pacer.set_waiting(id, size, self.now, self.now).unwrap();
    }

    /// Drives it, and sends what is granted, in whole packets; in padding packets of 250 bytes.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while let Some(grant) = self.pacer.poll(self.now) {
                let packet = if grant.purpose == Purpose::Padding { 250 } else { 1000 };
                let packets = grant.size.as_bytes().div_ceil(packet);
                self.sent.push((
                    (self.now - self.start).as_millis(),
                    grant.stream,
                    grant.purpose,
                    packets * packet,
                    grant.probe,
                ));
                let size = DataSize::from_bytes(packets * packet);
                self.pacer.handle_sent(&grant, packets as u32, size, self.now);
            }
            let next = self.pacer.poll_timeout().filter(|at| *at <= end);
            let Some(next) = next else { break };
            assert!(next > self.now, "it has named an instant at which it had nothing");
            self.now = next;
        }
        self.now = end;
    }

    fn order(&self) -> Vec<StreamId> {
        self.sent.iter().map(|(_, stream, ..)| *stream).collect()
    }

    fn bytes(&self, of: Purpose) -> u64 {
        self.sent.iter().filter(|(_, _, purpose, ..)| *purpose == of).map(|(_, _, _, bytes, _)| bytes).sum()
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn purposes_have_strict_priority_and_streams_of_one_take_turns() {
    let mut lab = Lab::new(800);
    lab.wait(CAMERA, 3);
    lab.wait(SCREEN, 3);
    lab.wait(RTX, 2);
    lab.wait(AUDIO, 1);
    lab.run(ms(200));
    assert_eq!(lab.order(), [AUDIO, RTX, RTX, CAMERA, SCREEN, CAMERA, SCREEN, CAMERA, SCREEN]);
    assert_eq!(lab.pacer.waiting(), DataSize::ZERO);
    assert_eq!(lab.pacer.poll_timeout(), None);
}

#[test]
fn media_leaves_at_the_rate_in_runs_of_the_burst() {
    // 8 Mb/s: 10 ms are ten packets.
    let mut lab = Lab::new(8000);
    lab.wait(CAMERA, 100);
    lab.run(ms(1000));
    let times: Vec<_> = lab.sent.iter().map(|(at, _, _, bytes, _)| (*at, *bytes)).collect();
    assert_eq!(times, (0..10).map(|run| (run * 10, 10_000)).collect::<Vec<_>>());
}

#[test]
fn sound_leaves_at_once_and_counts() {
    let mut lab = Lab::new(800);
    lab.wait(CAMERA, 4);
    lab.run(ms(5));
    assert_eq!(lab.order(), [CAMERA]);
    lab.wait(AUDIO, 1);
    lab.run(Duration::ZERO);
    assert_eq!((lab.order(), lab.sent[1].0), (vec![CAMERA, AUDIO], 5));
    lab.run(ms(100));
    // The sound has cost the pictures its own time: a packet is 10 ms.
    let times: Vec<_> = lab.sent[2..].iter().map(|(at, ..)| *at).collect();
    assert_eq!(times, [20, 30, 40]);
}

#[test]
fn debt_is_limited() {
    let mut lab = Lab::new(80);
    for _ in 0..100 {
        lab.wait(AUDIO, 1);
    }
    lab.wait(CAMERA, 1);
    lab.run(ms(2000));
    // 100 kB of sound would be ten seconds of the rate.
    let video = lab.sent.iter().find(|(_, stream, ..)| *stream == CAMERA).unwrap();
    assert!(video.0 <= 610, "{video:?}");
}

#[test]
fn what_would_wait_too_long_leaves_faster() {
    let mut lab = Lab::new(80);
    // A hundred packets are ten seconds of the rate.
    lab.wait(CAMERA, 100);
    lab.run(ms(2000));
    assert_eq!((lab.bytes(Purpose::Video), lab.pacer.waiting()), (100_000, DataSize::ZERO));
    let half = lab.sent.iter().filter(|(at, ..)| *at < 1000).map(|(_, _, _, bytes, _)| bytes).sum::<u64>();
    assert!((40_000..60_000).contains(&half), "{half}");
}

#[test]
fn beyond_the_window_nothing_leaves_but_sound_and_signs_of_life() {
    let mut lab = Lab::new(8000);
    lab.rates(|rates| rates.window = Some(DataSize::from_bytes(10_000)));
    lab.pacer.set_in_flight(DataSize::from_bytes(9_999));
    lab.wait(CAMERA, 5);
    lab.run(ms(1));
    assert_eq!(lab.bytes(Purpose::Video), 5_000);
    lab.pacer.set_in_flight(DataSize::from_bytes(10_000));
    lab.wait(CAMERA, 5);
    lab.wait(AUDIO, 1);
    lab.run(ms(1200));
    let after: Vec<_> = lab.sent[1..].iter().map(|(at, stream, ..)| (*at, *stream)).collect();
    assert_eq!(after, [(1, AUDIO), (501, CAMERA), (1001, CAMERA)]);
}

#[test]
fn padding_fills_up_to_its_rate_after_media_and_only_there() {
    let mut lab = Lab::new(1000);
    lab.rates(|rates| rates.padding = Bitrate::from_kbps(800));
    lab.wait(AUDIO, 1);
    lab.run(ms(1000));
    assert_eq!(lab.bytes(Purpose::Padding), 0, "sound has no RTX to carry it");
    lab.wait(CAMERA, 1);
    lab.run(ms(1000));
    let filled = lab.bytes(Purpose::Padding) + lab.bytes(Purpose::Video);
    assert!((95_000..=103_000).contains(&filled), "{filled}");
    assert!(lab.sent.iter().all(|(_, stream, purpose, ..)| *purpose != Purpose::Padding || *stream == CAMERA));
    // It does not come on top of media.
    lab.sent.clear();
    for _ in 0..100 {
        lab.wait(CAMERA, 1);
        lab.run(ms(10));
    }
    assert!(lab.bytes(Purpose::Padding) <= 5_000, "{}", lab.bytes(Purpose::Padding));
}

#[test]
fn a_probe_takes_useful_bytes_first() {
    let cluster = |id| ProbeCluster {
        id: ProbeId(id),
        rate: Bitrate::from_mbps(4),
        duration: ms(15),
        packets_min: 5,
        interval: ms(2),
    };
    let mut lab = Lab::new(500);
    lab.pacer.handle_probe(cluster(1), lab.now);
    lab.wait(AUDIO, 1);
    lab.run(ms(100));
    assert_eq!(lab.order(), [AUDIO], "nothing could carry it yet");
    lab.wait(CAMERA, 1);
    lab.wait(RTX, 2);
    lab.run(ms(400));
    let probe: Vec<_> = lab.sent.iter().filter(|(.., probe)| *probe == Some(ProbeId(1))).collect();
    let bytes: u64 = probe.iter().map(|(_, _, _, bytes, _)| bytes).sum();
    // 15 ms at 4 Mb/s are 7500 bytes.
    assert!((7500..=8600).contains(&bytes), "{probe:?}");
    let span = probe[probe.len() - 1].0 - probe[0].0;
    assert!((12..=17).contains(&span), "{probe:?}");
    let useful = lab.bytes(Purpose::Video) + lab.bytes(Purpose::Retransmission);
    assert_eq!(useful, 3000);
    assert!(probe.last().unwrap().2 == Purpose::Padding);
    assert_eq!(lab.pacer.poll_timeout(), None, "it is over");
}

#[test]
fn a_probe_that_is_late_is_given_up() {
    let mut lab = Lab::new(500);
    lab.wait(CAMERA, 1);
    lab.run(ms(10));
    let (rate, duration, interval) = (Bitrate::from_mbps(4), ms(15), ms(2));
    lab.pacer.handle_probe(ProbeCluster { id: ProbeId(7), rate, duration, packets_min: 5, interval }, lab.now);
    let grant = lab.pacer.poll(lab.now).unwrap();
    assert_eq!(grant.probe, Some(ProbeId(7)));
    lab.pacer.handle_sent(&grant, 4, DataSize::from_bytes(1000), lab.now);
    // The caller sleeps too long.
    assert_eq!(lab.pacer.poll(lab.now + ms(13)), None);
    assert_eq!(lab.pacer.poll_timeout(), None);
}

#[test]
fn mistakes_are_named() {
    let start = plenary_netsim::base();
    let mut pacer = Pacer::new(PacerConfig { streams_max: 1, ..PacerConfig::default() }, start);
    pacer.add_stream(AUDIO, Purpose::Audio, false).unwrap();
    assert_eq!(pacer.add_stream(AUDIO, Purpose::Video, true), Err(PacerError::InUse(AUDIO)));
    assert_eq!(pacer.add_stream(RTX, Purpose::Video, true), Err(PacerError::Limit));
    assert_eq!(pacer.set_waiting(RTX, PACKET, start, start), Err(PacerError::NoStream(RTX)));
    assert_eq!(pacer.remove_stream(RTX, start), Err(PacerError::NoStream(RTX)));
    pacer.set_waiting(AUDIO, PACKET, start, start).unwrap();
    pacer.remove_stream(AUDIO, start).unwrap();
    assert_eq!((pacer.waiting(), pacer.poll(start)), (DataSize::ZERO, None));
}

mod properties {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Wait(u32, u64),
        Rate(u64, u64),
        Window(Option<u64>, u64),
        Probe(u64),
        Run(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..5_u32, 0..20_u64).prop_map(|(stream, packets)| Step::Wait(stream, packets)),
            1 => (0..20_000_u64, 0..2000_u64).prop_map(|(pacing, padding)| Step::Rate(pacing, padding)),
            1 => (proptest::option::of(0..50_000_u64), 0..50_000_u64).prop_map(|(window, on)| Step::Window(window, on)),
            1 => (0..20_000_u64).prop_map(Step::Probe),
            4 => (0..300_u64).prop_map(Step::Run),
        ]
    }

    /// Does a step; says what it has sent of media that is neither sound nor a probe's.
    fn act(lab: &mut Lab, step: &Step) -> u64 {
        match *step {
            Step::Wait(stream, packets) => lab.wait(StreamId(stream), packets),
            Step::Rate(pacing, padding) => lab.rates(|rates| {
                (rates.pacing, rates.padding) = (Bitrate::from_kbps(pacing), Bitrate::from_kbps(padding));
            }),
            Step::Window(window, on_the_way) => {
                lab.rates(|rates| rates.window = window.map(DataSize::from_bytes));
                lab.pacer.set_in_flight(DataSize::from_bytes(on_the_way));
            }
            Step::Probe(kbps) => {
                let (rate, duration, interval) = (Bitrate::from_kbps(kbps), ms(15), ms(2));
                let cluster = ProbeCluster { id: ProbeId(kbps as u32), rate, duration, packets_min: 5, interval };
                lab.pacer.handle_probe(cluster, lab.now);
            }
            Step::Run(time) => lab.run(ms(time)),
        }
        let media = lab.sent.drain(..).filter(|(_, _, purpose, _, probe)| {
            matches!(purpose, Purpose::Video | Purpose::Retransmission) && probe.is_none()
        });
        media.map(|(_, _, _, bytes, _)| bytes).sum()
    }

    proptest! {
        #[test]
        fn it_does_not_exceed_its_rate(steps in vec(step(), 1..60)) {
            // Nothing is hurried as it waits for long.
            let config = PacerConfig { wait_max: Duration::from_secs(1_000_000), ..PacerConfig::default() };
            let mut lab = Lab::with(config, 1000);
            for step in steps {
                let sent = act(&mut lab, &step);
                let Step::Run(time) = step else { continue };
                let allowed = lab.pacer.rates.pacing.data_in(ms(time) + config.burst);
                // Packets that cross the end of a grant, and one in each silence.
                let allowed = allowed.as_bytes() + 2 * PACKET.as_bytes() + PACKET.as_bytes() * time / 500;
                prop_assert!(sent <= allowed, "{} of {} in {} ms", sent, allowed, time);
            }
        }

        #[test]
        fn all_of_it_leaves_in_time(steps in vec(step(), 1..60)) {
            let mut lab = Lab::new(1000);
            for step in steps {
                act(&mut lab, &step);
            }
            lab.rates(|rates| rates.window = None);
            lab.run(ms(2100));
            prop_assert_eq!(lab.pacer.waiting(), DataSize::ZERO);
        }
    }
}
