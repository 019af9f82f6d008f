use std::time::Duration;

use plenary_bwe::receiver::{
    CcfbConfig, CcfbGenerator, Received, RembConfig, RembGenerator, TwccConfig, TwccGenerator,
};
use plenary_rtp::extension::AbsSendTime;
use plenary_rtp::{NtpTime, SeqNo, Ssrc};
use plenary_wire::{DataSize, Ecn};

use super::ms;

#[test]
fn warm_generators_allocate_nothing() {
    let mut twcc = TwccGenerator::new(TwccConfig::default());
    let mut ccfb = CcfbGenerator::new(CcfbConfig::default());
    let mut remb = RembGenerator::new(RembConfig::default());
    let mut out = Vec::with_capacity(10_000);
    let mut messages = 0;
    let mut run = |packets: std::ops::Range<u64>| {
        for number in packets {
            // A fifth is lost, and a tenth comes 20 packets late.
            let number = match number % 10 {
                0 | 5 => continue,
                7 => number - 20,
                _ => number,
            };
            let now = ms(number);
            let (ssrc, seq) = (Ssrc(number as u32 % 3), SeqNo((number / 3) as u16));
            twcc.handle_packet(ssrc, SeqNo(number as u16), now);
            ccfb.handle_packet(&Received { ssrc, seq, ecn: Ecn::Ect1, marker: number.is_multiple_of(30) }, now);
            let departure = AbsSendTime::from_ntp(NtpTime::from_unix(Duration::from_millis(number)));
            remb.handle_packet(ssrc, departure, DataSize::from_bytes(1000), now);
            out.clear();
            messages += u32::from(remb.write(now, 1200, &mut out));
            while twcc.write(now, 1200, &mut out) || ccfb.write(now, NtpTime(number << 22), 1200, &mut out) {
                messages += 1;
            }
        }
    };
    run(100..5000);
    assert_eq!(allocation_counter::measure(|| run(5000..100_000)).count_total, 0);
    assert!(messages > 3000, "{messages}");
}
