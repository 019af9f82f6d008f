use std::net::IpAddr;
use std::time::Instant;

use crate::tuple::Places;

/// Places for networks: a flood from so many at once is needed to fill them all.
const PLACES: usize = 4096;

/// How many answers each network may still have: a table that no stranger can make grow.
///
/// Networks whose hashes fall together share what there is.
pub(crate) struct Flood {
    places: Places,
    buckets: Box<[Bucket]>,
    per_second: u32,
    start: Instant,
}

/// Full is `per_second`, in thousandths of an answer.
#[derive(Clone, Copy)]
struct Bucket {
    /// Milliseconds since the start at which it was last looked at.
    at: u64,
    used: u32,
}

impl Flood {
    pub(crate) fn new(places: Places, per_second: u16, start: Instant) -> Self {
        let buckets = vec![Bucket { at: 0, used: 0 }; PLACES].into_boxed_slice();
        Self { places, buckets, per_second: per_second.into(), start }
    }

    /// Takes one answer of the network of an address: /24 or /56.
    pub(crate) fn allows(&mut self, ip: IpAddr, now: Instant) -> bool {
        let place = match ip.to_canonical() {
            IpAddr::V4(ip) => self.places.of_bytes(&ip.octets()[..3]),
            IpAddr::V6(ip) => self.places.of_bytes(&ip.octets()[..7]),
        };
        let at = now.saturating_duration_since(self.start).as_millis() as u64;
        let bucket = &mut self.buckets[place as usize % PLACES];
        let regained = at.saturating_sub(bucket.at).saturating_mul(self.per_second.into());
        bucket.used = u64::from(bucket.used).saturating_sub(regained) as u32;
        bucket.at = bucket.at.max(at);
        let allowed = bucket.used + 1000 <= self.per_second * 1000;
        if allowed {
            bucket.used += 1000;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_network_has_its_share_and_others_have_theirs() {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; time is virtual")]
        let start = Instant::now();
        let mut flood = Flood::new(Places::new([7; 16]), 10, start);
        let mut passed = |network: &str, at: u64, tries: u8| {
            let now = start + Duration::from_millis(at);
            let address = |host: u8| format!("{network}{host}").parse().unwrap();
            (1..=tries).filter(|host| flood.allows(address(*host), now)).count()
        };
        assert_eq!(passed("192.0.2.", 0, 100), 10, "a second's worth at once");
        assert_eq!(passed("192.0.3.", 0, 100), 10, "of each /24");
        assert_eq!(passed("::ffff:192.0.2.", 0, 100), 0, "in either form");
        assert_eq!(passed("192.0.2.", 100, 100), 1);
        assert_eq!(passed("192.0.2.", 1100, 100), 10);
        assert_eq!(passed("192.0.2.", 500, 100), 0, "a clock that goes back gives nothing");
        assert_eq!(passed("2001:db8:0:1::", 0, 100), 10);
        assert_eq!(passed("2001:db8:0:ff::", 0, 100), 0, "of each /56");
        assert_eq!(passed("2001:db8:0:100::", 0, 100), 10);
    }
}
