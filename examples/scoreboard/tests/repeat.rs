//! The same comes out each time, whatever the threads do.

use plenary_scoreboard::{ALGORITHMS, Entrant, Sweep, cases, markdown, page};

#[test]
fn threads_change_nothing() {
    let names = ["8867-5.3", "8867-5.7", "8868-loss-10", "mobile-wifi"];
    let cases: Vec<_> = cases().into_iter().filter(|case| names.contains(&case.name.as_str())).collect();
    let entrants: Vec<_> = ALGORITHMS.iter().copied().map(Entrant::BuiltIn).collect();
    let sweep = Sweep { cases: &cases, entrants: &entrants, seeds: 2, is_detailed: false };
    let written = [1, 3].map(|threads| {
        let outcomes = sweep.run(threads, &|_, _| {});
        (markdown(&sweep, &outcomes), page(&sweep, &outcomes))
    });
    assert!(written[0].0.contains("| gcc | ") && written[0].1.contains("8868-loss-10"));
    assert!(written[0] == written[1]);
}
