use std::collections::VecDeque;
use std::time::Instant;

use plenary_wire::DataSize;

use super::{PacerError, StreamId};
use crate::Purpose;

#[derive(Clone, Copy, Debug)]
struct Stream {
    id: StreamId,
    purpose: Purpose,
    carries_padding: bool,
    has_sent: bool,
    waiting: DataSize,
    /// `None` if nothing waits.
    since: Option<Instant>,
}

/// Whose turn it is: streams of one purpose in turn, as long as something of them waits.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    /// In the order of their names.
    streams: Vec<Stream>,
    streams_max: usize,
    /// Those of which something waits, by purpose.
    ready: [VecDeque<StreamId>; 4],
    waiting: DataSize,
    oldest: Option<(Instant, StreamId)>,
    /// One that carried media, of those that may carry padding.
    padding: Option<StreamId>,
}

impl Turns {
    pub(super) const fn new(streams_max: usize) -> Self {
        let ready = [VecDeque::new(), VecDeque::new(), VecDeque::new(), VecDeque::new()];
        Self { streams: Vec::new(), streams_max, ready, waiting: DataSize::ZERO, oldest: None, padding: None }
    }

    pub(super) fn add(&mut self, id: StreamId, purpose: Purpose, carries_padding: bool) -> Result<(), PacerError> {
        let Err(place) = self.place(id) else { return Err(PacerError::InUse(id)) };
        if self.streams.len() >= self.streams_max {
            return Err(PacerError::Limit);
        }
        let (has_sent, waiting, since) = (false, DataSize::ZERO, None);
        self.streams.insert(place, Stream { id, purpose, carries_padding, has_sent, waiting, since });
        Ok(())
    }

    pub(super) fn remove(&mut self, id: StreamId) -> Result<(), PacerError> {
        let place = self.place(id).map_err(|_| PacerError::NoStream(id))?;
        let stream = self.streams.remove(place);
        self.waiting -= stream.waiting;
        self.ready[stream.purpose as usize].retain(|known| *known != id);
        self.note_oldest(id, None);
        if self.padding == Some(id) {
            let others = self.streams.iter().find(|other| other.has_sent && other.carries_padding);
            self.padding = others.map(|other| other.id);
        }
        Ok(())
    }

    pub(super) fn set_waiting(&mut self, id: StreamId, size: DataSize, since: Instant) -> Result<(), PacerError> {
        let place = self.place(id).map_err(|_| PacerError::NoStream(id))?;
        let stream = &mut self.streams[place];
        let (was_waiting, waits) = (stream.waiting > DataSize::ZERO, size > DataSize::ZERO);
        self.waiting = (self.waiting - stream.waiting).saturating_add(size);
        stream.waiting = size;
        stream.since = waits.then_some(since);
        let queue = &mut self.ready[stream.purpose as usize];
        match (was_waiting, waits) {
            (false, true) => queue.push_back(id),
            (true, false) => queue.retain(|known| *known != id),
            _ => {}
        }
        self.note_oldest(id, waits.then_some(since));
        Ok(())
    }

    /// So much of it left: what waits becomes less, and it is another's turn.
    pub(super) fn handle_sent(&mut self, id: StreamId, purpose: Purpose, size: DataSize) {
        let Ok(place) = self.place(id) else { return };
        let stream = &mut self.streams[place];
        if purpose == Purpose::Padding {
            return;
        }
        stream.has_sent = true;
        if stream.carries_padding {
            self.padding = Some(id);
        }
        let left = stream.waiting.saturating_sub(size);
        self.waiting -= stream.waiting - left;
        stream.waiting = left;
        let queue = &mut self.ready[stream.purpose as usize];
        if left > DataSize::ZERO {
            // Nearly always the first.
            if queue.front() == Some(&id) {
                queue.rotate_left(1);
            }
            return;
        }
        stream.since = None;
        queue.retain(|known| *known != id);
        self.note_oldest(id, None);
    }

    /// The first in turn.
    pub(super) fn next(&self, purpose: Purpose) -> Option<StreamId> {
        self.ready[purpose as usize].front().copied()
    }

    /// How much of the next media but sound waits.
    pub(super) fn next_size(&self) -> DataSize {
        let next = self.next(Purpose::Retransmission).or_else(|| self.next(Purpose::Video));
        next.map_or(DataSize::ZERO, |id| self.waiting_of(id))
    }

    pub(super) fn waiting_of(&self, id: StreamId) -> DataSize {
        self.place(id).map_or(DataSize::ZERO, |place| self.streams[place].waiting)
    }

    pub(super) const fn waiting(&self) -> DataSize {
        self.waiting
    }

    /// Since when the oldest waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.oldest.map(|(since, _)| since)
    }

    pub(super) const fn padding_stream(&self) -> Option<StreamId> {
        self.padding
    }

    /// Only if the oldest itself has changed are the others that wait looked at.
    fn note_oldest(&mut self, id: StreamId, since: Option<Instant>) {
        let own = since.map(|since| (since, id));
        match self.oldest {
            Some((_, known)) if known == id => {
                let waiting = self.streams.iter().filter_map(|stream| Some((stream.since?, stream.id)));
                self.oldest = waiting.min();
            }
            Some(known) => self.oldest = own.into_iter().chain([known]).min(),
            None => self.oldest = own,
        }
    }

    fn place(&self, id: StreamId) -> Result<usize, usize> {
        self.streams.binary_search_by_key(&id, |stream| stream.id)
    }
}
