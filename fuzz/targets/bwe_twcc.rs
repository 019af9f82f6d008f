#![no_main]

use libfuzzer_sys::fuzz_target;
use plenary_fuzz::Sender;

// Packets leave, and transport-wide feedback comes: see `Sender::act`.
fuzz_target!(|bytes: &[u8]| Sender::new().act(15, bytes));
