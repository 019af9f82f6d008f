use std::fmt;
use std::net::{IpAddr, SocketAddr};

use plenary_wire::FlowId;

pub(crate) mod line;

/// How a candidate's address was come by (RFC 8445 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of the host itself.
    Host,
    /// An address that a STUN server saw (`srflx`).
    ServerReflexive,
    /// An address that the peer saw (`prflx`).
    PeerReflexive,
    /// An address of a TURN server (`relay`).
    Relayed,
}

impl CandidateKind {
    /// The type preference (RFC 8445 §5.1.2.2).
    pub const fn preference(self) -> u8 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }

    /// The word of RFC 8839 §5.1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }
}

/// Who opens the connection of a TCP candidate (RFC 6544 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpType {
    /// It connects. Its port is 9, as none is bound yet.
    Active,
    /// It accepts.
    Passive,
    /// Both at once. Parsed and written, but never paired: no operating system's sockets do it through today's NATs.
    SimultaneousOpen,
}

impl TcpType {
    /// The word of RFC 6544 §4.5.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        }
    }

    /// The direction preference for a candidate of `kind` (RFC 6544 §4.2).
    const fn preference(self, kind: CandidateKind) -> u32 {
        match (kind, self) {
            (CandidateKind::Host | CandidateKind::Relayed, Self::Active) => 6,
            (CandidateKind::Host | CandidateKind::Relayed, Self::Passive) => 4,
            (CandidateKind::Host | CandidateKind::Relayed, Self::SimultaneousOpen) => 2,
            (_, Self::SimultaneousOpen) => 6,
            (_, Self::Active) => 4,
            (_, Self::Passive) => 2,
        }
    }
}

/// What a candidate is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP with the framing of RFC 4571.
    Tcp(TcpType),
}

/// An address as a candidate line gives it: proven or not, resolved or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A name and a port. Of names, an agent uses only those that end in `.local` (mDNS), and asks the caller for
    /// their addresses.
    Name(String, u16),
}

impl Address {
    /// The port.
    pub const fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Name(_, port) => *port,
        }
    }

    /// The IP address and port, if it is no name.
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Name(..) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(canonical(address))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// A candidate as it is signalled (RFC 8839 §5.1). [`parse`](Self::parse) reads a line, `Display` writes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Candidates of one foundation are likely to work or fail together. 1 to 32 ice-chars.
    pub foundation: String,
    /// 1 for RTP, 2 for RTCP; 1 to 256. An agent uses 1 alone (RTCP is multiplexed).
    pub component: u16,
    /// UDP, or TCP and its type.
    pub transport: Transport,
    /// 1 to 2^31 - 1; 0 is accepted from peers.
    pub priority: u32,
    /// Where it is reached.
    pub address: Address,
    /// How it was come by.
    pub kind: CandidateKind,
    /// The base of a reflexive candidate, or the mapped address of a relayed one; for diagnosis only (`raddr`, `rport`).
    pub related: Option<Address>,
    /// All other attributes with their values, in order: `generation`, `ufrag`, `network-cost`, and what is unknown.
    pub extensions: Vec<(String, String)>,
}

impl Candidate {
    /// The value of the first extension attribute of this name.
    pub fn extension(&self, name: &str) -> Option<&str> {
        self.extensions.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The ufrag that the candidate belongs to, if its line tells (RFC 8839 §4.4.1.1.1, RFC 8838 §4).
    pub fn ufrag(&self) -> Option<&str> {
        self.extension("ufrag")
    }

    /// The generation number, as libwebrtc counts restarts.
    pub fn generation(&self) -> Option<u32> {
        self.extension("generation")?.parse().ok()
    }

    /// The cost of the network, 0 to 999, lower is better; as libwebrtc gives it.
    pub fn network_cost(&self) -> Option<u16> {
        self.extension("network-cost")?.parse().ok()
    }
}

/// A candidate of our own that the caller gives to an agent: a socket, or a relayed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCandidate {
    /// The socket, or the caller's name for the TURN allocation. For TCP, any flow that is not used otherwise: each
    /// stream gets its own with `handle_connected` or `handle_accepted`.
    pub flow: FlowId,
    /// What it is reached by.
    pub transport: Transport,
    /// [`Host`](CandidateKind::Host) or [`Relayed`](CandidateKind::Relayed), or a
    /// [`ServerReflexive`](CandidateKind::ServerReflexive) that the caller knows of, such as a 1:1 NAT's public address.
    pub kind: CandidateKind,
    /// Where the peer reaches it. Not unspecified; for TCP active the port is ignored.
    pub address: SocketAddr,
    /// What is sent from and received on, if it is not `address`: the host address behind a
    /// [`ServerReflexive`](CandidateKind::ServerReflexive) one.
    pub base: Option<SocketAddr>,
    /// The local preference (RFC 8445 §5.1.2.1), for those who order their interfaces. `None` lets the agent interleave
    /// the families as RFC 8421 §4 wants, in the order of adding.
    pub preference: Option<u16>,
    /// The network it is on, told to the peer in each check (NETWORK-COST) and as extension attributes.
    pub network: Option<Network>,
}

impl LocalCandidate {
    /// A UDP socket bound to `address`.
    pub fn host(flow: FlowId, address: SocketAddr) -> Self {
        Self {
            flow,
            transport: Transport::Udp,
            kind: CandidateKind::Host,
            address,
            base: None,
            preference: None,
            network: None,
        }
    }

    /// A relayed address that TURN gave. The caller sends and receives on `flow` through the allocation.
    pub fn relayed(flow: FlowId, address: SocketAddr) -> Self {
        Self { kind: CandidateKind::Relayed, ..Self::host(flow, address) }
    }

    /// TCP from or at this address.
    pub fn tcp(flow: FlowId, tcp: TcpType, address: SocketAddr) -> Self {
        Self { transport: Transport::Tcp(tcp), ..Self::host(flow, address) }
    }
}

/// A network interface's number and cost, as libwebrtc tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Any number but 0; it tells interfaces apart.
    pub id: u16,
    /// 0 (wired) to 999; Wi-Fi 10, unknown 50, cellular 900.
    pub cost: u16,
}

/// The candidate's number within an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalId(pub(crate) u32);

/// A local candidate within the agent.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) id: LocalId,
    pub(crate) flow: FlowId,
    pub(crate) transport: Transport,
    pub(crate) kind: CandidateKind,
    pub(crate) address: SocketAddr,
    pub(crate) base: SocketAddr,
    pub(crate) preference: u16,
    pub(crate) priority: u32,
    pub(crate) network: Option<Network>,
    /// The STUN server it came from, which is a part of its foundation.
    pub(crate) server: Option<IpAddr>,
}

impl Local {
    /// Whether checks are sent from it. Reflexive ones are replaced by their base (RFC 8445 §6.1.2.4).
    pub(crate) const fn is_base(&self) -> bool {
        matches!(self.kind, CandidateKind::Host | CandidateKind::Relayed)
    }

    pub(crate) const fn is_udp(&self) -> bool {
        matches!(self.transport, Transport::Udp)
    }

    /// What a peer-reflexive candidate discovered by a check from here would get (RFC 8445 §7.1.1).
    pub(crate) const fn reflexive_priority(&self) -> u32 {
        priority(CandidateKind::PeerReflexive, self.transport, self.preference)
    }

    pub(crate) fn foundation(&self) -> String {
        (self.foundation_hash() >> 32).to_string()
    }

    /// RFC 8445 §5.1.1.3: equal for equal type, base address, protocol and server; else different.
    pub(crate) fn foundation_hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325u64; // FNV-1a: foundations need to differ, not to be secret
        let mut mix = |bytes: &[u8]| {
            for &byte in bytes {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        };
        mix(&[self.kind.preference(), u8::from(self.is_udp())]);
        for ip in [Some(self.base.ip()), self.server].into_iter().flatten() {
            match ip {
                IpAddr::V4(ip) => mix(&ip.octets()),
                IpAddr::V6(ip) => mix(&ip.octets()),
            }
        }
        hash
    }

    /// The candidate as it is signalled.
    pub(crate) fn to_candidate(&self, ufrag: &str, generation: u32) -> Candidate {
        let related = match self.kind {
            CandidateKind::Host => None,
            // The base, or for a relayed one an address that tells nothing (RFC 8839 §5.1: privacy).
            CandidateKind::Relayed => Some(unspecified(self.address.ip())),
            _ => Some(self.base),
        };
        let mut extensions =
            vec![("generation".to_owned(), generation.to_string()), ("ufrag".to_owned(), ufrag.to_owned())];
        if let Some(network) = self.network {
            extensions.push(("network-id".to_owned(), network.id.to_string()));
            extensions.push(("network-cost".to_owned(), network.cost.to_string()));
        }
        Candidate {
            foundation: self.foundation(),
            component: 1,
            transport: self.transport,
            priority: self.priority,
            address: Address::Ip(self.address),
            kind: self.kind,
            related: related.map(Address::Ip),
            extensions,
        }
    }
}

/// RFC 8839 §9.1: what stands for an address that is not told.
fn unspecified(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => SocketAddr::from(([0; 4], 9)),
        IpAddr::V6(_) => SocketAddr::from(([0; 16], 9)),
    }
}

/// RFC 8445 §5.1.2.1 for component 1; for TCP with the local preference of RFC 6544 §4.2.
pub(crate) const fn priority(kind: CandidateKind, transport: Transport, preference: u16) -> u32 {
    let (kind_preference, local_preference) = match transport {
        Transport::Udp => (kind.preference() as u32, preference as u32),
        // RFC 6544 §4.2: where UDP is likely to work, TCP has the lower type preference. 37 less puts all direct TCP
        // behind all direct UDP, and before relays.
        Transport::Tcp(tcp) => {
            let kind_preference = kind.preference() as u32;
            let kind_preference = if kind_preference > 90 { kind_preference - 37 } else { kind_preference };
            (kind_preference, (tcp.preference(kind) << 13) | other_preference(preference) as u32)
        }
    };
    (kind_preference << 24) | (local_preference << 8) | 255
}

/// The other-preference of RFC 6544 §4.2: in 13 bits, where those of one host, which count down from the top, stay apart.
const fn other_preference(preference: u16) -> u16 {
    const APART: u16 = 4096;
    const TOP: u16 = u16::MAX - APART + 1;
    if preference >= TOP { APART + (preference - TOP) } else { preference / (TOP / APART) }
}

/// An address that equals itself however it was learned: without an IPv4 one hidden in IPv6, and without the scope and
/// flow label that sockets add to what candidate lines give.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether datagrams can be sent there at all.
pub(crate) fn is_sendable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// Whether it may be a candidate of ours. RFC 8445 §5.1.1.1: no IPv4-compatible and no site-local address.
pub(crate) fn is_offered(address: SocketAddr) -> bool {
    let outdated = match address.ip() {
        IpAddr::V6(ip) => {
            let compatible = ip.segments()[..6] == [0; 6] && !ip.is_loopback();
            compatible || ip.segments()[0] & 0xffc0 == 0xfec0
        }
        IpAddr::V4(_) => false,
    };
    is_sendable(address) && !outdated
}

/// Whether a pair of the two could carry anything: one family, and neither loopback nor link-local with a global one
/// (RFC 8445 §6.1.2.2).
pub(crate) fn can_pair(local: SocketAddr, remote: SocketAddr) -> bool {
    let (local, remote) = (local.ip(), remote.ip());
    local.is_ipv4() == remote.is_ipv4()
        && local.is_loopback() == remote.is_loopback()
        && is_link_local(local) == is_link_local(remote)
}

const fn is_link_local(ip: IpAddr) -> bool {
    // Only IPv6's: IPv4's are routed by some hosts, and RFC 8445 names only these.
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8445 §5.1.2.1, with the recommended preferences.
    #[test]
    fn priorities_follow_the_formula() {
        assert_eq!(priority(CandidateKind::Host, Transport::Udp, 65535), 2_130_706_431);
        assert_eq!(priority(CandidateKind::ServerReflexive, Transport::Udp, 65535), 1_694_498_815);
        assert_eq!(priority(CandidateKind::Relayed, Transport::Udp, 65535), 16_777_215);
    }

    #[test]
    fn direct_udp_beats_tcp_and_tcp_beats_relays() {
        let tcp = priority(CandidateKind::Host, Transport::Tcp(TcpType::Active), 65535);
        assert!(priority(CandidateKind::ServerReflexive, Transport::Udp, 0) > tcp);
        assert!(tcp > priority(CandidateKind::Relayed, Transport::Udp, 65535));
        let passive = priority(CandidateKind::Host, Transport::Tcp(TcpType::Passive), 65535);
        assert!(tcp > passive, "RFC 6544 §4.2: an active host goes first");
        let reflexive = |tcp| priority(CandidateKind::ServerReflexive, Transport::Tcp(tcp), 65535);
        assert!(reflexive(TcpType::SimultaneousOpen) > reflexive(TcpType::Active));
    }

    // RFC 6544 §4.2. The trap: by a shift, an IPv6 and an IPv4 address had one preference.
    #[test]
    fn tcp_preferences_of_one_host_differ_and_keep_their_order() {
        let of = |preference| priority(CandidateKind::Host, Transport::Tcp(TcpType::Active), preference);
        assert!(of(65535) > of(65534) && of(65534) > of(65533));
        assert!((1..=u16::MAX).all(|preference| of(preference) >= of(preference - 1)));
        assert_eq!(of(65535) >> 8 & 0xffff, (6 << 13) + 8191);
        assert_eq!(of(0) >> 8 & 0xffff, 6 << 13);
    }

    #[test]
    fn only_like_pairs_with_like() {
        let pairs = |local: &str, remote: &str| can_pair(local.parse().unwrap(), remote.parse().unwrap());
        assert!(pairs("192.0.2.1:1", "198.51.100.1:1"));
        assert!(!pairs("192.0.2.1:1", "[2001:db8::1]:1"));
        assert!(!pairs("192.0.2.1:1", "127.0.0.1:1"));
        assert!(pairs("127.0.0.1:1", "127.0.0.1:2"));
        assert!(!pairs("[fe80::1]:1", "[2001:db8::1]:1"));
        assert!(pairs("[fe80::1]:1", "[fe80::2]:1"));
    }

    #[test]
    fn nothing_is_sent_to_what_is_no_host() {
        for address in ["0.0.0.0:5", "[::]:5", "192.0.2.1:0", "224.0.0.1:5", "255.255.255.255:5", "[ff02::1]:5"] {
            assert!(!is_sendable(address.parse().unwrap()), "{address}");
        }
        assert!(is_sendable("127.0.0.1:5".parse().unwrap()));
        let offered = |address: &str| is_offered(address.parse().unwrap());
        for address in ["[::]:5", "[::c000:201]:5", "[::2]:5", "[fec0::1]:5", "[feff:ffff::1]:5", "[2001:db8::1]:0"] {
            assert!(!offered(address), "{address}");
        }
        for address in ["127.0.0.1:5", "[::1]:5", "[fe80::1]:5", "[fe00::1]:5", "[ff00::1]:5", "[::1:0:0]:5"] {
            assert_eq!(offered(address), address != "[ff00::1]:5", "{address}");
        }
        assert_eq!(canonical("[::ffff:192.0.2.1]:5".parse().unwrap()), "192.0.2.1:5".parse().unwrap());
        assert_eq!(canonical("[fe80::1%7]:5".parse().unwrap()), "[fe80::1]:5".parse().unwrap());
    }
}
