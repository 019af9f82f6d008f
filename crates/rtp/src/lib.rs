#![doc = include_str!("../README.md")]

mod bits;
mod error;
pub mod extension;
pub mod payload;
pub mod rtcp;

pub use error::{Error, ParseError};
