//! Slots before strict receivers of every codec: fed with what browsers sent and with what encoders might, through loss,
//! reordering and repetition, over switches, pauses and changes of source.

mod beginnings;
mod bench;
mod capture;
mod clock;
mod encoder;
mod frames;
mod opaque;
mod padding;
mod path;
mod ranking;
mod receiver;
mod replay;
mod restart;
mod synthetic;
