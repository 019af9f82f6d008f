use crate::client::Client;
use crate::outcome::{Outcome, Stop, Verdict};
use crate::want::Want;
use crate::{Target, Transport};

/// A rule and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The RFC and its section.
    pub section: &'static str,
    /// In our words.
    pub words: &'static str,
}

pub(crate) const fn rule(section: &'static str, words: &'static str) -> Rule {
    Rule { section, words }
}

/// A rule, one input that it is about, and what has to come of that.
pub struct Probe {
    id: String,
    rule: Rule,
    input: String,
    expected: String,
    script: Box<dyn Fn(&Target) -> Verdict + Send + Sync>,
}

impl Probe {
    /// `family.name`: stays the same from version to version.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The first part of the id.
    #[must_use]
    pub fn family(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }

    /// What it is about.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// What is sent, in words.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// What the rule wants, in words.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// Runs it. Takes at most a few times the target's patience, and leaves no allocation behind.
    #[must_use]
    pub fn run(&self, target: &Target) -> Outcome {
        (self.script)(target).into()
    }

    pub(crate) fn scripted(
        id: impl Into<String>,
        rule: Rule,
        input: impl Into<String>,
        expected: impl ToString,
        script: impl Fn(&Target) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self { id: id.into(), rule, input: input.into(), expected: expected.to_string(), script: Box::new(script) }
    }

    /// One datagram from a client of whom the server knows nothing.
    pub(crate) fn datagram(
        id: impl Into<String>,
        rule: Rule,
        input: impl Into<String>,
        want: Want,
        make: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::scripted(id, rule, input, want, move |target| {
            if target.transport != Transport::Udp {
                return Err(Stop::Skipped("is about datagrams".to_owned()));
            }
            Client::fresh(target)?.judge(&make(), want)
        })
    }

    /// One message from a client that has a nonce.
    pub(crate) fn known(
        id: impl Into<String>,
        rule: Rule,
        input: impl Into<String>,
        want: Want,
        make: impl Fn(&Client<'_>) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::scripted(id, rule, input, want, move |target| {
            let mut client = Client::known(target)?;
            let bytes = make(&client);
            client.judge(&bytes, want)
        })
    }

    /// One message from a client that has an allocation.
    pub(crate) fn allocated(
        id: impl Into<String>,
        rule: Rule,
        input: impl Into<String>,
        want: Want,
        make: impl Fn(&Client<'_>) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::scripted(id, rule, input, want, move |target| {
            let mut client = Client::allocated(target)?;
            let bytes = make(&client);
            client.judge(&bytes, want)
        })
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Probe").field(&self.id).finish()
    }
}
