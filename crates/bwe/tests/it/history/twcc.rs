use std::time::Duration;

use plenary_bwe::history::{Config, History, Overhead};
use plenary_bwe::{ProbeId, Purpose};
use plenary_rtp::SeqNo;

use super::wire::Twcc;
use super::{bytes, departure, ms, sent, told};

const FEEDBACK: Twcc<'_> = Twcc { base: 0, reference: 0, count: 0, statuses: &[] };

#[test]
fn what_arrived_and_what_did_not_is_told_once_and_in_order() {
    let mut history = sent(0, 4);
    let feedback = Twcc { statuses: &[Some(40), None, Some(4)], ..FEEDBACK };
    let joined = feedback.to(&mut history, ms(50)).unwrap();
    assert_eq!((joined.lost(), joined.arrived().count()), (1, 2));
    assert_eq!(joined.in_flight, bytes(1028));
    assert_eq!(joined.round_trip, Some(Duration::from_millis(48)), "from the newest that arrived");
    assert_eq!(joined.packets[2].sent.at, ms(2));
    assert_eq!(told(Some(joined)), [(0, Some(10), false), (1, None, false), (2, Some(11), false)]);
}

// The trap of str0m#599: an estimate that counts what is reported twice as having arrived twice.
#[test]
fn a_thousand_duplicates_tell_nothing() {
    let mut history = sent(0, 3);
    let feedback = Twcc { statuses: &[Some(40), None, Some(4)], ..FEEDBACK };
    assert_eq!(told(feedback.to(&mut history, ms(50))).len(), 3);
    for _ in 0..1000 {
        assert_eq!(told(feedback.to(&mut history, ms(51))), []);
    }
    let counters = history.counters();
    assert_eq!((counters.again, counters.feedback_late, counters.feedback_missing), (2000, 1000, 0));
    assert_eq!(history.in_flight(), bytes(0));
}

#[test]
fn a_thousand_messages_in_any_order_tell_the_same() {
    // A message on each ten packets, of which the third is lost, given in two orders: by blocks of thirty.
    let statuses: Vec<_> = (0..10).map(|index| (index != 2).then_some(4)).collect();
    let facts = |order: fn(u64) -> u64| {
        let mut history = History::new(Config { first: SeqNo(60_000), ..Config::default() }).unwrap();
        let mut facts = Vec::new();
        for block in 0..34 {
            for packet in block * 300..(block + 1) * 300 {
                history.handle_sent(departure(), ms(packet));
            }
            for place in 0..30 {
                let message = block * 30 + order(place);
                let (base, count) = (60_000_u16.wrapping_add(message as u16 * 10), message as u8);
                let feedback = Twcc { base, reference: message as i32, count, statuses: &statuses };
                facts.extend(told(feedback.to(&mut history, ms((block + 1) * 300))));
            }
            assert_eq!(history.in_flight(), bytes(0));
        }
        facts.sort_unstable();
        facts
    };
    let in_order = facts(|place| place);
    assert_eq!(in_order.len(), 10_200);
    assert_eq!(facts(|place| 29 - place), in_order);
    assert_eq!(facts(|place| place * 7 % 30), in_order);
}

#[test]
fn one_that_was_lost_is_told_once_more_if_it_arrives_after_all() {
    let mut history = sent(0, 3);
    Twcc { statuses: &[Some(40), None, Some(4)], ..FEEDBACK }.to(&mut history, ms(50)).unwrap();
    // As libwebrtc's receivers do: from the late one on, all over again.
    let again = Twcc { base: 1, statuses: &[Some(80), Some(-36)], count: 1, ..FEEDBACK };
    let joined = again.to(&mut history, ms(100)).unwrap();
    assert_eq!(joined.round_trip, None, "it says nothing of now");
    assert_eq!(told(Some(joined)), [(1, Some(20), true)]);
    assert_eq!(told(again.to(&mut history, ms(100))), []);
    assert_eq!(told(Twcc { base: 1, statuses: &[None], ..FEEDBACK }.to(&mut history, ms(100))), []);
}

#[test]
fn feedback_that_was_overtaken_still_tells() {
    let mut history = sent(0, 4);
    let newer = Twcc { base: 2, statuses: &[Some(48), Some(4)], count: 1, ..FEEDBACK };
    assert_eq!(told(newer.to(&mut history, ms(50))), [(2, Some(12), false), (3, Some(13), false)]);
    assert_eq!(history.in_flight(), bytes(0), "feedback has passed beyond the first two");
    let older = Twcc { statuses: &[Some(40), None], ..FEEDBACK };
    let joined = older.to(&mut history, ms(51)).unwrap();
    assert_eq!(joined.round_trip, None);
    assert_eq!(told(Some(joined)), [(0, Some(10), false), (1, None, false)]);
    assert_eq!(history.counters().feedback_late, 1);
}

#[test]
fn packets_whose_feedback_was_lost_are_neither_lost_nor_in_flight() {
    let mut history = sent(0, 6);
    let feedback = Twcc { base: 4, statuses: &[Some(40)], count: 3, ..FEEDBACK };
    Twcc { statuses: &[Some(40)], ..FEEDBACK }.to(&mut history, ms(40)).unwrap();
    assert_eq!(told(feedback.to(&mut history, ms(50))), [(4, Some(10), false)]);
    assert_eq!(history.in_flight(), bytes(1028));
    assert_eq!(history.counters().feedback_missing, 2);
}

#[test]
fn numbers_wrap() {
    let mut history = sent(65_534, 4);
    assert_eq!(history.next_number() as u16, 2);
    let feedback = Twcc { base: 65_534, statuses: &[Some(40), Some(4), None, Some(4)], ..FEEDBACK };
    let expected = [(65_534, Some(10), false), (65_535, Some(11), false), (0, None, false), (1, Some(12), false)];
    assert_eq!(told(feedback.to(&mut history, ms(50))), expected);
}

#[test]
fn the_reference_time_wraps() {
    let mut history = sent(0, 2);
    let last = (1 << 23) - 1;
    let first = Twcc { reference: last, statuses: &[Some(0)], ..FEEDBACK };
    let second = Twcc { base: 1, reference: -(1 << 23), statuses: &[Some(4)], count: 1 };
    let before = told(first.to(&mut history, ms(50)))[0].1.unwrap();
    let after = told(second.to(&mut history, ms(100)))[0].1.unwrap();
    assert_eq!((before, after - before), (i64::from(last) * 64, 65));
}

#[test]
fn what_was_never_sent_is_counted_and_nothing_else() {
    let mut history = sent(0, 2);
    let ahead = Twcc { base: 2, statuses: &[Some(0), None, Some(0)], ..FEEDBACK };
    assert_eq!(told(ahead.to(&mut history, ms(50))), []);
    assert_eq!((history.counters().unsent, history.in_flight()), (2, bytes(0)));
}

#[test]
fn a_claim_on_65535_packets_is_about_those_that_are_held() {
    // Eight full runs of lost packets, and one of seven.
    let mut claim = vec![0x8f, 205, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0, 0xff, 0xff, 0, 0, 0, 0];
    claim.extend([0x1f, 0xff].repeat(8));
    claim.extend([0, 7, 0, 0]);
    let mut history = sent(0xff00, 1000);
    assert_eq!(told(super::wire::handle(&mut history, &claim, ms(1000))).len(), 1000);
    assert_eq!(told(super::wire::handle(&mut history, &claim, ms(1000))), []);
    assert_eq!(history.in_flight(), bytes(0));
}

#[test]
fn feedback_on_no_packet_tells_nothing() {
    let mut history = sent(0, 1);
    assert_eq!(told(FEEDBACK.to(&mut history, ms(50))), []);
    assert_eq!(history.in_flight(), bytes(1028));
}

// str0m#581: an estimate without headers is above what the path takes.
#[test]
fn sizes_have_all_headers_and_what_is_not_tracked_goes_with_the_next_packet() {
    let overhead = Overhead::UDP_IPV6.plus(Overhead::TURN_CHANNEL);
    let mut history = History::new(Config { overhead, ..Config::default() }).unwrap();
    history.handle_untracked(bytes(100));
    history.handle_untracked(bytes(20));
    let probe = Some(ProbeId(7));
    let first = history.handle_sent(super::Departure { probe, purpose: Purpose::Padding, ..departure() }, ms(0));
    let second = history.handle_sent(departure(), ms(1));
    assert_eq!((first.size, first.untracked, first.in_flight), (bytes(1052), bytes(224), bytes(1052)));
    assert_eq!((first.purpose, first.probe), (Purpose::Padding, probe));
    assert_eq!((second.untracked, second.in_flight), (bytes(0), bytes(2104)));
    assert_eq!(second.number, first.number + 1);
    let feedback = Twcc { statuses: &[Some(4)], ..FEEDBACK };
    assert_eq!(feedback.to(&mut history, ms(9)).unwrap().packets[0].sent, first);
}

#[test]
fn what_went_another_way_is_not_told_of() {
    let mut history = sent(0, 3);
    history.handle_untracked(bytes(100));
    history.handle_route_change(Overhead::NONE);
    assert_eq!(history.in_flight(), bytes(0));
    let next = history.handle_sent(departure(), ms(3));
    assert_eq!((next.number as u16, next.size, next.untracked), (3, bytes(1000), bytes(0)));
    let feedback = Twcc { statuses: &[Some(4), None, Some(4), Some(4)], ..FEEDBACK };
    assert_eq!(told(feedback.to(&mut history, ms(50))), [(3, Some(3), false)]);
    assert_eq!(history.counters().other_route, 2);
}

#[test]
fn what_could_not_be_sent_is_not_lost() {
    let mut history = sent(0, 3);
    history.handle_unsent(history.next_number() - 2);
    assert_eq!(history.in_flight(), bytes(2056));
    let feedback = Twcc { statuses: &[Some(4), None, Some(4)], ..FEEDBACK };
    assert_eq!(told(feedback.to(&mut history, ms(50))), [(0, Some(1), false), (2, Some(2), false)]);
    let lie = Twcc { statuses: &[Some(4), Some(4), Some(4)], ..FEEDBACK };
    assert_eq!(told(lie.to(&mut history, ms(50))), []);
    assert_eq!(history.counters().unsent, 1);
}

#[test]
fn transport_wide_feedback_shows_nothing_of_ecn() {
    use plenary_bwe::history::EcnPath;
    let mut history = History::new(Config { first: SeqNo(0), ..Config::default() }).unwrap();
    for index in 0..20 {
        history.handle_sent(super::Departure { ecn: plenary_wire::Ecn::Ect1, ..departure() }, ms(index));
    }
    Twcc { statuses: &[Some(4); 20], ..FEEDBACK }.to(&mut history, ms(50)).unwrap();
    assert_eq!(history.ecn(), EcnPath::Untested);
}
