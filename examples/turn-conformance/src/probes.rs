mod addresses;
mod allocate;
mod amplification;
mod attributes;
mod auth;
mod binding;
mod channel;
mod data;
mod header;
mod mobility;
mod permission;
mod refresh;
mod sha256;
mod special;
mod stream;
mod tcp;

use plenary_stun::Method;

use crate::Probe;

/// All probes, by families.
#[must_use]
pub fn all() -> Vec<Probe> {
    [
        header::probes(),
        attributes::probes(),
        addresses::probes(),
        auth::probes(),
        sha256::probes(),
        binding::probes(),
        allocate::probes(),
        refresh::probes(),
        permission::probes(),
        special::probes(),
        channel::probes(),
        data::probes(),
        stream::probes(),
        tcp::probes(),
        mobility::probes(),
        amplification::probes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The methods that need credentials, as they stand in ids.
const AUTHENTICATED: [(&str, Method); 4] = [
    ("allocate", Method::ALLOCATE),
    ("refresh", Method::REFRESH),
    ("create-permission", Method::CREATE_PERMISSION),
    ("channel-bind", Method::CHANNEL_BIND),
];
