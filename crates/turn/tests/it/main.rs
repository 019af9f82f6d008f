//! The server in virtual time, by clients that are made by hand.

mod allocate;
mod auth;
mod bind;
mod client_allocate;
mod client_data;
mod client_lab;
mod client_lifetime;
mod client_operations;
mod client_world;
mod data;
mod header;
mod lab;
mod limits;
mod mobility;
mod operations;
mod stream;
mod tcp;
