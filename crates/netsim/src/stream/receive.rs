use std::collections::BTreeMap;

use super::STREAM_WINDOW;

/// Puts segments in order.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// The next number expected.
    pub(super) next: u64,
    /// What came behind a hole, by its first number. All of it lies within [`STREAM_WINDOW`] of `next`.
    pending: BTreeMap<u64, Vec<u8>>,
    /// Where the FIN stands.
    fin: Option<u64>,
    ended: bool,
}

impl Receiver {
    pub(super) fn take(&mut self, seq: u64, data: Vec<u8>, fin: Option<u64>) {
        let end = seq.saturating_add(data.len() as u64);
        if end > self.next.saturating_add(STREAM_WINDOW as u64) {
            return;
        }
        self.fin = self.fin.or(fin);
        if !data.is_empty() && end > self.next {
            let longer = self.pending.get(&seq).is_none_or(|kept| kept.len() < data.len());
            if longer {
                self.pending.insert(seq, data);
            }
        }
    }

    /// The next bytes in order.
    pub(super) fn poll(&mut self) -> Option<Vec<u8>> {
        while let Some(entry) = self.pending.first_entry() {
            let seq = *entry.key();
            if seq > self.next {
                return None;
            }
            let mut data = entry.remove();
            let known = (self.next - seq) as usize;
            if known < data.len() {
                data.drain(..known);
                self.next += data.len() as u64;
                return Some(data);
            }
        }
        if self.fin == Some(self.next) {
            self.next += 1;
            self.ended = true;
        }
        None
    }

    /// Whether the FIN and all before it has come.
    pub(super) const fn ended(&self) -> bool {
        self.ended
    }
}
