use plenary_stun::{Attribute, Class, Method};

use super::AUTHENTICATED;
use crate::Probe;
use crate::draft::{Draft, appended};
use crate::probe::{Rule, rule};
use crate::want::Want::{ErrorOrSilence, Silence};

const SHORT: Rule = rule("RFC 8489 §5", "a message has a header of 20 bytes");
const LENGTH: Rule = rule("RFC 8489 §6.3", "a message whose length is not sensible is dropped");
const COOKIE: Rule = rule("RFC 8489 §6.3", "a message without the magic cookie is dropped");
const TOP: Rule = rule("RFC 8489 §6.3", "the first two bits of a message are 0");
const CLASS: Rule = rule("RFC 8489 §6.3", "a message whose class its method does not have is dropped");
const METHOD: Rule = rule("RFC 8489 §6.3", "a message of an unknown method is dropped");
const RESPONSE: Rule = rule("RFC 8489 §6.3.3", "a response to no request is dropped");
const FINGERPRINT: Rule = rule("RFC 8489 §6.3", "a message with a wrong fingerprint is dropped");

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = lengths();
    probes.extend(cookies());
    probes.extend(classes());
    probes.extend(methods());
    probes.extend(fingerprints());
    probes
}

fn lengths() -> Vec<Probe> {
    let mut probes = Vec::new();
    for len in [0, 1, 2, 4, 8, 12, 16, 19] {
        let input = format!("the first {len} bytes of a Binding request");
        probes.push(Probe::datagram(format!("header.short-{len}"), SHORT, input, Silence, move || {
            Draft::binding().unsigned()[..len].to_vec()
        }));
    }
    for stated in [1_u16, 2, 3, 5] {
        let input = format!("a Binding request that says {stated} bytes, and has them");
        probes.push(Probe::datagram(format!("header.odd-{stated}"), LENGTH, input, Silence, move || {
            appended(Draft::binding().unsigned(), &vec![0; stated.into()])
        }));
    }
    for stated in [4_u16, 8, 1000, 0xfffc] {
        let input = format!("a Binding request that says {stated} bytes, and has none");
        probes.push(Probe::datagram(format!("header.beyond-{stated}"), LENGTH, input, Silence, move || {
            let mut bytes = Draft::binding().unsigned();
            bytes[2..4].copy_from_slice(&stated.to_be_bytes());
            bytes
        }));
    }
    for len in [1, 4, 20] {
        let input = format!("a Binding request with {len} bytes behind it");
        probes.push(Probe::datagram(format!("header.trailing-{len}"), LENGTH, input, Silence, move || {
            let mut bytes = Draft::binding().unsigned();
            bytes.resize(bytes.len() + len, 0);
            bytes
        }));
    }
    probes
}

fn cookies() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, cookie) in [
        ("zero", [0; 4]),
        ("ones", [0xff; 4]),
        ("first", [0x20, 0x12, 0xa4, 0x42]),
        ("second", [0x21, 0x13, 0xa4, 0x42]),
        ("third", [0x21, 0x12, 0xa5, 0x42]),
        ("fourth", [0x21, 0x12, 0xa4, 0x43]),
        ("reversed", [0x42, 0xa4, 0x12, 0x21]),
    ] {
        for (of, make) in [("binding", Draft::binding as fn() -> Draft), ("allocate", Draft::allocate as fn() -> Draft)]
        {
            let input = format!("{of} with the cookie {cookie:02x?}");
            probes.push(Probe::datagram(format!("header.cookie-{name}-{of}"), COOKIE, input, Silence, move || {
                let mut bytes = make().unsigned();
                bytes[4..8].copy_from_slice(&cookie);
                bytes
            }));
        }
    }
    for top in [0x40, 0x80, 0xc0] {
        let input = format!("a Binding request with {:02b} before it", top >> 6);
        probes.push(Probe::datagram(format!("header.top-{top:02x}"), TOP, input, Silence, move || {
            let mut bytes = Draft::binding().unsigned();
            bytes[0] |= top;
            bytes
        }));
    }
    probes
}

fn classes() -> Vec<Probe> {
    let mut probes = Vec::new();
    let methods = AUTHENTICATED.into_iter().chain([("binding", Method::BINDING)]);
    for (name, method) in methods {
        for (class, what) in [(Class::Success, "success"), (Class::Error, "error")] {
            let input = format!("a {what} response of {name} that nobody asked for");
            probes.push(Probe::datagram(format!("header.{what}-{name}"), RESPONSE, input, Silence, move || {
                Draft::of(class, method).with(Attribute::SOFTWARE, b"probe").unsigned()
            }));
        }
    }
    for (name, method) in AUTHENTICATED {
        let input = format!("an indication of {name}");
        probes.push(Probe::datagram(format!("header.indication-{name}"), CLASS, input, Silence, move || {
            Draft::indication(method).unsigned()
        }));
    }
    let indication = rule("RFC 8489 §6.3.2", "an indication is not answered");
    let make = || Draft::indication(Method::BINDING).unsigned();
    probes.push(Probe::datagram("header.indication-binding", indication, "a Binding indication", Silence, make));
    for (name, method) in [("send", Method::SEND), ("data", Method::DATA)] {
        let input = format!("a request of {name}, which only has indications");
        probes.push(Probe::datagram(format!("header.request-{name}"), CLASS, input, Silence, move || {
            Draft::request(method).unsigned()
        }));
    }
    probes
}

fn methods() -> Vec<Probe> {
    let of = |method: u16| {
        let input = format!("a request of the method {method:#05x}");
        let id = format!("header.method-{method:03x}");
        Probe::datagram(id, METHOD, input, Silence, move || Draft::request(Method(method)).unsigned())
    };
    [0x000, 0x002, 0x005, 0x00d, 0x07f, 0x0ff].map(of).into()
}

fn fingerprints() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, at, with) in [("first", 4, 0x80), ("last", 1, 0x01), ("all", 2, 0xff)] {
        let input = format!("a Binding request whose fingerprint is wrong in its {name} bits");
        probes.push(Probe::datagram(format!("header.fingerprint-{name}"), FINGERPRINT, input, Silence, move || {
            let mut bytes = Draft::binding().fingerprinted();
            let len = bytes.len();
            bytes[len - at] ^= with;
            bytes
        }));
    }
    let make = || {
        let mut bytes = Draft::allocate().fingerprinted();
        let len = bytes.len();
        bytes[len - 1] ^= 1;
        bytes
    };
    let input = "an Allocate request with a wrong fingerprint";
    probes.push(Probe::datagram("header.fingerprint-allocate", FINGERPRINT, input, Silence, make));
    let changed = || {
        let mut bytes = Draft::binding().with(Attribute::SOFTWARE, b"probe").fingerprinted();
        bytes[24] ^= 1;
        bytes
    };
    let input = "a Binding request that was changed under its fingerprint";
    probes.push(Probe::datagram("header.fingerprint-changed", FINGERPRINT, input, Silence, changed));
    for len in [0_u8, 3, 8] {
        let input = format!("a fingerprint of {len} bytes");
        let size = rule("RFC 8489 §14.7", "a fingerprint has 4 bytes");
        probes.push(Probe::datagram(
            format!("header.fingerprint-size-{len}"),
            size,
            input,
            ErrorOrSilence(&[400]),
            move || Draft::binding().with(Attribute::FINGERPRINT, &vec![0; len.into()]).unsigned(),
        ));
    }
    probes
}
