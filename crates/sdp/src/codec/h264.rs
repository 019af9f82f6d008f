use core::fmt;

use super::number_or;
use crate::Parameters;

/// What `a=fmtp` says of H264 (RFC 6184 §8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct H264 {
    /// The profile, and the highest level that is decoded.
    pub profile_level_id: ProfileLevelId,
    /// 0: one NAL unit in a packet; 1: aggregated and fragmented ones too; 2: interleaved.
    pub packetization_mode: u8,
    /// Each side may send up to the other's level. Otherwise both keep to the lower one.
    pub level_asymmetry_allowed: bool,
}

/// What an encoder may use (RFC 6184 §8.1, table 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum H264Profile {
    /// What all WebRTC endpoints that have H264 can do.
    ConstrainedBaseline,
    /// Baseline
    Baseline,
    /// Main
    Main,
    /// Extended
    Extended,
    /// High, without interlacing and with no B frames: not in RFC 6184's table, but browsers offer it.
    ConstrainedHigh,
    /// High
    High,
    /// High 10
    High10,
    /// High 4:2:2
    High422,
    /// High 4:4:4 Predictive
    High444,
    /// High 10 Intra
    High10Intra,
    /// High 4:2:2 Intra
    High422Intra,
    /// High 4:4:4 Intra
    High444Intra,
    /// CAVLC 4:4:4 Intra
    Cavlc444Intra,
}

/// A level: how large and how fast pictures may be. Ordered from 1 over 1b to 6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct H264Level {
    /// Twice the level times ten, so that 1b, which is 21, has a place between 1 and 1.1.
    rank: u8,
}

impl H264Level {
    /// 3.1: 1280x720 at 30 frames in a second. What browsers offer.
    pub const L3_1: Self = Self { rank: 62 };
    const L1_B: Self = Self { rank: 21 };

    /// The level that is ten times `tenths`, from 10 (level 1) to 62; 9 is level 1b. `None` if there is none.
    #[must_use]
    pub const fn from_tenths(tenths: u8) -> Option<Self> {
        match tenths {
            9 => Some(Self::L1_B),
            10..=13 | 20..=22 | 30..=32 | 40..=42 | 50..=52 | 60..=62 => Some(Self { rank: tenths * 2 }),
            _ => None,
        }
    }

    /// The level times ten; 9 is level 1b.
    #[must_use]
    pub const fn tenths(self) -> u8 {
        if self.rank == Self::L1_B.rank { 9 } else { self.rank / 2 }
    }
}

/// Three bytes: a profile, its constraints, and a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProfileLevelId {
    profile_idc: u8,
    /// Constraint flags 0 to 5 from the most significant bit, then two zero bits.
    constraints: u8,
    profile: H264Profile,
    level: H264Level,
}

/// `constraint_set3_flag`: with level 1.1, in the three older profiles, it makes level 1b.
const SET3: u8 = 0x10;

impl ProfileLevelId {
    /// From six hexadecimal digits; `None` if they are not, or name no profile or level that is known.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let [_, profile_idc, constraints, level_idc] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        let profile = profile_of(profile_idc, constraints)?;
        // H.264 §A.3.1: level 1b is 11 with constraint_set3 in the older profiles, and 9 in the others.
        let is_1b = level_idc == 11 && is_older(profile_idc) && constraints & SET3 != 0;
        let level = if is_1b { H264Level::L1_B } else { H264Level::from_tenths(level_idc)? };
        Some(Self { profile_idc, constraints, profile, level })
    }

    /// The profile. Different bytes can mean the same one.
    #[must_use]
    pub const fn profile(self) -> H264Profile {
        self.profile
    }

    /// The level.
    #[must_use]
    pub const fn level(self) -> H264Level {
        self.level
    }

    /// The same bytes of the profile with another level.
    #[must_use]
    pub fn with_level(self, level: H264Level) -> Self {
        let mut constraints = self.constraints;
        // With other levels than 1.1 the flag means nothing, and stays as it came.
        if is_older(self.profile_idc) && level != self.level {
            constraints = if level == H264Level::L1_B { constraints | SET3 } else { constraints & !SET3 };
        }
        Self { constraints, level, ..self }
    }
}

const fn is_older(profile_idc: u8) -> bool {
    matches!(profile_idc, 0x42 | 0x4d | 0x58)
}

/// RFC 6184 §8.1, table 5. `x` of a pattern is either bit; constraint_set3 of the older profiles belongs to the level.
const fn profile_of(profile_idc: u8, constraints: u8) -> Option<H264Profile> {
    Some(match (profile_idc, constraints) {
        // x1xx0000, 1xxx0000, 11xx0000
        (0x42, c) if c & 0x4f == 0x40 => H264Profile::ConstrainedBaseline,
        (0x4d, c) if c & 0x8f == 0x80 => H264Profile::ConstrainedBaseline,
        (0x58, c) if c & 0xcf == 0xc0 => H264Profile::ConstrainedBaseline,
        // x0xx0000, 10xx0000
        (0x42, c) if c & 0x4f == 0 => H264Profile::Baseline,
        (0x58, c) if c & 0xcf == 0x80 => H264Profile::Baseline,
        // 0x0x0000
        (0x4d, c) if c & 0xaf == 0 => H264Profile::Main,
        // 00xx0000
        (0x58, c) if c & 0xcf == 0 => H264Profile::Extended,
        (0x64, 0) => H264Profile::High,
        (0x64, 0x0c) => H264Profile::ConstrainedHigh,
        (0x6e, 0) => H264Profile::High10,
        (0x7a, 0) => H264Profile::High422,
        (0xf4, 0) => H264Profile::High444,
        (0x6e, 0x10) => H264Profile::High10Intra,
        (0x7a, 0x10) => H264Profile::High422Intra,
        (0xf4, 0x10) => H264Profile::High444Intra,
        (0x2c, 0x10) => H264Profile::Cavlc444Intra,
        _ => return None,
    })
}

impl fmt::Display for ProfileLevelId {
    /// Six hexadecimal digits in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level_idc = match self.level {
            H264Level::L1_B if is_older(self.profile_idc) => 11,
            level => level.tenths(),
        };
        write!(f, "{:02x}{:02x}{level_idc:02x}", self.profile_idc, self.constraints)
    }
}

impl H264 {
    /// Reads the three parameters; `None` if one is malformed or not known.
    #[must_use]
    pub fn from_parameters(parameters: &Parameters) -> Option<Self> {
        // RFC 6184 §8.1: where there is no profile-level-id, Baseline at level 1 is meant.
        let profile_level_id = ProfileLevelId::parse(parameters.value("profile-level-id").unwrap_or("42000a"))?;
        let packetization_mode = number_or(parameters, "packetization-mode", 0).filter(|mode| *mode <= 2)?;
        let asymmetry = number_or(parameters, "level-asymmetry-allowed", 0u8).filter(|flag| *flag <= 1)?;
        Some(Self { profile_level_id, packetization_mode, level_asymmetry_allowed: asymmetry == 1 })
    }

    /// Whether both mean one configuration (RFC 6184 §8.2.2): the profile and the packetization mode. Levels differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.profile_level_id.profile == other.profile_level_id.profile
            && self.packetization_mode == other.packetization_mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digits: &str) -> ProfileLevelId {
        ProfileLevelId::parse(digits).unwrap()
    }

    #[test]
    fn its_own_level_changes_nothing() {
        for digits in ["42701f", "42f00b", "42e00b", "4d001f"] {
            assert_eq!(id(digits).with_level(id(digits).level()).to_string(), digits);
        }
    }

    // RFC 6184 §8.1, table 5, a pair or more for each row.
    #[test]
    fn profiles_are_those_of_the_table() {
        let table = [
            ("42e01f", H264Profile::ConstrainedBaseline),
            ("42c01f", H264Profile::ConstrainedBaseline),
            ("42401f", H264Profile::ConstrainedBaseline),
            ("4d801f", H264Profile::ConstrainedBaseline),
            ("58c01f", H264Profile::ConstrainedBaseline),
            ("42001f", H264Profile::Baseline),
            ("42a01f", H264Profile::Baseline),
            ("58801f", H264Profile::Baseline),
            ("4d001f", H264Profile::Main),
            ("4d401f", H264Profile::Main),
            ("58001f", H264Profile::Extended),
            ("64001f", H264Profile::High),
            ("640c1f", H264Profile::ConstrainedHigh),
            ("6e001f", H264Profile::High10),
            ("7a001f", H264Profile::High422),
            ("f4001f", H264Profile::High444),
            ("6e101f", H264Profile::High10Intra),
            ("7a101f", H264Profile::High422Intra),
            ("f4101f", H264Profile::High444Intra),
            ("2c101f", H264Profile::Cavlc444Intra),
        ];
        for (digits, profile) in table {
            assert_eq!(id(digits).profile(), profile, "{digits}");
            assert_eq!((id(digits).level(), id(digits).to_string()), (H264Level::L3_1, digits.to_owned()));
        }
        for bad in ["", "42e0", "42e01f0", "42e01g", "+2e01f", "42e10f", "99001f", "64ff1f", "42e0ff", "4d201f"] {
            assert_eq!(ProfileLevelId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn level_1b_is_written_in_two_ways() {
        assert_eq!(id("42f00b").level(), H264Level::L1_B);
        assert_eq!(id("42e00b").level().tenths(), 11);
        assert_eq!(id("640009").level(), H264Level::L1_B);
        assert!(id("42e00a").level() < id("42f00b").level() && id("42f00b").level() < id("42e00b").level());
        assert_eq!(id("42e01f").with_level(H264Level::L1_B).to_string(), "42f00b");
        assert_eq!(id("42f00b").with_level(H264Level::L3_1).to_string(), "42e01f");
        assert_eq!(id("64001f").with_level(H264Level::L1_B).to_string(), "640009");
    }

    #[test]
    fn what_is_not_said_is_baseline_at_level_1_in_mode_0() {
        let read = H264::from_parameters(&Parameters::empty()).unwrap();
        assert_eq!(
            (read.profile_level_id.profile(), read.profile_level_id.level().tenths()),
            (H264Profile::Baseline, 10)
        );
        assert_eq!((read.packetization_mode, read.level_asymmetry_allowed), (0, false));
        for bad in ["packetization-mode=3", "level-asymmetry-allowed=2", "profile-level-id=zz", "packetization-mode=x"]
        {
            assert_eq!(H264::from_parameters(&Parameters::new(bad).unwrap()), None, "{bad}");
        }
    }

    #[test]
    fn configurations_match_by_profile_and_mode() {
        let read = |text: &str| H264::from_parameters(&Parameters::new(text).unwrap()).unwrap();
        let ours = read("profile-level-id=42e01f;packetization-mode=1");
        assert!(ours.matches(&read("packetization-mode=1;profile-level-id=4d8033")));
        assert!(!ours.matches(&read("packetization-mode=0;profile-level-id=42e01f")));
        assert!(!ours.matches(&read("packetization-mode=1;profile-level-id=42001f")));
    }
}
