//! Each algorithm goes the ways that it went before: a change is a change of a file in `golden/`, for review to see.

use std::fs;
use std::path::Path;

use plenary_bwe::Controller;
use plenary_scoreboard::{ALGORITHMS, Entrant, GOLDEN_CASES, cases, curve, run};

/// Rounding and the order of sums may move a target by so much, or by 10 kbit/s.
const TOLERANCE: f64 = 0.05;

#[test]
fn algorithms_go_the_ways_that_they_went_before() {
    let cases: Vec<_> = cases().into_iter().filter(|case| GOLDEN_CASES.contains(&case.name.as_str())).collect();
    assert_eq!(cases.len(), GOLDEN_CASES.len());
    let mut wrong = Vec::new();
    for algorithm in ALGORITHMS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{}.txt", algorithm.name));
        let before = fs::read_to_string(&path).unwrap_or_default();
        let runs = cases.iter().map(|case| curve(case, &run(case, &Entrant::BuiltIn(*algorithm), 1).unwrap()));
        let now: String = runs.collect();
        let [was, is] = [&before, &now].map(|text| text.lines().collect::<Vec<_>>());
        if was.len() != is.len() {
            wrong.push(format!("{}: {} lines in place of {}", algorithm.name, is.len(), was.len()));
        }
        let pairs = was.iter().zip(&is).filter(|(was, is)| !is_near(was, is));
        wrong.extend(pairs.map(|(was, is)| format!("{}:\n  was {was}\n  is  {is}", algorithm.name)));
    }
    assert!(wrong.is_empty(), "`cargo xtask scoreboard` writes them anew\n{}", wrong.join("\n"));
}

fn is_near(was: &str, is: &str) -> bool {
    let [was, is] = [was, is].map(|line| line.split_once(':').map_or((line, ""), |parts| parts));
    let numbers = |values: &str| values.split_whitespace().filter_map(|value| value.parse().ok()).collect::<Vec<f64>>();
    let (before, now) = (numbers(was.1), numbers(is.1));
    was.0 == is.0
        && before.len() == now.len()
        && before.iter().zip(&now).all(|(was, is)| (was - is).abs() <= (was * TOLERANCE).max(10.0))
}

/// Of the controllers that can be used, not those that are there to compare with.
#[test]
fn the_default_is_the_best_of_the_table() {
    let table = include_str!("../../../crates/bwe/SCOREBOARD.md");
    let regret = |name: &str| {
        let row = table.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap();
        row.trim_end_matches(" |").rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let best =
        ["gcc", "nada", "scream"].into_iter().min_by(|one, other| regret(one).total_cmp(&regret(other))).unwrap();
    let default = format!("{:?}", Box::<dyn Controller>::default()).to_lowercase();
    assert!(default.starts_with(best), "{best} is the best");
}
