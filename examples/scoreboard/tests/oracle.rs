//! Who knows the schedule uses what there is, at once, and waits for nothing: where it does not, the simulation is wrong.

use plenary_scoreboard::{ALGORITHMS, Entrant, Score, cases, run};

#[test]
fn the_oracle_is_at_home_on_every_link_of_known_rate() {
    let oracle = ALGORITHMS.iter().copied().find(|one| one.name == "oracle").map(Entrant::BuiltIn).unwrap();
    let is_known =
        |name: &str| !["loss", "mobile", "pause", "tcp", "5.6", "5.7", "3.1e"].iter().any(|part| name.contains(part));
    let known: Vec<_> = cases().into_iter().filter(|case| is_known(&case.name)).collect();
    assert!(known.len() > 30);
    for case in known {
        let score = Score::of(&case, &run(&case, &oracle, 7).unwrap());
        let name = &case.name;
        assert!(score.utilisation.iter().all(|used| (0.92..1.02).contains(used)), "{name}: {:?}", score.utilisation);
        assert!(score.convergence.iter().all(|time| time.is_some_and(|time| time < 1.0)), "{name}: {score:?}");
        assert!(score.wait[1] < 0.02 && score.loss < 0.001, "{name}: {score:?}");
        assert!(score.jain.is_none_or(|jain| jain > 0.999), "{name}: {score:?}");
    }
}
