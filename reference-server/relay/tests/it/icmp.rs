//! What becomes of datagrams that do not arrive.

use crate::client::Client;
use crate::socket::Socket;
use crate::start::{FAR, relay};

#[test]
fn a_client_is_told_that_a_port_is_unreachable() {
    let relay = relay(|_| ());
    for mut client in [Client::udp(&relay), Client::tcp(&relay)] {
        let (mut peer, gone) = (Socket::bind(FAR), Socket::bind(FAR).address());
        client.permit(peer.ip());
        client.send(gone, b"is anybody there?");
        assert_eq!(client.expect_icmp(), (gone, 3, 3, [0; 4]));
        // Nothing that goes elsewhere is lost by it.
        for number in 0..20_u8 {
            client.send(gone, b"still nobody?");
            client.send(peer.address(), &[number]);
            assert_eq!(peer.expect().bytes, [number]);
            assert_eq!(client.expect_icmp().0, gone);
        }
    }
}
