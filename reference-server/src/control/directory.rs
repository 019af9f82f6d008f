//! Which meetings there are, and on which media thread each lives.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::code::Code;

/// Meetings that may be joined; each takes 100 bytes.
const MEETINGS_MAX: usize = 100_000;

/// A meeting that nobody has joined for so long makes room, if there are too many.
const MEETING_IDLE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub(super) struct Directory {
    meetings: BTreeMap<Code, Place>,
    threads: usize,
    next_thread: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    thread: usize,
    joined_at: Instant,
}

/// There are [`MEETINGS_MAX`], all of which were joined of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectoryFull;

impl Directory {
    pub(super) const fn new(threads: usize) -> Self {
        Self { meetings: BTreeMap::new(), threads, next_thread: 0 }
    }

    /// Makes a meeting. The threads take turns.
    pub(super) fn create(&mut self, now: Instant) -> Result<Code, DirectoryFull> {
        if self.meetings.len() >= MEETINGS_MAX {
            self.meetings.retain(|_, place| now.saturating_duration_since(place.joined_at) < MEETING_IDLE);
        }
        if self.meetings.len() >= MEETINGS_MAX {
            return Err(DirectoryFull);
        }
        let code = Code::new();
        self.meetings.insert(code.clone(), Place { thread: self.next_thread, joined_at: now });
        self.next_thread = (self.next_thread + 1) % self.threads;
        Ok(code)
    }

    /// The thread of a meeting that is joined now.
    pub(super) fn join(&mut self, code: &Code, now: Instant) -> Option<usize> {
        let place = self.meetings.get_mut(code)?;
        place.joined_at = now;
        Some(place.thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns() {
        let (mut directory, now) = (Directory::new(2), Instant::now());
        let codes: Vec<_> = (0..4).map(|_| directory.create(now).unwrap()).collect();
        let threads: Vec<_> = codes.iter().map(|code| directory.join(code, now)).collect();
        assert_eq!(threads, [Some(0), Some(1), Some(0), Some(1)]);
        assert_eq!(directory.join(&Code::new(), now), None);
    }

    #[test]
    fn what_nobody_joins_makes_room() {
        let (mut directory, start) = (Directory::new(1), Instant::now());
        let codes: Vec<_> = (0..MEETINGS_MAX).map(|_| directory.create(start).unwrap()).collect();
        let later = start + MEETING_IDLE - Duration::from_secs(1);
        assert_eq!(directory.create(later), Err(DirectoryFull));
        assert_eq!(directory.join(&codes[0], later), Some(0));
        let later = start + MEETING_IDLE;
        assert!(directory.create(later).is_ok());
        assert_eq!(directory.join(&codes[0], later), Some(0), "it was joined of late");
        assert_eq!(directory.join(&codes[1], later), None);
    }
}
