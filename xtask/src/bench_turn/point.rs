//! What is measured.

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) measure: Measure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The closed loop, by these arguments of `plenary-turn-load relay`.
    Relaying {
        load: &'static str,
    },
    /// A fixed rate.
    Latency,
    Strangers,
    Idle,
    Churn,
}

pub(crate) const POINTS: [Point; 15] = [
    relaying("p200", "200 B, a call for each", "--bytes 200"),
    relaying("p200-in", "the same, from the peer", "--bytes 200 --way in"),
    relaying("p200x64", "the same, 64 clients in turn", "--bytes 200 --clients 64"),
    relaying("b32", "1000 B, bursts of 32", "--bytes 1000 --burst 32 --send segments"),
    relaying("b8", "1000 B, bursts of 8", "--bytes 1000 --burst 8 --send segments"),
    relaying("b32-in", "bursts of 32 from the peer", "--bytes 1000 --burst 32 --send segments --way in"),
    relaying("b32-gro", "bursts of 32, to a peer with GRO", "--bytes 1000 --burst 32 --send segments --gro"),
    relaying("b32-mmsg", "bursts of 32 that arrive singly", "--bytes 1000 --burst 32 --send batch"),
    relaying("b8x64", "bursts of 8, 64 clients in turn", "--bytes 1000 --burst 8 --send segments --clients 64"),
    relaying("media", "sound and pictures, 16 both ways", "--media --send segments --clients 16 --way both"),
    Point { name: "latency", what: "how long a packet takes", measure: Measure::Latency },
    Point { name: "strangers", what: "requests without credentials", measure: Measure::Strangers },
    Point { name: "idle", what: "10,000 allocations that do nothing", measure: Measure::Idle },
    Point { name: "churn", what: "100,000 that come and go", measure: Measure::Churn },
    relaying("audio", "120 B, 200 clients in turn", "--bytes 120 --clients 200"),
];

const fn relaying(name: &'static str, what: &'static str, load: &'static str) -> Point {
    Point { name, what, measure: Measure::Relaying { load } }
}

/// Those that are named, or all.
pub(crate) fn named(names: &[String]) -> Result<Vec<&'static Point>, String> {
    if names.is_empty() {
        return Ok(POINTS.iter().collect());
    }
    let find = |name: &String| {
        let known = || POINTS.iter().map(|point| point.name).collect::<Vec<_>>().join(", ");
        let found = POINTS.iter().find(|point| point.name == name);
        found.ok_or_else(|| format!("`{name}` is no point; points are {}", known()))
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_named() {
        assert_eq!(named(&[]).unwrap().len(), POINTS.len());
        let some = named(&["churn".to_owned(), "b8".to_owned()]).unwrap();
        assert_eq!(some[0].measure, Measure::Churn);
        assert_eq!(some[1].measure, Measure::Relaying { load: "--bytes 1000 --burst 8 --send segments" });
        let unknown = named(&["b9".to_owned()]).unwrap_err();
        assert!(unknown.contains("`b9`") && unknown.contains("b32, b8"), "{unknown}");
    }
}
