//! What becomes of datagrams that do not arrive.

use crate::client::Client;
use crate::data::{assert_arrived, datagram};
use crate::socket::Socket;
use crate::start::{FAR, figure, relay};

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

#[test]
fn runs_to_who_is_gone_cost_nobody_else_a_datagram() {
    let relay = relay(|_| ());
    let mut client = Client::udp(&relay);
    let (mut peer, gone) = (Socket::bind(FAR), Socket::bind(FAR).address());
    client.bind(peer.address());
    client.bind(gone);
    let run: Vec<_> = (0..10).map(|number| datagram(number, 1000)).collect();
    for _ in 0..20 {
        client.send_run(gone, &run);
        client.send_run(peer.address(), &run);
        assert_arrived(|| peer.expect(), &run);
        assert_eq!(client.expect_icmp().0, gone);
    }
    assert_eq!(figure(&relay, "refused_datagrams_total"), 0);
}
