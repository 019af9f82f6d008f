use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::algorithms::Algorithm;
use crate::case::Case;
use crate::metrics::Score;
use crate::record::Record;
use crate::run::run;

/// What takes part: each case with each algorithm and each seed.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The cases.
    pub cases: &'a [Case],
    /// The algorithms.
    pub algorithms: &'a [Algorithm],
    /// From one to this.
    pub seeds: u64,
}

/// All seeds of a case and an algorithm.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Of each seed, from one on.
    pub scores: Vec<Score>,
    /// Of the first.
    pub first: Record,
}

impl Sweep<'_> {
    /// Runs all on so many threads, and tells of each run how many are done. The order of the results is that of cases, then
    /// algorithms, whatever the threads do.
    ///
    /// # Panics
    ///
    /// If a run does.
    #[must_use]
    pub fn run(&self, threads: usize, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<Vec<Entry>> {
        let pairs = self.cases.len() * self.algorithms.len();
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
        self.cases.iter().map(|_| entries.by_ref().take(self.algorithms.len()).collect()).collect()
    }

    fn entry(&self, index: usize) -> Entry {
        let case = &self.cases[index / self.algorithms.len()];
        let algorithm = &self.algorithms[index % self.algorithms.len()];
        let first = run(case, algorithm, 1);
        let others = (2..=self.seeds).map(|seed| Score::of(case, &run(case, algorithm, seed)));
        Entry { scores: std::iter::once(Score::of(case, &first)).chain(others).collect(), first }
    }
}
