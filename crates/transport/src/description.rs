use std::fmt;

use crate::{DataParameters, DtlsRole, Error, Fingerprint, ParseError};

/// Who speaks first in DTLS (RFC 4145 §4, RFC 8842 §5). `Display` writes the value of the `setup` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// This side.
    Active,
    /// The other side.
    Passive,
    /// Either: the answerer decides. What an offer says.
    ActPass,
}

impl Setup {
    /// Reads the value of a `setup` attribute. `holdconn` is none that DTLS-SRTP allows (RFC 5763 §5).
    ///
    /// # Errors
    ///
    /// [`ParseError::Setup`] for anything else.
    pub fn parse(value: &str) -> Result<Self, ParseError> {
        [Self::Active, Self::Passive, Self::ActPass]
            .into_iter()
            .find(|setup| setup.name() == value.trim())
            .ok_or(ParseError::Setup)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
        }
    }

    /// Our role, if this is what we say and `peer` what the peer does.
    pub(crate) const fn role(self, peer: Self) -> Result<DtlsRole, Error> {
        match (self, peer) {
            (Self::Active | Self::ActPass, Self::Passive) | (Self::Active, Self::ActPass) => Ok(DtlsRole::Client),
            (Self::Passive | Self::ActPass, Self::Active) | (Self::Passive, Self::ActPass) => Ok(DtlsRole::Server),
            // RFC 8842 §5.3: an answerer that may choose should be active; both can't have offered.
            (Self::ActPass, Self::ActPass) => Ok(DtlsRole::Client),
            (Self::Active, Self::Active) | (Self::Passive, Self::Passive) => Err(Error::Setup),
        }
    }
}

impl From<DtlsRole> for Setup {
    fn from(role: DtlsRole) -> Self {
        match role {
            DtlsRole::Client => Self::Active,
            DtlsRole::Server => Self::Passive,
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one side tells the other of its transport, besides candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// ICE's credentials and options.
    pub ice: plenary_ice::Parameters,
    /// Its certificate's fingerprints, of hash functions that are known here.
    pub fingerprints: Vec<Fingerprint>,
    /// Its part in DTLS.
    pub setup: Setup,
    /// Its data channels: `None`, if there is no `m=application` section, or it is refused.
    pub data: Option<DataParameters>,
}

impl Parameters {
    /// Fingerprints that are taken: several certificates, each with three hash functions.
    pub const FINGERPRINTS_MAX: usize = 16;

    pub(crate) const fn check(&self) -> Result<(), Error> {
        if self.fingerprints.is_empty() {
            return Err(Error::NoFingerprint);
        }
        if self.fingerprints.len() > Self::FINGERPRINTS_MAX {
            return Err(Error::Fingerprints);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_goes_through_its_line() {
        for setup in [Setup::Active, Setup::Passive, Setup::ActPass] {
            assert_eq!(Setup::parse(&setup.to_string()), Ok(setup));
        }
        assert_eq!(Setup::parse("holdconn"), Err(ParseError::Setup));
        assert_eq!(Setup::parse(""), Err(ParseError::Setup));
    }

    #[test]
    fn one_side_speaks_first() {
        use DtlsRole::{Client, Server};
        use Setup::{ActPass, Active, Passive};
        assert_eq!(ActPass.role(Active), Ok(Server));
        assert_eq!(ActPass.role(Passive), Ok(Client));
        assert_eq!(ActPass.role(ActPass), Ok(Client));
        assert_eq!((Passive.role(ActPass), Active.role(ActPass)), (Ok(Server), Ok(Client)));
        assert_eq!((Passive.role(Active), Active.role(Passive)), (Ok(Server), Ok(Client)));
        assert_eq!((Passive.role(Passive), Active.role(Active)), (Err(Error::Setup), Err(Error::Setup)));
    }
}
