//! What the crate promises, seen from outside.

mod allocation;
mod packet;
