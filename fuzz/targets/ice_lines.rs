//! The first byte chooses: a line, or a TCP stream of which the second byte is the longest frame that is taken, and the
//! third begins a list of cuts that ends with a zero.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plenary_ice::{Attribute, Candidate, Deframer, FrameTooLong, Parameters, ParseError, write_frame};

/// How much longer a line may be when it is written: a related address without a port gets ` rport 0`.
const GROWTH: usize = " rport 0".len();
/// What `Candidate::parse` accepts.
const LINE_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((0, [frame_bytes_max, rest @ ..])) => {
            let zero = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
            let (cuts, stream) = rest.split_at(zero);
            deframe(usize::from(*frame_bytes_max), cuts, stream);
        }
        Some((_, line)) => {
            if let Ok(line) = std::str::from_utf8(line) {
                candidate(line);
                attribute(line);
            }
        }
        None => {}
    }
});

/// What was read is written in no more than its own length and read again as the same.
fn candidate(line: &str) {
    let read = Candidate::parse(line);
    assert!(line.len() <= LINE_BYTES_MAX || read == Err(ParseError::TooLong));
    let Ok(candidate) = read else { return };
    assert_eq!(line.parse().as_ref(), Ok(&candidate));
    let written = candidate.to_string();
    assert!(written.len() <= line.len() + GROWTH, "{written}");
    assert!(!written.contains(['\r', '\n']), "{written:?} is one line");
    if written.len() <= LINE_BYTES_MAX {
        assert_eq!(Candidate::parse(&written).as_ref(), Ok(&candidate));
        assert_eq!(Attribute::parse(&written), Ok(Attribute::Candidate(candidate)));
    }
}

fn attribute(line: &str) {
    let Ok(attribute) = Attribute::parse(line) else { return };
    let written = attribute.to_string();
    assert!(written.len() <= line.len() + GROWTH, "{written}");
    assert!(!written.contains(['\r', '\n']), "{written:?} is one line");
    if written.len() <= LINE_BYTES_MAX {
        assert_eq!(Attribute::parse(&written).as_ref(), Ok(&attribute));
        assert_eq!(Attribute::parse(&format!("a={written}\r\n")).as_ref(), Ok(&attribute));
    }
    // Beside credentials, it makes parameters that come back.
    let mut lines = vec![Attribute::Ufrag("ufrag".to_owned()), Attribute::Password("p".repeat(22)), attribute];
    if let Ok(parameters) = Parameters::from_attributes(&lines) {
        lines = parameters.attributes();
        assert_eq!(Parameters::from_attributes(&lines), Ok(parameters));
    }
}

fn deframe(frame_bytes_max: usize, cuts: &[u8], stream: &[u8]) {
    let whole = frames(frame_bytes_max, [stream]);
    let mut rest = stream;
    let pieces = cuts.iter().map(|&cut| {
        let (piece, behind) = rest.split_at(rest.len().min(usize::from(cut)));
        rest = behind;
        piece
    });
    let mut pieces: Vec<_> = pieces.collect();
    pieces.push(rest);
    assert_eq!(frames(frame_bytes_max, pieces), whole);
    assert_eq!(frames(frame_bytes_max, stream.chunks(1)), whole);

    let (found, error) = whole;
    assert!(found.iter().all(|frame| (1..=frame_bytes_max).contains(&frame.len())));
    // Written again, they are the front of the stream but for frames that are empty.
    let mut written = Vec::new();
    for frame in &found {
        write_frame(frame, &mut written).expect("it came from a frame");
    }
    assert!(written.len() <= stream.len());
    assert_eq!(frames(frame_bytes_max, [&written[..]]), (found, None));
    if let Some(FrameTooLong) = error {
        assert!(frame_bytes_max < usize::from(u16::MAX));
    }
}

fn frames<'a>(
    frame_bytes_max: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Vec<u8>>, Option<FrameTooLong>) {
    let mut deframer = Deframer::new(frame_bytes_max);
    let mut found = Vec::new();
    for mut piece in pieces {
        loop {
            match deframer.take(&mut piece) {
                Ok(Some(frame)) => found.push(frame.to_vec()),
                Ok(None) => break assert!(piece.is_empty(), "all was taken"),
                Err(error) => {
                    assert_eq!(deframer.take(&mut piece), Err(error), "it stays refused");
                    return (found, Some(error));
                }
            }
        }
    }
    (found, None)
}
