use std::net::SocketAddr;

use plenary_rtp::NtpTime;
use plenary_wire::FlowId;

/// How an engine behaves, and what it may hold.
#[derive(Clone, Debug)]
pub struct Config {
    /// What each transport is made with: certificate, DTLS versions, limits. Its `entropy` is the engine's: 32 bytes from
    /// the operating system, of which each transport has its own drawn. ICE is lite by default.
    pub transport: plenary_transport::Config,
    /// The UDP sockets, and the addresses that peers reach them at. Each becomes a host candidate.
    pub flows: Vec<(FlowId, SocketAddr)>,
    /// The wall clock at the `now` of [`Sfu::new`](crate::Sfu::new): sender reports tell it. The clock is read this once,
    /// so that steps of it disturb nobody's synchronisation.
    pub wall_clock: NtpTime,
    /// Rooms at most. Default: 10,000, of 100 bytes each.
    pub rooms_max: usize,
    /// Sessions at most. Default: 20,000, of 200 bytes each.
    pub sessions_max: usize,
    /// Transports at most, with those removed that have a goodbye to send. Default: 24,000, so that of as many sessions as
    /// there may be a fifth can move at once; an idle one takes some kilobytes.
    pub transports_max: usize,
    /// Sessions of one room at most. Default: 2000.
    pub room_sessions_max: usize,
    /// Transports of one session at most. Default: 4; one does for most, and two while a session moves.
    pub session_transports_max: usize,
    /// Subscriptions of one session at most, in slots or waiting for one. Default: 1024.
    pub session_subscriptions_max: usize,
    /// Tracks that are published over one transport at most. Default: 16, each of up to four layers, whose logs
    /// keep 2 MiB at most: 128 MiB for a peer that fills them all within ten seconds.
    pub transport_tracks_max: usize,
    /// Slots of one transport at most; up to 256. Default: 128.
    pub transport_slots_max: usize,
    /// Media sections of one transport's descriptions at most: 256, which all tracks and slots fit in. Each takes about a
    /// kilobyte, twice while an offer is in flight.
    pub transport_sections_max: usize,
    /// Bytes of padding in one packet at most (RFC 3550 §5.1), which makes packets of one size where encoders cut frames
    /// into such as differ by a little: a run of them leaves at once. All of it is at most 3 % of a slot's bytes. 0 for
    /// none. Default: 16.
    pub padding_max: u8,
}

impl Config {
    /// The defaults.
    pub fn new(transport: plenary_transport::Config, flows: Vec<(FlowId, SocketAddr)>, wall_clock: NtpTime) -> Self {
        Self {
            transport,
            flows,
            wall_clock,
            rooms_max: 10_000,
            sessions_max: 20_000,
            transports_max: 24_000,
            room_sessions_max: 2000,
            session_transports_max: 4,
            session_subscriptions_max: 1024,
            transport_tracks_max: 16,
            transport_slots_max: 128,
            transport_sections_max: 256,
            padding_max: 16,
        }
    }
}
