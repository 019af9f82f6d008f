/// What the command line can ask for.
pub(crate) const USAGE: &str = "\
cargo xtask test [--quick]          every check there is; --quick: fmt, clippy, tests and tidy, nothing installed
cargo xtask tidy                    layers, lengths, compliance tables, manifests, words
cargo xtask external-types          third-party types in public APIs
cargo xtask fuzz [TARGET [SECONDS]] one fuzz target, for a minute unless told; alone: which targets there are
cargo xtask bench [CRATE]           the benchmarks of one crate, or all
cargo xtask bench-sfu [POINT…]      CPU for each packet that the server forwards, beside the floor, at some loads or all
cargo xtask bench-turn [POINT…]     CPU for each packet that the TURN server relays, beside coturn and floors; what it holds
cargo xtask scoreboard              crates/bwe/SCOREBOARD.md and the curves of examples/scoreboard, written anew
cargo xtask mutate CRATE [NUMBER]   breaks each rule of the crate's mutations.json: its test must fail";

/// One task, with what it was told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Test { quick: bool },
    Tidy,
    ExternalTypes,
    Fuzz { target: Option<String>, seconds: u32 },
    Bench { package: Option<String> },
    BenchSfu { points: Vec<String> },
    BenchTurn { points: Vec<String> },
    Scoreboard,
    Mutate { package: String, number: Option<usize> },
}

/// Reads the arguments after the program's name; the error says what was wrong and what is known.
pub(crate) fn parse(arguments: &[String]) -> Result<Task, String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Ok(match words[..] {
        [] | ["help" | "--help" | "-h"] => Task::Help,
        ["test"] => Task::Test { quick: false },
        ["test", "--quick"] => Task::Test { quick: true },
        ["tidy"] => Task::Tidy,
        ["external-types"] => Task::ExternalTypes,
        ["fuzz"] => Task::Fuzz { target: None, seconds: 0 },
        ["fuzz", target] if is_name(target) => fuzz(target, "60")?,
        ["fuzz", target, seconds] if is_name(target) => fuzz(target, seconds)?,
        ["bench"] => Task::Bench { package: None },
        ["bench", package] if is_name(package) => Task::Bench { package: Some(package.to_owned()) },
        ["bench-sfu", ref points @ ..] if points.iter().all(|point| is_name(point)) => {
            Task::BenchSfu { points: points.iter().map(|point| (*point).to_owned()).collect() }
        }
        ["bench-turn", ref points @ ..] if points.iter().all(|point| is_name(point)) => {
            Task::BenchTurn { points: points.iter().map(|point| (*point).to_owned()).collect() }
        }
        ["scoreboard"] => Task::Scoreboard,
        ["mutate", package] if is_name(package) => Task::Mutate { package: package.to_owned(), number: None },
        ["mutate", package, number] if is_name(package) => {
            let number = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
            Task::Mutate { package: package.to_owned(), number: Some(number) }
        }
        _ => return Err(format!("`{}` is not known. What is:\n\n{USAGE}", words.join(" "))),
    })
}

fn fuzz(target: &str, seconds: &str) -> Result<Task, String> {
    match seconds.parse() {
        Ok(seconds) if seconds > 0 => Ok(Task::Fuzz { target: Some(target.to_owned()), seconds }),
        _ => Err(format!("`{seconds}` is not a number of seconds from 1 up")),
    }
}

fn is_name(word: &str) -> bool {
    !word.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn each_task_is_understood() {
        assert_eq!(parsed(""), Ok(Task::Help));
        assert_eq!(parsed("test"), Ok(Task::Test { quick: false }));
        assert_eq!(parsed("test --quick"), Ok(Task::Test { quick: true }));
        assert_eq!(parsed("fuzz"), Ok(Task::Fuzz { target: None, seconds: 0 }));
        assert_eq!(parsed("fuzz sdp"), Ok(Task::Fuzz { target: Some("sdp".to_owned()), seconds: 60 }));
        assert_eq!(parsed("fuzz sdp 5"), Ok(Task::Fuzz { target: Some("sdp".to_owned()), seconds: 5 }));
        assert_eq!(parsed("mutate ice"), Ok(Task::Mutate { package: "ice".to_owned(), number: None }));
        assert_eq!(parsed("mutate ice 7"), Ok(Task::Mutate { package: "ice".to_owned(), number: Some(7) }));
        assert_eq!(parsed("scoreboard"), Ok(Task::Scoreboard));
        assert_eq!(parsed("bench rtp"), Ok(Task::Bench { package: Some("rtp".to_owned()) }));
        assert_eq!(parsed("bench-sfu"), Ok(Task::BenchSfu { points: Vec::new() }));
        assert_eq!(parsed("bench-sfu v10"), Ok(Task::BenchSfu { points: vec!["v10".to_owned()] }));
        assert_eq!(parsed("bench-turn b32"), Ok(Task::BenchTurn { points: vec!["b32".to_owned()] }));
    }

    #[test]
    fn what_is_not_known_is_answered_with_what_is() {
        for line in
            ["tests", "test --fast", "tidy up", "fuzz sdp 5 6", "bench --all", "bench-sfu --all", "mutate", "--quick"]
        {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(line) && error.contains("cargo xtask test [--quick]"), "{line}: {error}");
        }
        assert_eq!(parsed("fuzz sdp 0"), Err("`0` is not a number of seconds from 1 up".to_owned()));
        assert_eq!(parsed("mutate ice all"), Err("`all` is not a number".to_owned()));
        assert_eq!(parsed("fuzz sdp soon"), Err("`soon` is not a number of seconds from 1 up".to_owned()));
    }
}
