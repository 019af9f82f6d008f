#![no_main]

use libfuzzer_sys::fuzz_target;
use plenary_transport::{Fingerprint, Setup};

// What is read is written as it would be by us, and read again.
fuzz_target!(|line: &str| {
    if let Ok(fingerprint) = Fingerprint::parse(line) {
        let written = fingerprint.to_string();
        assert!(line.trim().len() >= written.len() && written.len() > fingerprint.bytes().len() * 3);
        assert!(line.to_ascii_lowercase().contains(&written[written.len() - 95..].to_ascii_lowercase()));
        assert_eq!(Fingerprint::parse(&written), Ok(fingerprint));
        assert!(
            Fingerprint::any_matches(&[fingerprint], b"") == (Fingerprint::of(fingerprint.hash(), b"") == fingerprint)
        );
    }
    if let Ok(setup) = Setup::parse(line) {
        assert_eq!(setup.to_string(), line.trim());
    }
});
