use std::net::SocketAddr;

use plenary_stun::ErrorCode;

use crate::AllocationId;
use crate::Usage;
use crate::allocation::Key;
use crate::answer::Refusal;
use crate::server::Server;

/// Whether new allocations are made. Those that there are go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// They are.
    #[default]
    Open,
    /// Clients are sent to another server (300, RFC 8489 §10); those whose address is of the other family get a 508.
    Elsewhere(SocketAddr),
    /// They are not: 508. For a server that is to be stopped.
    Closed,
}

impl Server {
    /// Opens the server to new allocations, or closes it. It is open at first.
    pub fn set_admission(&mut self, admission: Admission) {
        self.admission = admission;
    }

    pub(crate) fn check_admission(&self, client: SocketAddr) -> Result<(), Refusal> {
        match self.admission {
            Admission::Open => Ok(()),
            Admission::Elsewhere(server) if server.is_ipv4() == client.ip().to_canonical().is_ipv4() => {
                Err(Refusal::Elsewhere(server))
            }
            Admission::Elsewhere(_) | Admission::Closed => Err(ErrorCode::INSUFFICIENT_CAPACITY.into()),
        }
    }

    /// Adds what a fast path outside has relayed for an allocation. Nothing happens if it is no more.
    pub fn add_usage(&mut self, allocation: AllocationId, usage: Usage) {
        let Some(key) = self.allocations.get(Key::of(allocation)).map(|_| Key::of(allocation)) else { return };
        let (own, all) = (&mut self.allocations[key].usage, &mut self.counted.all);
        for (counter, more) in [
            (&mut own.to_peers, usage.to_peers),
            (&mut own.to_peers_bytes, usage.to_peers_bytes),
            (&mut own.to_client, usage.to_client),
            (&mut own.to_client_bytes, usage.to_client_bytes),
            (&mut all.to_peers, usage.to_peers),
            (&mut all.to_peers_bytes, usage.to_peers_bytes),
            (&mut all.to_clients, usage.to_client),
            (&mut all.to_clients_bytes, usage.to_client_bytes),
        ] {
            *counter = counter.saturating_add(more);
        }
    }
}
