//! What the crate promises, seen from outside.

mod agreement_captures;
mod allocation;
mod captures;
mod dependency_captures;
mod packet;
mod packet_captures;
mod payload_captures;
mod rtcp_allocations;
mod rtcp_captures;
mod rtcp_oracle;
