use std::time::Duration;

use plenary_wire::Bitrate;

use crate::config::Config;

/// What of the configuration is looked at again.
pub(crate) struct Settings {
    pub(crate) asks: bool,
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
    pub(crate) dont_fragment: bool,
    lifetime: Duration,
    lifetime_max: Duration,
    pub(crate) answer_within: Duration,
    pub(crate) permissions_max: u16,
    pub(crate) channels_max: u16,
    pub(crate) reservations_max: u32,
    pub(crate) pending_max: u32,
    pub(crate) connections_max: u16,
    pub(crate) idle_connection: Duration,
    pub(crate) connections_per_address_max: u32,
    pub(crate) mobility: bool,
    pub(crate) tcp: bool,
    pub(crate) flows_max: u32,
    pub(crate) allocation_bitrate: Option<Bitrate>,
    pub(crate) total_bitrate: Option<Bitrate>,
    pub(crate) fast_path: bool,
}

impl Settings {
    pub(crate) const fn of(config: &Config) -> Self {
        Self {
            asks: config.asks,
            ipv4: config.ipv4,
            ipv6: config.ipv6,
            dont_fragment: config.dont_fragment,
            lifetime: config.lifetime,
            lifetime_max: config.lifetime_max,
            answer_within: config.answer_within,
            permissions_max: config.permissions_max,
            channels_max: config.channels_max,
            reservations_max: config.reservations_max,
            pending_max: config.pending_max,
            connections_max: config.connections_max,
            idle_connection: config.idle_connection,
            connections_per_address_max: config.connections_per_address_max,
            mobility: config.mobility,
            tcp: config.tcp,
            flows_max: config.flows_max,
            allocation_bitrate: config.allocation_bitrate,
            total_bitrate: config.total_bitrate,
            fast_path: config.fast_path,
        }
    }

    /// RFC 8656 §7.2: the seconds that a client gets of those that it asks for.
    pub(crate) fn granted(&self, wished: Option<u32>) -> u32 {
        let (least, most) = (self.lifetime.as_secs() as u32, self.lifetime_max.as_secs() as u32);
        wished.unwrap_or(0).clamp(least, most)
    }
}
