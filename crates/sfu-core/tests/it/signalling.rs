//! Offers and answers: what the engine writes, and what it makes of what clients write.

mod hostile;
mod offers;
mod page;
mod pairs;
mod properties;
mod quirks;
mod rounds;
mod shapes;
mod transports;
