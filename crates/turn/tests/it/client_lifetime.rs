//! How a client keeps its allocation, moves it, and gives it back.

use std::time::Duration;

use plenary_stun::{Attribute, Class, ErrorCode, Method};
use plenary_turn::client::{DropReason, Error, Event, Failure};
use plenary_wire::FlowId;

use crate::client_lab::{Asked, FLOW, LOCAL, Lab, PEER, SERVER, Took, stream};
use crate::lab::at;

const ELSEWHERE: &str = "192.0.2.77:4077";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn quiet_nat(config: &mut plenary_turn::client::Config) {
    config.keep_alive = None;
}

fn wished(asked: &Asked) -> u32 {
    u32::from_be_bytes(asked.get(Attribute::LIFETIME).unwrap().try_into().unwrap())
}

#[test]
fn it_is_refreshed_a_minute_before_its_end() {
    let mut lab = Lab::allocated(quiet_nat);
    for at in [540, 1080, 1620] {
        let asked = lab.until_sent(secs(at)).expect("a refresh");
        assert_eq!((lab.ms(), asked.method(), wished(&asked)), (u128::from(at) * 1000, Method::REFRESH, 600));
        lab.check_proof(&asked, b"nonce");
        lab.succeed(&asked, |writer| writer.attribute(Attribute::LIFETIME, &[&600u32.to_be_bytes()]));
    }
    assert_eq!(lab.client.poll_event(), None);
}

#[test]
fn days_go_by() {
    let mut lab = Lab::allocated(quiet_nat);
    let sent = lab.serve_until(86_400);
    assert_eq!(sent.len(), 160);
    assert!(lab.client.allocated().is_some());
}

#[test]
fn a_short_lifetime_is_refreshed_at_its_half_and_not_in_a_storm() {
    for (lifetime, first, within_10s) in [(100, 50_000, 0), (10, 5_000, 2), (1, 500, 20)] {
        let mut lab = Lab::with(quiet_nat);
        lab.allocate(secs(lifetime));
        let asked = lab.until_sent(secs(1000)).unwrap();
        assert_eq!(lab.ms(), first);
        let lifetime = (lifetime as u32).to_be_bytes();
        lab.succeed(&asked, |writer| writer.attribute(Attribute::LIFETIME, &[&lifetime]));
        let mut sent = usize::from(first <= 10_000);
        while let Some(asked) = lab.until_sent(secs(10)) {
            lab.succeed(&asked, |writer| writer.attribute(Attribute::LIFETIME, &[&lifetime]));
            sent += 1;
        }
        assert_eq!(sent, within_10s);
    }
}

#[test]
fn a_lifetime_beyond_a_day_is_a_day() {
    let mut lab = Lab::with(quiet_nat);
    lab.allocate(secs(u32::MAX.into()));
    assert_eq!(lab.client.allocated().unwrap().lifetime, secs(86_400));
}

#[test]
fn without_an_answer_it_lasts_until_its_end() {
    let mut lab = Lab::allocated(quiet_nat);
    let mut last = 0;
    while let Some(asked) = lab.until_sent(secs(599)) {
        assert_eq!(asked.method(), Method::REFRESH);
        last = lab.ms();
    }
    assert!(last > 580_000, "it is tried again: {last}");
    assert_eq!(lab.client.poll_event(), None);
    while lab.until_sent(secs(601)).is_some() {}
    assert_eq!(lab.event(), Event::Failed(Failure::Expired));
    assert_eq!(lab.client.allocated(), None);
    let mut out = Vec::new();
    assert_eq!(lab.client.send(at(PEER), b"x", lab.now, &mut out), Err(Error::NoAllocation));
    assert_eq!(lab.give(b"\x40\x00\x00\x00"), Took::Dropped(DropReason::Ended));
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let mut lab = Lab::allocated(quiet_nat);
    let asked = lab.until_sent(secs(540)).unwrap();
    lab.refuse(&asked, 500);
    let asked = lab.until_sent(secs(545)).unwrap();
    assert_eq!(lab.ms(), 545_000);
    lab.refuse(&asked, 437);
    assert_eq!(lab.event(), Event::Failed(Failure::Refused(ErrorCode::ALLOCATION_MISMATCH)));
}

#[test]
fn a_stale_nonce_is_renewed_in_the_middle() {
    let mut lab = Lab::allocated(quiet_nat);
    let asked = lab.until_sent(secs(540)).unwrap();
    lab.challenge(&asked, 438, b"fresh");
    let asked = lab.next();
    lab.check_proof(&asked, b"fresh");
    lab.succeed(&asked, |writer| writer.attribute(Attribute::LIFETIME, &[&600u32.to_be_bytes()]));
    assert_eq!(lab.client.poll_event(), None);
}

#[test]
fn a_nat_is_kept_open_while_nothing_else_is_sent() {
    let mut lab = Lab::allocated(|_| ());
    let asked = lab.until_sent(secs(100)).unwrap();
    assert_eq!((lab.ms(), asked.method(), asked.message().class()), (15_000, Method::BINDING, Class::Indication));
    lab.now += secs(10);
    lab.send(PEER, b"x");
    assert_eq!(lab.next().method(), Method::CREATE_PERMISSION);
    assert_eq!(lab.quiet(), None);
    let mut times = Vec::new();
    while let Some(asked) = lab.until_sent(secs(60)) {
        if asked.method() == Method::BINDING {
            times.push(lab.ms());
        }
    }
    // The permission, which nobody answers, was last asked for 15.5 s after 25 s.
    assert_eq!(times, [55_500]);
    assert_eq!(Lab::allocated(stream).until_sent(secs(500)), None, "streams need none");
}

#[test]
fn closing_releases_it() {
    for code in [0, 437, 403, 500] {
        let mut lab = Lab::allocated(|_| ());
        lab.send(PEER, b"x");
        lab.client.close(lab.now);
        lab.client.close(lab.now);
        let asked = lab.next();
        assert_eq!((asked.method(), wished(&asked)), (Method::REFRESH, 0));
        assert_eq!((lab.quiet(), lab.client.poll_event(), lab.client.is_ended()), (None, None, false));
        assert_eq!(lab.client.permit(at(PEER).ip(), lab.now), Err(Error::NoAllocation));
        if code == 0 {
            lab.succeed(&asked, |writer| writer.attribute(Attribute::LIFETIME, &[&[0; 4]]));
        } else {
            lab.refuse(&asked, code);
        }
        assert_eq!(lab.event(), Event::Closed);
        assert_eq!((lab.client.is_ended(), lab.client.poll_timeout()), (true, None));
    }
}

#[test]
fn a_release_is_sent_again_for_a_while() {
    let mut lab = Lab::allocated(|_| ());
    lab.client.close(lab.now);
    let mut times = Vec::new();
    while lab.until_sent(secs(60)).is_some() {
        times.push(lab.ms());
    }
    assert_eq!(times, [0, 500, 1500, 3500]);
    assert_eq!(lab.event(), Event::Closed);

    // With a new nonce, if it must be.
    let mut lab = Lab::allocated(|_| ());
    lab.client.close(lab.now);
    let asked = lab.next();
    lab.challenge(&asked, 438, b"fresh");
    let asked = lab.next();
    assert_eq!(wished(&asked), 0);
    lab.check_proof(&asked, b"fresh");
}

#[test]
fn what_may_have_been_allocated_is_released() {
    let mut lab = Lab::with(|_| ());
    lab.next();
    lab.client.close(lab.now);
    assert_eq!(lab.event(), Event::Closed);
    assert_eq!(lab.quiet(), None, "nothing can be there without a password");

    let mut lab = Lab::with(|_| ());
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    let allocate = lab.next();
    lab.client.close(lab.now);
    let asked = lab.next();
    assert_eq!((asked.method(), wished(&asked)), (Method::REFRESH, 0));
    // The answer to the request that was given up means nothing any more.
    let took = lab.respond(Class::Success, &allocate, |_| ());
    assert_eq!(took, Took::Dropped(DropReason::UnknownTransaction));
    lab.refuse(&asked, 437);
    assert_eq!(lab.event(), Event::Closed);
}

#[test]
fn a_stream_that_ends_while_it_closes_is_closed() {
    let mut lab = Lab::allocated(stream);
    lab.client.close(lab.now);
    lab.client.handle_closed(FLOW);
    assert_eq!(lab.event(), Event::Closed);
}

fn mobile() -> Lab {
    let mut lab = Lab::with(|config| config.mobility = true);
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    lab.grant(&asked, secs(600), &[(Attribute::MOBILITY_TICKET, b"ticket one")]);
    lab.event();
    lab
}

#[test]
fn it_moves_with_a_ticket() {
    let mut lab = mobile();
    lab.client.migrate(FlowId(9), at(ELSEWHERE), lab.now).unwrap();
    assert_eq!(lab.client.migrate(FlowId(9), at(ELSEWHERE), lab.now), Err(Error::NoTicket), "one at a time");
    let asked = lab.next();
    assert_eq!((asked.transmit.flow, asked.transmit.local), (FlowId(9), at(ELSEWHERE)));
    assert_eq!(asked.get(Attribute::MOBILITY_TICKET), Some(b"ticket one".to_vec()));
    assert_eq!(asked.method(), Method::REFRESH);
    // Until it is done all goes the old way.
    assert_eq!(lab.client.path(), (FLOW, at(LOCAL)));
    lab.send(PEER, b"x");
    let permission = lab.next();
    assert_eq!(permission.transmit.flow, FLOW);

    // A nonce is for one address only.
    let request = asked.message();
    let challenge = crate::client_lab::unsigned(&asked, 438, &[(Attribute::NONCE, b"there")]);
    assert_eq!(lab.give_by(FlowId(9), at(ELSEWHERE), at(SERVER), &challenge), Took::Consumed);
    let asked = lab.next();
    assert_ne!(asked.message().transaction(), request.transaction());
    assert_eq!(asked.transmit.flow, FlowId(9));
    lab.succeed(&asked, |writer| {
        writer.attribute(Attribute::LIFETIME, &[&600u32.to_be_bytes()]);
        writer.attribute(Attribute::MOBILITY_TICKET, &[b"ticket two"]);
    });
    assert_eq!(lab.event(), Event::Migrated);
    assert_eq!(lab.client.path(), (FlowId(9), at(ELSEWHERE)));
    // What was on its way goes on from the new address.
    let again = lab.next();
    assert_eq!((&again.bytes, again.transmit.flow), (&permission.bytes, FlowId(9)));
    // The server sends the old way until it has heard from the new one, and some of that is on its way for longer.
    let old = lab.give(b"\x40\x00\x00\x00");
    assert_eq!(old, Took::Dropped(DropReason::NoChannel), "it is the server's");
    let other = lab.give_by(FlowId(8), at(LOCAL), at(SERVER), b"\x40\x00\x00\x00");
    assert_eq!(other, Took::Dropped(DropReason::NotServer), "another flow is nobody's");

    lab.client.migrate(FLOW, at(LOCAL), lab.now).unwrap();
    assert_eq!(lab.next().get(Attribute::MOBILITY_TICKET), Some(b"ticket two".to_vec()));
}

#[test]
fn a_move_that_fails_changes_nothing() {
    let mut lab = mobile();
    lab.client.migrate(FlowId(9), at(ELSEWHERE), lab.now).unwrap();
    let asked = lab.next();
    lab.refuse(&asked, 437);
    assert_eq!(lab.event(), Event::MigrationFailed);
    assert_eq!(lab.client.path(), (FLOW, at(LOCAL)));
    assert!(lab.client.allocated().is_some());

    lab.client.migrate(FlowId(9), at(ELSEWHERE), lab.now).unwrap();
    lab.serve_refreshes_of(FLOW);
    assert_eq!(lab.event(), Event::MigrationFailed);
}

impl Lab {
    /// Answers nothing of another flow, for a minute.
    fn serve_refreshes_of(&mut self, flow: FlowId) {
        let end = secs(self.ms() as u64 / 1000 + 60);
        while let Some(asked) = self.until_sent(end) {
            assert!(asked.transmit.flow != flow || asked.message().class() == Class::Indication);
        }
    }
}

#[test]
fn without_a_ticket_there_is_no_move() {
    let mut lab = Lab::allocated(|_| ());
    assert_eq!(lab.client.migrate(FlowId(9), at(ELSEWHERE), lab.now), Err(Error::NoTicket));
    let mut lab = Lab::with(|_| ());
    assert_eq!(lab.client.migrate(FlowId(9), at(ELSEWHERE), lab.now), Err(Error::NoAllocation));
    let mut lab = mobile();
    assert_eq!(lab.client.migrate(FlowId(9), at("[2001:db8::1]:1"), lab.now), Err(Error::NoTicket));
}
