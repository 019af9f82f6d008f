//! A histogram of runs: how many datagrams each call of the kernel takes.

use std::str::FromStr;

/// Linux sends no more datagrams in one call.
const LENGTH_MAX: usize = 64;

/// Runs in all: an hour of a busy server.
const COUNT_MAX: u64 = 1 << 28;

/// Length and count, the shortest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs(Vec<(usize, u64)>);

impl Runs {
    /// Runs of all lengths.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Lengths without end, mixed as evenly as their counts allow: each length comes when it is the most behind.
    pub(crate) fn mixed(&self) -> impl Iterator<Item = usize> + use<> {
        let (runs, total) = (self.0.clone(), self.count().cast_signed());
        let mut credits = vec![0_i64; runs.len()];
        std::iter::repeat_with(move || {
            for (credit, (_, count)) in credits.iter_mut().zip(&runs) {
                *credit += count.cast_signed();
            }
            let most = (0..runs.len()).max_by_key(|index| credits[*index]).expect("it is not empty");
            credits[most] -= total;
            runs[most].0
        })
    }
}

impl FromStr for Runs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let run = |part: &str| {
            let (length, count) = part.split_once(':')?;
            let (length, count) = (length.parse().ok()?, count.parse().ok()?);
            ((1..=LENGTH_MAX).contains(&length) && (1..=COUNT_MAX).contains(&count)).then_some((length, count))
        };
        let runs = text.split(',').map(run).collect::<Option<Vec<_>>>();
        let runs =
            runs.ok_or_else(|| format!("`{text}` is not `length:count,…`, with lengths from 1 to {LENGTH_MAX}"))?;
        if runs.len() > LENGTH_MAX {
            return Err("each length stands once".to_owned());
        }
        Ok(Self(runs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_mixed_as_often_as_they_are_told() {
        let runs: Runs = "1:100,9:50,10:150".parse().unwrap();
        assert_eq!(runs.count(), 300);
        let mixed: Vec<_> = runs.mixed().take(300).collect();
        let count = |length| mixed.iter().filter(|it| **it == length).count();
        assert_eq!([1, 9, 10].map(count), [100, 50, 150]);
        assert_eq!(mixed[..6], [10, 1, 10, 9, 1, 10], "the long ones do not come all at once");
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        for text in ["", "1", "0:1", "65:1", "1:0", "1:1,", "1:x"] {
            assert!(text.parse::<Runs>().is_err(), "{text}");
        }
    }
}
