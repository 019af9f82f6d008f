use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::algorithms::Entrant;
use crate::case::Case;
use crate::external;
use crate::metrics::Score;
use crate::record::Record;
use crate::run::{run, run_in_detail};

/// What takes part: each case with each algorithm and each seed.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The cases.
    pub cases: &'a [Case],
    /// The entrants.
    pub entrants: &'a [Entrant],
    /// From one to this.
    pub seeds: u64,
    /// Whether the first seed's record has every packet and decision.
    pub is_detailed: bool,
}

/// All seeds of a case and an algorithm.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Of each seed, from one on.
    pub scores: Vec<Score>,
    /// Of the first.
    pub first: Record,
}

/// What became of a case and an algorithm: the first error ends it, for all seeds.
pub type Outcome = Result<Entry, external::Error>;

impl Sweep<'_> {
    /// Runs all on so many threads, and tells of each run how many are done. The order of the results is that of cases, then
    /// entrants, whatever the threads do.
    ///
    /// # Panics
    ///
    /// If a run does.
    #[must_use]
    pub fn run(&self, threads: usize, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<Vec<Outcome>> {
        let pairs = self.cases.len() * self.entrants.len();
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(pairs)));
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= pairs {
                    return;
                }
                let entry = self.entry(index);
                let mut done = done.lock().expect("no thread has panicked");
                done.push((index, entry));
                progress(done.len(), pairs);
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let mut done = done.into_inner().expect("no thread has panicked");
        done.sort_unstable_by_key(|(index, _)| *index);
        let mut entries = done.into_iter().map(|(_, entry)| entry);
        self.cases.iter().map(|_| entries.by_ref().take(self.entrants.len()).collect()).collect()
    }

    fn entry(&self, index: usize) -> Outcome {
        let case = &self.cases[index / self.entrants.len()];
        let entrant = &self.entrants[index % self.entrants.len()];
        let first = if self.is_detailed { run_in_detail(case, entrant, 1)? } else { run(case, entrant, 1)? };
        let mut scores = vec![Score::of(case, &first)];
        for seed in 2..=self.seeds {
            scores.push(Score::of(case, &run(case, entrant, seed)?));
        }
        Ok(Entry { scores, first })
    }
}
