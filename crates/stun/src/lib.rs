#![doc = include_str!("../README.md")]

mod address;
mod attribute;
mod error;
mod integrity;
mod message;
mod peek;
mod writer;

pub use address::{XOR_ADDRESS_MAX, write_xor as xor_address};
pub use attribute::{Attribute, ErrorCode};
pub use error::ParseError;
pub use integrity::{Algorithm, Key, userhash};
pub use message::{
    ATTRIBUTES_MAX, Attributes, Class, HEADER_LEN, Message, Method, TransactionId, UNKNOWN_MAX, Unknown,
};
pub use peek::request_username;
pub use writer::Writer;

#[cfg(test)]
mod tests;
