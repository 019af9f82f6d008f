use std::fmt;

/// A figure beside what it is to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    what: String,
    figure: f64,
    limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Verdict {
    pub(crate) fn at_least(what: impl Into<String>, figure: f64, limit: f64) -> Self {
        Self { what: what.into(), figure, limit: Limit::AtLeast(limit) }
    }

    pub(crate) fn at_most(what: impl Into<String>, figure: f64, limit: f64) -> Self {
        Self { what: what.into(), figure, limit: Limit::AtMost(limit) }
    }

    pub(crate) fn is_met(&self) -> bool {
        match self.limit {
            Limit::AtLeast(limit) => self.figure >= limit,
            Limit::AtMost(limit) => self.figure <= limit,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, figure, limit } = self;
        let outcome = if self.is_met() { "met   " } else { "MISSED" };
        let (bound, limit) = match limit {
            Limit::AtLeast(limit) => ("at least", limit),
            Limit::AtMost(limit) => ("at most", limit),
        };
        write!(f, "{outcome} {what}: {figure:.2}, {bound} {limit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_met_or_missed() {
        let good = Verdict::at_least("times", 1.3, 1.3);
        assert_eq!((good.is_met(), good.to_string().as_str()), (true, "met    times: 1.30, at least 1.3"));
        let bad = Verdict::at_most("µs", 1.61, 1.6);
        assert_eq!((bad.is_met(), bad.to_string().as_str()), (false, "MISSED µs: 1.61, at most 1.6"));
        assert!(!Verdict::at_most("nothing was measured", f64::NAN, 1.0).is_met());
    }
}
