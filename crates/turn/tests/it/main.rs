//! The server in virtual time, by clients that are made by hand.

mod allocate;
mod auth;
mod bind;
mod data;
mod header;
mod lab;
mod limits;
mod mobility;
mod operations;
mod stream;
mod tcp;
