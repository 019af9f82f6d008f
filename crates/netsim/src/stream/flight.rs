use std::collections::VecDeque;
use std::time::Duration;

use super::Sack;

/// A packet is lost when one that was sent as many packets after it has arrived (RFC 9002 §6.1.1; RFC 6675 counts
/// likewise, but in the order of numbers, so that a packet lost twice waits for the timer).
const REORDER_MAX: u64 = 3;

/// What has been sent and is not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// By their numbers, without gaps.
    pieces: VecDeque<Piece>,
    /// How many packets were sent.
    order: u64,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    /// Bytes of pieces that are on their way.
    flying: u64,
    /// How many are lost.
    lost: usize,
    /// The last packet of all sent that has arrived.
    order_arrived: u64,
}

#[derive(Debug)]
struct Piece {
    seq: u64,
    end: u64,
    at: Duration,
    order: u64,
    again: bool,
    state: PieceState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PieceState {
    Flying,
    Lost,
    Arrived,
}

/// What an acknowledgement says.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The round-trip time of the last piece that it tells of, if that was sent once (Karn).
    pub(super) sample: Option<Duration>,
    /// Bytes that it tells of for the first time.
    pub(super) arrived: u64,
    /// Whether it shows that a piece is lost.
    pub(super) lost: bool,
}

impl Flight {
    /// Bytes on their way.
    pub(super) const fn flying(&self) -> u64 {
        self.tally.flying
    }

    /// A new piece is sent.
    pub(super) fn send(&mut self, seq: u64, end: u64, now: Duration) {
        self.order += 1;
        self.tally.flying += end - seq;
        let state = PieceState::Flying;
        self.pieces.push_back(Piece { seq, end, at: now, order: self.order, again: false, state });
    }

    /// The first lost piece is sent again.
    pub(super) fn resend(&mut self, now: Duration) -> Option<(u64, u64)> {
        if self.tally.lost == 0 {
            return None;
        }
        let piece = self.pieces.iter_mut().find(|piece| piece.state == PieceState::Lost)?;
        self.order += 1;
        self.tally.lost -= 1;
        self.tally.flying += piece.end - piece.seq;
        (piece.at, piece.order, piece.again, piece.state) = (now, self.order, true, PieceState::Flying);
        Some((piece.seq, piece.end))
    }

    /// All before `ack` has arrived, and what is in `sack`.
    pub(super) fn acknowledge(&mut self, ack: u64, sack: &Sack, now: Duration) -> News {
        let mut news = News::default();
        let order_before = self.tally.order_arrived;
        let acknowledged = self.pieces.partition_point(|piece| piece.end <= ack);
        for mut piece in self.pieces.drain(..acknowledged) {
            self.tally.arrive(&mut piece, &mut news, now);
        }
        for &(start, end) in sack {
            let first = self.pieces.partition_point(|piece| piece.seq < start);
            for piece in self.pieces.range_mut(first..).take_while(|piece| piece.end <= end) {
                self.tally.arrive(piece, &mut news, now);
            }
        }
        if self.tally.order_arrived > order_before {
            news.lost = self.find_lost();
        }
        news
    }

    fn find_lost(&mut self) -> bool {
        // In order of numbers is in order of sending, but for what was sent again.
        let mut found = false;
        let last = self.tally.order_arrived;
        for piece in &mut self.pieces {
            if !piece.again && piece.order > last {
                break;
            }
            if piece.state == PieceState::Flying && piece.order + REORDER_MAX <= last {
                piece.state = PieceState::Lost;
                self.tally.flying -= piece.end - piece.seq;
                self.tally.lost += 1;
                found = true;
            }
        }
        found
    }

    /// Nothing has come for long: what has not arrived is lost.
    pub(super) fn lose_all(&mut self) {
        for piece in &mut self.pieces {
            if piece.state == PieceState::Flying {
                piece.state = PieceState::Lost;
                self.tally.lost += 1;
            }
        }
        self.tally.flying = 0;
    }
}

impl Tally {
    fn arrive(&mut self, piece: &mut Piece, news: &mut News, now: Duration) {
        match std::mem::replace(&mut piece.state, PieceState::Arrived) {
            PieceState::Flying => self.flying -= piece.end - piece.seq,
            PieceState::Lost => self.lost -= 1,
            PieceState::Arrived => return,
        }
        news.arrived += piece.end - piece.seq;
        if piece.order > self.order_arrived {
            self.order_arrived = piece.order;
            news.sample = (!piece.again).then(|| now.saturating_sub(piece.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Ten pieces of 100, of which the second and third are lost, and the second again.
    #[test]
    fn what_is_lost_twice_is_found_twice() {
        let mut flight = Flight::default();
        for piece in 0..10 {
            flight.send(piece * 100, piece * 100 + 100, ms(piece));
        }
        let news = flight.acknowledge(100, &Sack::default(), ms(50));
        assert_eq!((news.sample, news.arrived, news.lost), (Some(ms(50)), 100, false));
        let sack = |end| [(300, end), (0, 0), (0, 0)];
        assert!(!flight.acknowledge(100, &sack(400), ms(53)).lost);
        assert!(flight.acknowledge(100, &sack(500), ms(54)).lost);
        assert!(flight.acknowledge(100, &sack(600), ms(55)).lost);
        assert_eq!(
            (flight.flying(), flight.resend(ms(55)), flight.resend(ms(55))),
            (400, Some((100, 200)), Some((200, 300)))
        );
        assert_eq!(flight.resend(ms(55)), None);
        flight.send(1_000, 1_100, ms(56));
        flight.send(1_100, 1_200, ms(56));
        // All arrives but the second: what was sent after it, three packets, shows it.
        assert!(!flight.acknowledge(100, &sack(1_000), ms(60)).lost);
        assert!(!flight.acknowledge(100, &[(200, 1_000), (0, 0), (0, 0)], ms(100)).lost);
        let news = flight.acknowledge(100, &[(200, 1_200), (0, 0), (0, 0)], ms(106));
        assert_eq!((news.sample, news.arrived, news.lost), (Some(ms(50)), 200, true));
        assert_eq!((flight.resend(ms(106)), flight.flying()), (Some((100, 200)), 100));
        // What was sent again tells no time (Karn).
        let news = flight.acknowledge(1_200, &Sack::default(), ms(150));
        assert_eq!((news.sample, news.arrived, flight.flying()), (None, 100, 0));
    }

    #[test]
    fn all_is_lost_and_sent_again_in_order() {
        let mut flight = Flight::default();
        for piece in 0..4 {
            flight.send(piece * 100, piece * 100 + 100, ms(0));
        }
        flight.acknowledge(0, &[(100, 200), (0, 0), (0, 0)], ms(50));
        flight.lose_all();
        assert_eq!(flight.flying(), 0);
        let again: Vec<_> = std::iter::from_fn(|| flight.resend(ms(1_000))).map(|(seq, _)| seq).collect();
        assert_eq!(again, [0, 200, 300]);
    }
}
