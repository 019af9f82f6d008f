//! What a STUN server says.

use std::net::{IpAddr, SocketAddr};

/// What a STUN server answers to a Binding request.
pub(crate) fn stun_answer(from: SocketAddr, request: &[u8]) -> Vec<u8> {
    let (family, ip) = match from.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut answer = vec![1, 1, 0, 8 + ip.len() as u8, 0x21, 0x12, 0xa4, 0x42];
    answer.extend(&request[8..20]);
    answer.extend([0, 0x20, 0, 4 + ip.len() as u8, 0, family]);
    answer.extend((from.port() ^ 0x2112).to_be_bytes());
    // Exclusive-or with the cookie, and behind it the transaction id.
    answer.extend(ip.iter().zip(&request[4..20]).map(|(byte, mask)| byte ^ mask));
    answer
}
