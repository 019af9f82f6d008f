use super::{Ends, Registration, head};
use crate::Result;
use crate::line::v4;

pub(super) fn outward(mut ends: Ends) -> Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = ends.listen.recv_from(&mut buffer)?;
        match Registration::read(&buffer[..length], v4(from)) {
            Some(registration) => ends.register(registration)?,
            None => _ = ends.relay.send_to(&buffer[4..length.max(4)], ends.peer)?,
        }
    }
}

pub(super) fn inward(ends: Ends) -> Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let length = ends.relay.recv(&mut buffer[4..])?;
        buffer[..4].copy_from_slice(&head(length));
        ends.listen.send_to(&buffer[..4 + length], ends.client())?;
    }
}
