//! What one frame depends on, and who depends on it.

use std::fmt;

use super::{CHAINS_MAX, DECODE_TARGETS_MAX, FRAME_DIFF_MAX, FRAME_DIFFS_MAX};
use crate::Error;

/// What a frame is for a decode target (AV1 RTP §A.8.3, table A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dti {
    /// The target does without it.
    NotPresent,
    /// It belongs to the target, and no other frame of the target refers to it.
    Discardable,
    /// It belongs to the target, and whoever decodes it can decode all later frames of the target.
    Switch,
    /// It belongs to the target, and may be referred to.
    Required,
}

impl Dti {
    pub(super) const fn from_bits(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::NotPresent,
            1 => Self::Discardable,
            2 => Self::Switch,
            _ => Self::Required,
        }
    }
}

/// What a frame is for each decode target: up to [`DECODE_TARGETS_MAX`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Dtis {
    /// Two bits each, target 0 lowest.
    bits: u64,
    count: u8,
}

impl Dtis {
    /// # Errors
    ///
    /// [`Error::TooLong`] above [`DECODE_TARGETS_MAX`].
    pub fn new(dtis: &[Dti]) -> Result<Self, Error> {
        if dtis.len() > DECODE_TARGETS_MAX {
            return Err(Error::TooLong);
        }
        let mut all = Self::default();
        for &dti in dtis {
            all.push(dti);
        }
        Ok(all)
    }

    /// How many decode targets there are.
    pub const fn count(self) -> usize {
        self.count as usize
    }

    /// What the frame is for decode target `target`.
    pub fn of(self, target: usize) -> Option<Dti> {
        (target < self.count()).then(|| Dti::from_bits((self.bits >> (2 * target)) as u32))
    }

    /// What the frame is for each decode target, from 0 on.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Dti> {
        (0..self.count()).map(move |target| Dti::from_bits((self.bits >> (2 * target)) as u32))
    }

    /// There are fewer than [`DECODE_TARGETS_MAX`].
    pub(super) fn push(&mut self, dti: Dti) {
        debug_assert!(self.count() < DECODE_TARGETS_MAX, "the caller counts");
        self.bits |= (dti as u64) << (2 * self.count);
        self.count += 1;
    }
}

impl fmt::Debug for Dtis {
    /// In the letters of the specification: `SR-D`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|dti| {
            f.write_str(match dti {
                Dti::NotPresent => "-",
                Dti::Discardable => "D",
                Dti::Switch => "S",
                Dti::Required => "R",
            })
        })
    }
}

/// How far back each frame is that a frame refers to: its number is that much smaller, modulo 2^16. Up to
/// [`FRAME_DIFFS_MAX`], from 1 to [`FRAME_DIFF_MAX`] each; in a template 16 at most.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameDiffs {
    values: [u16; FRAME_DIFFS_MAX],
    count: u8,
}

impl FrameDiffs {
    /// # Errors
    ///
    /// [`Error::TooLong`] above [`FRAME_DIFFS_MAX`], [`Error::OutOfRange`] if one is not from 1 to
    /// [`FRAME_DIFF_MAX`].
    pub fn new(diffs: &[u16]) -> Result<Self, Error> {
        let mut all = Self::default();
        let values = all.values.get_mut(..diffs.len()).ok_or(Error::TooLong)?;
        if diffs.iter().any(|diff| !(1..=FRAME_DIFF_MAX).contains(diff)) {
            return Err(Error::OutOfRange);
        }
        values.copy_from_slice(diffs);
        all.count = diffs.len() as u8;
        Ok(all)
    }

    /// In the order of the packet.
    pub fn as_slice(&self) -> &[u16] {
        &self.values[..usize::from(self.count)]
    }

    /// Whether there was room for `diff`, which is from 1 to [`FRAME_DIFF_MAX`].
    #[must_use]
    pub(super) fn push(&mut self, diff: u16) -> bool {
        match self.values.get_mut(usize::from(self.count)) {
            Some(value) => {
                *value = diff;
                self.count += 1;
                true
            }
            None => false,
        }
    }
}

impl fmt::Debug for FrameDiffs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// For each chain, how far back its previous frame is. Up to [`CHAINS_MAX`]; 0 means that the chain begins anew: no
/// earlier frame is needed. In a template 15 at most, else 255.
///
/// A chain that protects no active decode target says nothing: see
/// [`Structure::active_chains`](super::Structure::active_chains).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ChainDiffs {
    values: [u8; CHAINS_MAX],
    count: u8,
}

impl ChainDiffs {
    /// # Errors
    ///
    /// [`Error::TooLong`] above [`CHAINS_MAX`].
    pub fn new(diffs: &[u8]) -> Result<Self, Error> {
        let mut all = Self::default();
        all.values.get_mut(..diffs.len()).ok_or(Error::TooLong)?.copy_from_slice(diffs);
        all.count = diffs.len() as u8;
        Ok(all)
    }

    /// Chain 0 first.
    pub fn as_slice(&self) -> &[u8] {
        &self.values[..usize::from(self.count)]
    }

    /// There are fewer than [`CHAINS_MAX`].
    pub(super) fn push(&mut self, diff: u8) {
        self.values[usize::from(self.count)] = diff;
        self.count += 1;
    }
}

impl fmt::Debug for ChainDiffs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// The place of a frame among the others. A template is one that many frames share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameDependencies {
    /// 0 to 3.
    pub spatial_id: u8,
    /// 0 to 7.
    pub temporal_id: u8,
    /// What it is for each decode target.
    pub dtis: Dtis,
    /// The frames that it refers to.
    pub fdiffs: FrameDiffs,
    /// The previous frame of each chain.
    pub chain_diffs: ChainDiffs,
}
