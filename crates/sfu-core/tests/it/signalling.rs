//! Offers and answers: what the engine writes, and what it makes of what clients write.

mod offers;
#[allow(dead_code)]
mod page;
