/// What a packet carries, as far as NATs and firewalls tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Byte streams.
    Tcp,
}
