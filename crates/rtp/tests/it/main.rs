//! What the crate promises, seen from outside.

mod allocation;
mod packet;
mod rtcp_allocations;
mod rtcp_captures;
mod rtcp_oracle;
