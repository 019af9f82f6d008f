use super::number_or;
use crate::Parameters;

/// What `a=fmtp` says of VP9 (RFC 9628).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vp9 {
    /// 0 to 3; 0 where nothing is said. Configurations match by it.
    pub profile_id: u8,
}

impl Vp9 {
    /// `None` if the profile is malformed or above 3.
    #[must_use]
    pub fn from_parameters(parameters: &Parameters) -> Option<Self> {
        let profile_id = number_or(parameters, "profile-id", 0).filter(|id| *id <= 3)?;
        Some(Self { profile_id })
    }
}

/// What `a=fmtp` says of AV1 (RTP payload format for AV1 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Av1 {
    /// 0 to 2; 0 where nothing is said. Configurations match by it.
    pub profile: u8,
    /// The highest level that is decoded, 0 to 31: 5, which is 3.1, where nothing is said.
    pub level_idx: u8,
    /// The highest tier that is decoded, 0 or 1.
    pub tier: u8,
}

impl Av1 {
    /// `None` if a parameter is malformed or out of its range.
    #[must_use]
    pub fn from_parameters(parameters: &Parameters) -> Option<Self> {
        let profile = number_or(parameters, "profile", 0).filter(|profile| *profile <= 2)?;
        let level_idx = number_or(parameters, "level-idx", 5).filter(|level| *level <= 31)?;
        let tier = number_or(parameters, "tier", 0).filter(|tier| *tier <= 1)?;
        Some(Self { profile, level_idx, tier })
    }
}

/// What `a=fmtp` says of H265 (RFC 7798 §7.1), as far as it tells configurations apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct H265 {
    /// 0 to 31; 1, which is Main, where nothing is said. Configurations match by it, the tier and the mode.
    pub profile_id: u8,
    /// 0 or 1; 0 where nothing is said.
    pub tier_flag: u8,
    /// The highest level that is decoded, times 30; 93, which is 3.1, where nothing is said.
    pub level_id: u8,
    /// Whether all is sent in one stream on one transport: `SRST`, which is meant where nothing is said.
    pub is_single_stream: bool,
}

impl H265 {
    /// `None` if a parameter is malformed or out of its range.
    #[must_use]
    pub fn from_parameters(parameters: &Parameters) -> Option<Self> {
        let profile_id = number_or(parameters, "profile-id", 1).filter(|profile| *profile <= 31)?;
        let tier_flag = number_or(parameters, "tier-flag", 0).filter(|tier| *tier <= 1)?;
        let level_id = number_or(parameters, "level-id", 93)?;
        let is_single_stream = parameters.value("tx-mode").is_none_or(|mode| mode == "SRST");
        Some(Self { profile_id, tier_flag, level_id, is_single_stream })
    }

    pub(crate) const fn matches(&self, other: &Self) -> bool {
        self.profile_id == other.profile_id
            && self.tier_flag == other.tier_flag
            && self.is_single_stream == other.is_single_stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(text: &str) -> Parameters {
        Parameters::new(text).unwrap()
    }

    #[test]
    fn vp9_has_four_profiles() {
        assert_eq!(Vp9::from_parameters(&Parameters::empty()), Some(Vp9 { profile_id: 0 }));
        assert_eq!(Vp9::from_parameters(&parameters("max-fs=1; profile-id=2")), Some(Vp9 { profile_id: 2 }));
        assert_eq!(Vp9::from_parameters(&parameters("profile-id=4")), None);
        assert_eq!(Vp9::from_parameters(&parameters("profile-id=a")), None);
    }

    #[test]
    fn av1_is_main_at_3_1_where_nothing_is_said() {
        assert_eq!(Av1::from_parameters(&Parameters::empty()), Some(Av1 { profile: 0, level_idx: 5, tier: 0 }));
        let read = Av1::from_parameters(&parameters("level-idx=8;profile=1;tier=1"));
        assert_eq!(read, Some(Av1 { profile: 1, level_idx: 8, tier: 1 }));
        for bad in ["profile=3", "level-idx=32", "tier=2", "tier=-1"] {
            assert_eq!(Av1::from_parameters(&parameters(bad)), None, "{bad}");
        }
    }

    #[test]
    fn h265_is_main_where_nothing_is_said() {
        let main = H265::from_parameters(&Parameters::empty()).unwrap();
        assert_eq!((main.profile_id, main.tier_flag, main.level_id, main.is_single_stream), (1, 0, 93, true));
        let other = H265::from_parameters(&parameters("level-id=156;tx-mode=SRST")).unwrap();
        assert!(main.matches(&other));
        assert!(!main.matches(&H265::from_parameters(&parameters("profile-id=2")).unwrap()));
        assert!(!main.matches(&H265::from_parameters(&parameters("tx-mode=MRST")).unwrap()));
    }
}
