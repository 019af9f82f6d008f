//! The line grammar beside the `sdp-types` crate's: what it reads from the same text.

use std::fs;
use std::path::Path;

use plenary_sdp::{Attribute, Description, Limits};

use crate::golden;

fn check(name: &str, text: &str) {
    let ours = Description::parse(text, &Limits::default()).unwrap();
    let theirs = sdp_types::Session::parse(text.as_bytes()).unwrap();
    assert_eq!(ours.origin.session_id.to_string(), theirs.origin.sess_id, "{name}");
    assert_eq!(ours.origin.version, theirs.origin.sess_version, "{name}");
    let same = |ours: &[Attribute], theirs: &[sdp_types::Attribute]| {
        let lines = |one: &sdp_types::Attribute| match &one.value {
            Some(value) => format!("{}:{value}", one.attribute),
            None => one.attribute.clone(),
        };
        let theirs: Vec<_> = theirs.iter().map(|one| golden::tidied(&lines(one))).collect();
        assert_eq!(ours.iter().map(ToString::to_string).collect::<Vec<_>>(), theirs, "{name}");
    };
    same(&ours.attributes, &theirs.attributes);
    assert_eq!(ours.media.len(), theirs.medias.len(), "{name}");
    for (ours, theirs) in ours.media.iter().zip(&theirs.medias) {
        assert_eq!((ours.kind.to_string(), ours.port), (theirs.media.clone(), theirs.port), "{name}");
        assert_eq!(ours.protocol.to_string(), theirs.proto, "{name}");
        assert!(
            ours.to_string().starts_with(&format!("m={} {} {} {}\r\n", ours.kind, ours.port, theirs.proto, theirs.fmt))
        );
        same(&ours.attributes, &theirs.attributes);
        assert_eq!(ours.bandwidths.len(), theirs.bandwidths.len(), "{name}");
    }
}

#[test]
fn sdp_types_reads_the_same_lines() {
    for name in golden::ALL {
        check(name, &golden::text(name));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/captures");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "sdp") {
            check(path.to_str().unwrap(), &fs::read_to_string(&path).unwrap());
            count += 1;
        }
    }
    assert_eq!(count, 22);
}
