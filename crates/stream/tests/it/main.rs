//! What the crate promises, seen from outside.

mod allocation;
mod call;
mod captures;
mod scenarios;
