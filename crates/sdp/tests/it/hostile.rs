//! What no honest peer writes.

use plenary_sdp::{Description, Limits, ParseError, Part, Reason};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

fn refused(text: &str) -> (usize, Reason) {
    let ParseError { line, reason } = Description::parse(text, &Limits::default()).expect_err("it is refused");
    (line, reason)
}

/// The error of a video section with these lines; the first is line 6.
fn section(lines: &str) -> (usize, Reason) {
    refused(&format!("{HEAD}m=video 9 UDP/TLS/RTP/SAVPF 96 97\n{lines}"))
}

fn many(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(|index| line(index) + "\r\n").collect()
}

#[test]
fn a_thousand_sections_are_refused() {
    let text = HEAD.to_owned() + &many(1_000, |_| "m=audio 0 UDP/TLS/RTP/SAVPF 0".to_owned());
    assert_eq!(refused(&text), (4 + 257, Reason::TooMany(Part::Media)));
}

#[test]
fn a_line_of_a_megabyte_is_refused() {
    assert_eq!(refused(&format!("{HEAD}a=x:{}", "y".repeat(1_000_000))), (5, Reason::TooMany(Part::Text)));
    assert_eq!(refused(&format!("{HEAD}a=x:{}\r\n", "y".repeat(100_000))), (5, Reason::OutOfRange(Part::LineBytes)));
}

#[test]
fn a_hundred_thousand_attributes_are_refused() {
    let lines = many(100_000, |_| "a=x".to_owned());
    assert_eq!(section(&lines), (6 + 1_024, Reason::TooMany(Part::Attribute)));
    // Spread over many sections they come to the limit of lines.
    let spread = many(200, |_| "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".to_owned() + &many(100, |_| "a=x".to_owned()));
    assert_eq!(refused(&format!("{HEAD}{spread}")), (16_385, Reason::TooMany(Part::Lines)));
}

#[test]
fn what_names_itself_twice_is_refused() {
    for (lines, expected) in [
        ("a=mid:0\na=mid:1", (7, Part::Mid)),
        ("a=mid:0\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:0", (8, Part::Mid)),
        ("a=rtpmap:96 VP8/90000\na=rtpmap:96 VP9/90000", (7, Part::RtpMap)),
        ("a=extmap:1 urn:a\na=extmap:1 urn:b", (7, Part::ExtMap)),
        ("a=extmap:200 urn:a\na=extmap:200/sendonly urn:b", (7, Part::ExtMap)),
        ("a=rid:q send\na=rid:q recv", (7, Part::Rid)),
        ("a=rid:q send\na=rid:q send", (7, Part::Rid)),
        ("a=mid:0\na=mid:0", (7, Part::Mid)),
        ("a=simulcast:send q\na=simulcast:recv h", (7, Part::Simulcast)),
        ("a=sendonly\na=sendrecv", (7, Part::Direction)),
        ("a=ice-ufrag:aaaa\na=ice-ufrag:bbbb", (7, Part::IceUfrag)),
        ("a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa\na=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb", (7, Part::IcePwd)),
        ("a=setup:active\na=setup:passive", (7, Part::Setup)),
        ("a=sctp-port:1\na=sctp-port:2", (7, Part::SctpPort)),
        ("a=max-message-size:1\na=max-message-size:2", (7, Part::MaxMessageSize)),
        ("a=ice-options:a\na=ice-options:b", (7, Part::IceOptions)),
        ("c=IN IP4 0.0.0.0\nc=IN IP4 0.0.0.0", (7, Part::Connection)),
    ] {
        assert_eq!(section(lines), (expected.0, Reason::Duplicate(expected.1)), "{lines}");
    }
}

// Chromium takes all of these; they mean nothing new.
#[test]
fn what_is_said_again_is_taken_up_to_a_limit() {
    let lines = "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 x=1\r\na=fmtp:96 y=1\r\na=rtpmap:96 opus/48000/2\r\n\
        a=extmap:1 urn:a\r\na=extmap:1 urn:a\r\na=sendonly\r\na=sendonly\r\na=setup:actpass\r\na=setup:actpass\r\n\
        a=ice-options:trickle\r\na=ice-options:trickle\r\n";
    let text = format!("{HEAD}m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n{lines}");
    let read = Description::parse(&text, &Limits::default()).unwrap();
    assert_eq!(read.to_string(), text);
    assert_eq!(read.media[0].codecs()[0].parameters.as_str(), "y=1;x=1");
    assert_eq!(read.transport(&read.media[0]).ice_options.len(), 1);
    assert_eq!(section(&many(18, |n| format!("a=fmtp:96 x={n}"))), (6 + 17, Reason::Duplicate(Part::Fmtp)));
    assert_eq!(section(&many(18, |_| "a=sendrecv".to_owned())), (6 + 17, Reason::Duplicate(Part::Direction)));
}

#[test]
fn every_table_ends() {
    for (limit, part, line) in [
        (64, Part::ExtMap, &(|n: usize| format!("a=extmap:{} urn:{n}", n + 16)) as &dyn Fn(usize) -> String),
        (16, Part::Rid, &|n| format!("a=rid:{n} send")),
        (64, Part::Ssrc, &|n| format!("a=ssrc:{n} cname:x")),
        (128, Part::Candidate, &|n| format!("a=candidate:{n} 1 udp 1 192.0.2.1 9 typ host")),
        (8, Part::Fingerprint, &|_| format!("a=fingerprint:sha-1 {}", ["00"; 20].join(":"))),
        (8, Part::Group, &|n| format!("a=group:LS {n}")),
        (16, Part::RtcpFb, &|n| format!("a=rtcp-fb:* x{n}")),
        (16, Part::Lines, &|n| format!("b=AS:{n}")),
    ] {
        assert_eq!(section(&many(limit + 1, line)), (6 + limit, Reason::TooMany(part)));
        let text = format!("{HEAD}m=video 9 UDP/TLS/RTP/SAVPF 96\n{}", many(limit, line));
        assert!(Description::parse(&text, &Limits::default()).is_ok(), "{part:?}");
    }
    let options = format!("a=ice-options:{}", vec!["a"; 17].join(" "));
    assert_eq!(section(&options), (6, Reason::TooMany(Part::IceOptions)));
}

#[test]
fn endless_lists_are_refused() {
    let list = |separator: &str| (0..2_000).map(|n| n.to_string()).collect::<Vec<_>>().join(separator);
    assert_eq!(section(&format!("a=simulcast:send {}", list(";"))), (6, Reason::TooMany(Part::Simulcast)));
    assert_eq!(section(&format!("a=simulcast:send {}", list(","))), (6, Reason::TooMany(Part::Simulcast)));
    assert_eq!(section(&format!("a=ssrc-group:SIM {}", list(" "))), (6, Reason::TooMany(Part::SsrcGroup)));
    assert_eq!(
        section(&format!("a=rid:q send pt={}", ["1"; 2_000].join(","))),
        (6, Reason::TooMany(Part::PayloadType))
    );
    assert_eq!(refused(&format!("{HEAD}a=group:BUNDLE {}", list(" "))), (5, Reason::TooMany(Part::Group)));
    assert_eq!(refused(&format!("{HEAD}m=text 9 X {}", list(" "))), (5, Reason::TooMany(Part::PayloadType)));
}

#[test]
fn ids_out_of_range_are_refused() {
    for (lines, reason) in [
        ("a=extmap:0 urn:a", Reason::OutOfRange(Part::ExtMap)),
        ("a=extmap:256 urn:a", Reason::OutOfRange(Part::ExtMap)),
        ("a=rtpmap:128 VP8/90000", Reason::OutOfRange(Part::PayloadType)),
        ("a=fmtp:128 a", Reason::OutOfRange(Part::PayloadType)),
        ("a=rtcp-fb:999 nack", Reason::OutOfRange(Part::PayloadType)),
        ("a=ssrc:4294967296 cname:x", Reason::Malformed(Part::Ssrc)),
        ("m=video 65536 UDP/TLS/RTP/SAVPF 96", Reason::OutOfRange(Part::Port)),
        ("m=video 9 UDP/TLS/RTP/SAVPF 128", Reason::OutOfRange(Part::PayloadType)),
    ] {
        assert_eq!(section(lines), (6, reason), "{lines}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for (text, expected) in [
        ("", (1, Reason::Missing('v'))),
        ("o=- 1 1 IN IP4 a", (1, Reason::Missing('v'))),
        ("v=0\r\n", (2, Reason::Missing('o'))),
        ("v=0\r\ns=-\r\n", (2, Reason::Missing('o'))),
        ("v=1\r\n", (1, Reason::Malformed(Part::Version))),
        ("v=0\no=- 1 1 IN IP4 a\nt=0 0\n", (3, Reason::Missing('s'))),
        ("v=0\no=- 1 1 IN IP4 a\ns=-\n", (4, Reason::Missing('t'))),
        ("v=0\no=- 1 1 IN IP4 a\ns=-\nm=audio 9 RTP/AVP 0\n", (4, Reason::Missing('t'))),
        ("v=0\no=- 1 1 IN IP4 a\ns=-\nt=0\n", (4, Reason::Malformed(Part::Time))),
        ("v=0\no=x\n", (2, Reason::Malformed(Part::Origin))),
    ] {
        assert_eq!(refused(text), expected, "{text:?}");
    }
}

// RFC 8866 §5: a description with a type letter that is not known is ignored as a whole.
#[test]
fn lines_of_unknown_types_are_refused() {
    assert_eq!(refused(&format!("{HEAD}x=1\n")), (5, Reason::UnknownLetter('x')));
    assert_eq!(section("t=0 0"), (6, Reason::UnknownLetter('t')));
    assert_eq!(refused(&format!("{HEAD}v=0\n")), (5, Reason::UnknownLetter('v')));
    assert_eq!(section("o=- 1 1 IN IP4 a"), (6, Reason::UnknownLetter('o')));
}

#[test]
fn lines_in_another_order_are_put_in_theirs() {
    let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n";
    let text =
        format!("{head}a=x\nk=prompt\nt=0 0\nr=7d 1h 0\nt=1 2\nb=AS:1\nc=IN IP6 ::1\ne=e\nu=u\ni=i\nz=1 2\np=p\n");
    let read = Description::parse(&text, &Limits::default()).unwrap();
    let ordered = "i=i\nu=u\ne=e\np=p\nc=IN IP6 ::1\nb=AS:1\nt=0 0\nr=7d 1h 0\nt=1 2\nz=1 2\nk=prompt\na=x\n";
    assert_eq!(read.to_string(), format!("{head}{}", ordered.replace('\n', "\r\n")));
    assert_eq!(Description::parse(&read.to_string(), &Limits::default()), Ok(read));
    let section = "m=audio 9 RTP/AVP 0\r\ni=t\r\nc=IN IP4 a\r\nb=AS:1\r\nk=prompt\r\na=x\r\n";
    let text = format!("{HEAD}m=audio 9 RTP/AVP 0\na=x\nk=prompt\nb=AS:1\nc=IN IP4 a\ni=t\n");
    let read = Description::parse(&text, &Limits::default()).unwrap();
    assert_eq!(read.to_string(), format!("{HEAD}{section}"));
    assert_eq!(Description::parse(&read.to_string(), &Limits::default()), Ok(read));
}

#[test]
fn limits_are_the_callers() {
    let text = format!("{HEAD}{}", many(3, |_| "m=audio 9 UDP/TLS/RTP/SAVPF 0".to_owned()));
    let limits = Limits { media: 2, ..Limits::default() };
    let error = Description::parse(&text, &limits).unwrap_err();
    assert_eq!(error.to_string(), "line 7: the media line: more than the limit");
}

/// One long text costs about what short ones of the same length together cost: 16 times as much would be quadratic.
#[cfg(target_os = "linux")]
#[test]
fn time_is_linear() {
    const SCALE: usize = 16;
    let limits = Limits {
        bytes: usize::MAX,
        lines: usize::MAX,
        media: usize::MAX,
        attributes: usize::MAX,
        ssrcs: usize::MAX,
        candidates: usize::MAX,
        ..Limits::default()
    };
    let text = |scale: usize| {
        let sections = many(100 * scale, |n| format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{n}"));
        let lines = many(2_000 * scale, |n| format!("a=ssrc:{n} cname:x\r\na=candidate:{n}\r\na=x{n}:y"));
        format!("{HEAD}{sections}{lines}")
    };
    let (short, long) = (text(1), text(SCALE));
    let cost = |text: &str, times: usize| {
        let before = cpu_time();
        (0..times).for_each(|_| assert!(Description::parse(text, &limits).is_ok()));
        cpu_time() - before
    };
    let (many_short, one_long) =
        (0..3).fold((0, 0), |(many_short, one_long), _| (many_short + cost(&short, SCALE), one_long + cost(&long, 1)));
    assert!(one_long < many_short * 4, "{many_short} ns and {one_long} ns");
}

/// Nanoseconds that this thread was on a processor: other work on the machine does not count. Its steps are those of the
/// scheduler, a few milliseconds.
#[cfg(target_os = "linux")]
fn cpu_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number is first")
}
