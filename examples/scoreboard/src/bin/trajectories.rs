//! Prints a number for each algorithm and case, of all that it did, to the last bit: two platforms that print the same do
//! the same. `cargo xtask test` compares this machine with WebAssembly.

use plenary_netsim::Trace;
use plenary_scoreboard::{ALGORITHMS, Entrant, GOLDEN_CASES, cases, exact_curve, run};

fn main() {
    // Another library's algorithm may use the platform's own functions: it is none of ours.
    for algorithm in ALGORITHMS.iter().filter(|one| one.name != "rtc-interceptor") {
        for case in cases().iter().filter(|case| GOLDEN_CASES.contains(&case.name.as_str())) {
            let record = run(case, &Entrant::BuiltIn(*algorithm), 1).expect("it is no program");
            let mut trace = Trace::default();
            exact_curve(&record).into_iter().for_each(|word| trace.word(word));
            println!("{} {} {:016x}", algorithm.name, case.name, trace.hash());
        }
    }
}
