//! A page in virtual time: all of the server but its sockets.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use plenary_ice::{Candidate, Credentials, LocalCandidate, Mode, Role};
use plenary_rtp::rtcp::{self, NackWriter, Pli, SenderReport};
use plenary_rtp::{Header, NtpTime, Packet, PacketWriter, RtpTime, SeqNo, Ssrc};
use plenary_sdp::offer_answer::{Negotiated, Section, apply_answer};
use plenary_sdp::{Description, Limits};
use plenary_transport::{
    Certificate, ChannelConfig, Config, DataConfig, DropReason, Event, Handled, MessageKind, Setup, Transport,
};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

use crate::description::remote_parameters;
use crate::engine::Engine;
use crate::options::Options;
use crate::refused::Refused;
use crate::socket::{FLOW, Outbox};

const MS: fn(u64) -> Duration = Duration::from_millis;
const PAGE: FlowId = FlowId(7);

/// What the page sends with: audio, video, and retransmissions of video.
const AUDIO: Ssrc = Ssrc(1111);
const VIDEO: Ssrc = Ssrc(2222);
const RTX: Ssrc = Ssrc(2223);

/// A page and the server, on a wire that takes no time.
struct Scene {
    now: Instant,
    engine: Engine,
    outbox: Outbox,
    server: SocketAddr,
    page: Transport,
    address: SocketAddr,
    id: String,
    /// What the page has received, in the clear.
    rtp: Vec<Vec<u8>>,
    rtcp: Vec<Vec<u8>>,
}

impl Scene {
    /// Connected, by an offer of the page's.
    fn new(options: &str) -> Self {
        Self::connected(options, Mode::Full)
    }

    fn connected(options: &str, page: Mode) -> Self {
        let mut scene = Self::unconnected(options, page);
        let offer = scene.offer();
        let (id, answer) = scene.engine.take_offer(&offer, scene.now).expect("the offer is good");
        scene.id = id;
        scene.take_answer(&offer, &answer);
        scene.run(MS(100));
        assert!(scene.page.profile().is_some(), "{}", scene.page.ice().explain());
        scene
    }

    fn unconnected(options: &str, page: Mode) -> Self {
        let now = Instant::now();
        let [server, address] = [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 5000)));
        let options = Options::parse_from(format!("plenary-echo {options}").split_whitespace());
        let engine = Engine::new(options, server, now).expect("the options are good");
        let certificate = Certificate::generate(SystemTime::now(), Duration::from_secs(86_400)).expect("entropy");
        let mut config = Config::new(certificate, [7; 32]);
        (config.ice.role, config.ice.mode) = (Role::Controlling, page);
        config.data = Some(DataConfig::default());
        let mut page = Transport::new(config, now).expect("the configuration is good");
        page.add_local_candidate(LocalCandidate::host(PAGE, address), now).expect("it is an address");
        page.end_local_candidates(now);
        let (rtp, rtcp, id, outbox) = (Vec::new(), Vec::new(), String::new(), Outbox::new(64));
        Self { now, engine, outbox, server, page, address, id, rtp, rtcp }
    }

    fn offer(&self) -> String {
        let parameters = self.page.local_parameters();
        let (ufrag, password) = (parameters.ice.credentials.ufrag(), parameters.ice.credentials.password());
        let fingerprint = parameters.fingerprints[0];
        let candidates = self.page.ice().local_candidates().into_iter().map(|it| format!("a={it}\r\n"));
        let candidates: String = candidates.collect();
        let lite = if parameters.ice.lite { "a=ice-lite\r\n" } else { "" };
        let section = |mid, kind, formats, lines: String| {
            format!(
                "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=sendrecv\r\n\
                 a=rtcp-mux\r\na=rtcp-rsize\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
                 a=fingerprint:{fingerprint}\r\na=setup:actpass\r\n\
                 a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n{candidates}{lines}"
            )
        };
        let audio = format!("a=rtpmap:111 opus/48000/2\r\na=ssrc:{AUDIO} cname:page\r\n");
        let video = format!(
            "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\n\
             a=fmtp:97 apt=96\r\na=ssrc-group:FID {VIDEO} {RTX}\r\na=ssrc:{VIDEO} cname:page\r\na=ssrc:{RTX} cname:page\r\n"
        );
        let other = "a=rtpmap:96 VP8/90000\r\n".to_owned();
        let sections = [
            section("a", "audio", "111", audio),
            section("v", "video", "96 97", video),
            section("w", "video", "96", other),
        ];
        let sections = sections.concat();
        let data = concat!(
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:d\r\na=sctp-port:5000\r\n",
            "a=max-message-size:262144\r\n"
        );
        format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a v w d\r\n{lite}{sections}{data}")
    }

    fn take_answer(&mut self, offer: &str, answer: &str) -> Negotiated {
        let [offer, answer] = [offer, answer].map(|text| Description::parse(text, &Limits::default()).expect(text));
        let negotiated = apply_answer(&offer, &answer).expect("the answer fits");
        let transport = negotiated.transport.as_ref().expect("something was accepted");
        let parameters = remote_parameters(transport, &negotiated.sections).expect("ICE's");
        self.page.set_remote(parameters, self.now).expect("the transport fits");
        for line in &transport.remote.candidates {
            let candidate = Candidate::parse(&format!("candidate:{line}")).expect("a candidate");
            self.page.add_remote_candidate(candidate, self.now);
        }
        negotiated
    }

    /// Lets time go on.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += MS(1);
            self.page.handle_timeout(self.now);
            self.engine.handle_timeout(self.now);
            while self.carry() {}
        }
    }

    /// Carries what both have to send; says whether there was anything.
    fn carry(&mut self) -> bool {
        let mut out = Vec::new();
        while let Some(event) = self.page.poll_event() {
            assert!(!matches!(event, Event::Closed(_)), "{event:?}");
        }
        while let Some(transmit) = self.page.poll_transmit(self.now, Limit::DATAGRAM, &mut out) {
            self.carry_to_server(&mut out[transmit.range]);
        }
        self.engine.drain(self.now, &mut self.outbox);
        let outbox = std::mem::replace(&mut self.outbox, Outbox::new(64));
        // A page that another stands in for is told nothing more.
        let address = self.address;
        for transmit in outbox.transmits.iter().filter(|transmit| transmit.remote == address) {
            for datagram in transmit.datagrams(&outbox.bytes) {
                self.carry_to_page(&mut datagram.to_vec());
            }
        }
        !outbox.transmits.is_empty()
    }

    fn carry_to_server(&mut self, bytes: &mut [u8]) {
        let (local, remote) = (self.server, self.address);
        let datagram = Datagram { flow: FLOW, local, remote, ecn: Ecn::NotEct, bytes };
        self.engine.handle_datagram(datagram, self.now, &mut self.outbox);
    }

    fn carry_to_page(&mut self, bytes: &mut [u8]) {
        let (local, remote) = (self.address, self.server);
        match self.page.handle_datagram(Datagram { flow: PAGE, local, remote, ecn: Ecn::NotEct, bytes }, self.now) {
            Handled::Rtp(packet) => self.rtp.push(packet.to_vec()),
            Handled::Rtcp(packets) => self.rtcp.push(packets.to_vec()),
            // Errors that the server answers strangers with.
            Handled::Dropped(DropReason::Ice(_)) => {}
            Handled::Dropped(reason) => panic!("{reason:?}"),
            _ => {}
        }
    }

    fn send(&mut self, source: (Ssrc, u8), number: u16, timestamp: u32, payload: &[u8]) {
        self.send_in(if source.1 == 111 { "a" } else { "v" }, source, (number, timestamp), payload);
    }

    fn send_in(
        &mut self,
        mid: &str,
        (ssrc, payload_type): (Ssrc, u8),
        (number, timestamp): (u16, u32),
        payload: &[u8],
    ) {
        let (sequence_number, timestamp) = (SeqNo(number), RtpTime(timestamp));
        let header = Header { marker: true, payload_type, sequence_number, timestamp, ssrc, csrcs: &[] };
        let mut packet = Vec::new();
        let mut writer = PacketWriter::begin(&header, &mut packet).expect("the header is good");
        writer.extension(4, mid.as_bytes()).expect("the element is good");
        let mut writer = writer.into_payload();
        writer.append(payload);
        writer.finish();
        let overhead = self.page.profile().expect("connected").rtp_overhead();
        packet.resize(packet.len() + overhead, 0);
        self.page.protect_rtp(&mut packet, None).expect("connected");
        self.carry_to_server(&mut packet);
        self.carry();
    }

    fn send_rtcp(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), plenary_rtp::Error>) {
        let mut packets = Vec::new();
        write(&mut packets).expect("it can be written");
        let overhead = self.page.profile().expect("connected").rtcp_overhead();
        packets.resize(packets.len() + overhead, 0);
        self.page.protect_rtcp(&mut packets).expect("connected");
        self.carry_to_server(&mut packets);
        self.carry();
    }

    fn received(&self) -> Vec<Packet<'_>> {
        self.rtp.iter().map(|bytes| Packet::parse(bytes).expect("a packet")).collect()
    }

    /// All RTCP that came, packet by packet.
    fn reported(&self) -> impl Iterator<Item = rtcp::Packet<'_>> {
        self.rtcp.iter().flat_map(|bytes| rtcp::packets(bytes)).map(|packet| packet.expect("a packet"))
    }
}

#[test]
fn media_comes_back_under_numbers_of_ours_and_holes_are_filled() {
    let mut scene = Scene::new("");
    for number in [65_534, 65_535, 1, 2] {
        scene.send((VIDEO, 96), number, 9000, &[number as u8; 50]);
    }
    let sent: Vec<_> =
        scene.received().iter().map(|packet| (packet.sequence_number().0, packet.payload()[0])).collect();
    let first = sent[0].0;
    assert!(first < 1 << 15, "SRTP receivers guess the cycle");
    assert_eq!(sent, [(first, 254), (first + 1, 255), (first + 3, 1), (first + 4, 2)]);
    assert!(scene.received().iter().all(|packet| packet.extension(4) == Some(b"v") && packet.marker()));
    // The server asks for what is missing …
    scene.run(MS(30));
    let asked: Vec<_> =
        scene.reported().filter_map(|it| if let rtcp::Packet::Nack(it) = it { Some(it) } else { None }).collect();
    assert_eq!((asked[0].media_ssrc, asked[0].lost().collect::<Vec<_>>()), (VIDEO, vec![SeqNo(0)]));
    // … and passes it on when it comes.
    scene.send((RTX, 97), 100, 9000, &[0, 0, 77]);
    let received = scene.received();
    let repaired = received.last().expect("it was passed on");
    assert_eq!((repaired.sequence_number().0, repaired.payload_type(), repaired.payload()), (first + 2, 96, &[77][..]));
}

#[test]
fn what_the_page_misses_is_sent_again_once_a_round_trip() {
    let mut scene = Scene::new("");
    // As many as are kept, and some.
    for number in 0..520 {
        scene.send((VIDEO, 96), number, 9000, &[number as u8; 50]);
    }
    let (ssrc, lost) = (scene.received()[518].ssrc(), scene.received()[518].sequence_number());
    let unknown = lost.wrapping_add(1000);
    let nack = |out: &mut Vec<u8>| {
        NackWriter::new(Ssrc(1), ssrc, [lost, lost.wrapping_sub(518), unknown]).write(100, out).map(|_| ())
    };
    scene.send_rtcp(nack);
    scene.send_rtcp(nack);
    assert_eq!(scene.rtp.len(), 521);
    let received = scene.received();
    let again = received[520];
    assert_ne!(again.ssrc(), ssrc);
    assert_eq!((again.payload_type(), again.payload()), (97, &[&lost.0.to_be_bytes()[..], &[6; 50]].concat()[..]));
    let status = scene.engine.call(&scene.id).expect("it is there").status();
    assert_eq!(
        (&status["tracks"][1]["sent"]["retransmitted"], &status["tracks"][1]["sent"]["packets"]),
        (&1.into(), &521.into())
    );
}

#[test]
fn a_wish_for_a_key_frame_goes_back_to_who_sends() {
    let mut scene = Scene::new("");
    scene.send((VIDEO, 96), 7, 9000, &[0x10, 0x01, 0, 0]);
    let media_ssrc = scene.received()[0].ssrc();
    scene.send_rtcp(|out| Pli { sender_ssrc: VIDEO, media_ssrc }.write(out));
    scene.run(MS(5));
    let asked: Vec<_> =
        scene.reported().filter_map(|it| if let rtcp::Packet::Pli(it) = it { Some(it) } else { None }).collect();
    assert_eq!(asked, [Pli { sender_ssrc: media_ssrc, media_ssrc: VIDEO }]);
}

// Audio was captured 200 ms before the picture that came with it: a page that plays by our reports shows them so.
#[test]
fn reports_keep_audio_and_video_together() {
    let mut scene = Scene::new("");
    let report = |ssrc, ntp: u64, rtp_timestamp| SenderReport {
        ssrc,
        ntp: NtpTime(ntp),
        rtp_timestamp: RtpTime(rtp_timestamp),
        ..SenderReport::default()
    };
    scene.send((VIDEO, 96), 1, 90_000, &[0; 50]);
    scene.send((AUDIO, 111), 1, 48_000, &[0; 50]);
    scene.send_rtcp(|out| report(VIDEO, 100 << 32, 90_000).write(out));
    scene.send_rtcp(|out| report(AUDIO, 100 << 32, 48_000 + 9_600).write(out));
    scene.send((VIDEO, 96), 2, 91_800, &[0; 50]);
    scene.send((AUDIO, 111), 2, 48_960, &[0; 50]);
    scene.run(MS(1_600));
    let ours: Vec<_> = scene
        .reported()
        .filter_map(|it| if let rtcp::Packet::SenderReport(it) = it { Some(it) } else { None })
        .collect();
    let rate_of =
        |report: &SenderReport<'_>| if report.ssrc == scene.received()[0].ssrc() { 90_000.0 } else { 48_000.0 };
    let [audio, video] = [48_000.0, 90_000.0].map(|rate| {
        let report = ours.iter().find(|report| rate_of(report) == rate).expect("both report");
        // When the timestamp of the first packet was.
        report.ntp.to_unix().as_secs_f64() - f64::from(report.rtp_timestamp.0.wrapping_sub(rate as u32)) / rate
    });
    assert!((video - audio - 0.2).abs() < 0.001, "{}", video - audio);
    let counts: Vec<_> = ours.iter().take(2).map(|report| report.packet_count).collect();
    assert_eq!(counts, [2, 2]);
    let blocks = ours.iter().flat_map(|report| report.reports.iter().map(|block| (block.ssrc, block.cumulative_lost)));
    assert!(blocks.clone().any(|it| it == (VIDEO, 0)) && blocks.clone().any(|it| it == (AUDIO, 0)));
}

#[test]
fn a_source_that_only_its_mid_tells_follows_the_one_before() {
    let mut scene = Scene::new("");
    scene.send((VIDEO, 96), 7, 9_000, &[1; 50]);
    scene.run(MS(100));
    for number in [40_000, 40_001] {
        scene.send((Ssrc(5), 96), number, 77, &[2; 50]);
    }
    let received = scene.received();
    let first = received[0].sequence_number();
    let numbers: Vec<_> = received.iter().map(|packet| first.distance_to(packet.sequence_number())).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!((received[0].timestamp(), received[1].timestamp()), (RtpTime(9_000), RtpTime(18_000)));
    assert!(received.iter().all(|packet| packet.ssrc() == received[0].ssrc()));
}

#[test]
fn a_packet_of_no_section_goes_nowhere() {
    let mut scene = Scene::new("");
    scene.send_in("w", (Ssrc(5), 96), (1, 1), &[1; 50]);
    // By its payload type it may be of two sections.
    scene.send_in("x", (Ssrc(6), 96), (1, 1), &[1; 50]);
    // By its source it is of none, by its payload type of one.
    scene.send_in("x", (Ssrc(7), 111), (1, 1), &[1; 50]);
    let mids: Vec<_> = scene.received().iter().map(|packet| packet.extension(4).map(<[u8]>::to_vec)).collect();
    assert_eq!(mids, [Some(b"w".to_vec()), Some(b"a".to_vec())]);
    let status = scene.engine.call(&scene.id).expect("it is there").status();
    assert_eq!(status["dropped"], serde_json::json!({ "UnknownSource": 1 }));
}

#[test]
fn a_restart_of_ice_changes_nothing_for_media() {
    for options in ["", "--full"] {
        let mut scene = Scene::new(options);
        scene.send((AUDIO, 111), 1, 48_000, &[1; 50]);
        let ufrag = scene.page.ice().local_parameters().credentials;
        scene.page.restart(scene.now);
        let offer = scene.offer();
        let id = scene.id.clone();
        let answer = scene.engine.take_offer_again(&id, &offer, scene.now).expect("the offer is good");
        scene.send((AUDIO, 111), 2, 48_960, &[1; 50]);
        scene.take_answer(&offer, &answer);
        scene.run(MS(100));
        scene.send((AUDIO, 111), 3, 49_920, &[1; 50]);
        assert_eq!(scene.rtp.len(), 3, "{options}");
        assert_ne!(scene.page.ice().local_parameters().credentials, ufrag);
        let report = scene.page.ice().explain();
        assert!(report.pairs.iter().any(|pair| pair.selected), "of the new generation: {report}");
    }
}

// What answers the server's checks has no ufrag, and comes from where nobody has been heard before.
#[test]
fn a_page_that_sends_no_checks_is_found_by_those_of_the_server() {
    let mut scene = Scene::connected("--full", Mode::Lite);
    scene.send((AUDIO, 111), 1, 48_000, &[1; 50]);
    assert_eq!(scene.rtp.len(), 1);
}

#[test]
fn strangers_bind_no_address() {
    for options in ["", "--full"] {
        let mut scene = Scene::new(options);
        let bound = scene.engine.mux.bound();
        // Somebody who has seen the server's ufrag, and not its password.
        let other = Scene::unconnected("", Mode::Full);
        let mut parameters = other.page.local_parameters();
        let ufrag = scene.engine.call(&scene.id).expect("it is there").ufrag();
        parameters.ice.credentials = Credentials::new(&ufrag, &"p".repeat(22)).expect("of their lengths");
        parameters.setup = Setup::Passive;
        scene.page = other.page;
        scene.address = SocketAddr::from(([192, 0, 2, 3], 5000));
        scene.page.set_remote(parameters, scene.now).expect("it is complete");
        let candidate = format!("candidate:1 1 udp 1 {} {} typ host", scene.server.ip(), scene.server.port());
        scene.page.add_remote_candidate(Candidate::parse(&candidate).expect("a candidate"), scene.now);
        scene.run(MS(200));
        assert!(scene.page.ice().explain().pairs[0].checks_sent > 1);
        assert_eq!(scene.engine.mux.bound(), bound, "{options}");
    }
}

#[test]
fn a_source_that_begins_anew_goes_on_here() {
    let mut scene = Scene::new("");
    for number in [7, 8, 30_000, 30_001, 30_002] {
        scene.send((VIDEO, 96), number, u32::from(number), &[number as u8; 50]);
    }
    let received = scene.received();
    let first = received[0].sequence_number();
    let numbers: Vec<_> = received.iter().map(|packet| first.distance_to(packet.sequence_number())).collect();
    // The first of the new numbers is not believed before the second has come.
    assert_eq!(numbers, [0, 1, 2, 3]);
    assert_eq!(received[2].payload(), [30_001u16 as u8; 50]);
}

#[test]
fn the_server_offers_too() {
    let mut scene = Scene::unconnected("--full", Mode::Full);
    let (id, offer) = scene.engine.make_offer(scene.now).expect("there is room");
    let offer = Description::parse(&offer, &Limits::default()).expect("it is well formed");
    let kinds: Vec<_> = offer.media.iter().map(|media| (media.kind.to_string(), media.codecs().len())).collect();
    assert_eq!(kinds, [("audio".to_owned(), 1), ("video".to_owned(), 8), ("application".to_owned(), 0)]);
    assert!(matches!(
        scene.engine.call(&id).map(|call| call.take_answer("v=1", scene.now)),
        Ok(Err(Refused::Malformed(_)))
    ));
    let error = scene.engine.call("0").err().expect("no such call");
    assert!(matches!(error, Refused::NoCall));
}

#[test]
fn messages_come_back_and_wait_for_a_page_that_is_slow() {
    let mut scene = Scene::new("");
    let channel = scene.page.open_channel(ChannelConfig::default()).expect("the first");
    let mut sent = 0;
    // More than both sides hold. Meanwhile the page reads none.
    for _ in 0..200 {
        let message = vec![sent; 100_000];
        sent += u8::from(scene.page.send_message(channel, MessageKind::Binary, &message).is_ok());
        scene.run(MS(10));
    }
    assert!(
        scene.engine.call(&scene.id).expect("it is there").status()["dataChannels"]["messages"].as_u64() > Some(15)
    );
    let stuck = sent;
    let mut heard = 0;
    for _ in 0..100 {
        while let Some(message) = scene.page.poll_message() {
            assert_eq!((message.kind, message.bytes.len(), message.bytes[0]), (MessageKind::Binary, 100_000, heard));
            heard += 1;
        }
        scene.run(MS(10));
    }
    assert!((20..200).contains(&stuck) && heard == sent, "{stuck} sent before it stood still, {heard} of {sent} heard");
}

#[test]
fn an_offer_of_a_browser_is_answered_with_sources() {
    let mut scene = Scene::unconnected("", Mode::Full);
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/sdp/tests/golden/chromium-156.offer.sdp");
    // The file has media one way only.
    let offer = std::fs::read_to_string(golden).expect("the file is there").replace("a=sendonly", "a=sendrecv");
    let (_, text) = scene.engine.take_offer(&offer, scene.now).expect("the offer is good");
    let [offer, answer] =
        [&offer, &text].map(|text| Description::parse(text, &Limits::default()).expect("well formed"));
    let negotiated = apply_answer(&offer, &answer).expect("the answer fits");
    let Section::Rtp(video) = &negotiated.sections[1] else { panic!("accepted") };
    assert_eq!((video.codecs[0].format.to_string(), video.remote_ssrc_groups.len()), ("VP8/90000".to_owned(), 1));
    assert_eq!(video.remote_ssrc_groups[0].ssrcs.len(), 2);
    assert!(video.simulcast.recv.is_empty() && answer.media.iter().take(2).all(|media| media.msids().count() == 1));
    assert!(text.contains("a=ice-lite") && !text.contains("trickle"));
}

#[test]
fn what_can_not_be_answered_is_refused_with_its_reason() {
    let mut scene = Scene::unconnected("", Mode::Full);
    // Of media alone: data channels need no codec.
    let offer = scene.offer().split("m=application").next().expect("what comes before").to_owned();
    for (from, to, reason) in [
        ("v=0", "v=1", "line 1"),
        ("a=rtcp-mux", "a=x", "NoRtcpMux"),
        ("a=fingerprint:sha-256", "a=x:", "NoTransport"),
        ("VP8/90000", "VP7/90000", "accepted"),
    ] {
        let refused = scene.engine.take_offer(&offer.replace(from, to), scene.now);
        let told = refused.map_or_else(|refused| refused.to_string(), |_| "accepted".to_owned());
        assert!(told.contains(reason), "{to}: {told}");
    }
}

#[test]
fn calls_have_a_limit_and_those_that_ended_make_room() {
    let mut scene = Scene::unconnected("", Mode::Full);
    let offer = scene.offer();
    let mut ids: Vec<_> =
        (0..64).map(|_| scene.engine.take_offer(&offer, scene.now).expect("there is room").0).collect();
    assert!(matches!(scene.engine.take_offer(&offer, scene.now), Err(Refused::TooManyCalls)));
    scene.engine.hang_up(&ids[9], scene.now).expect("it is there");
    ids.push(scene.engine.take_offer(&offer, scene.now).expect("one has made room").0);
    assert!(scene.engine.call(&ids[9]).is_err() && scene.engine.call(&ids[64]).is_ok());
}
