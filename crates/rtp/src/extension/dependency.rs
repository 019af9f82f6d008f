//! The AV1 dependency descriptor: how the frames of a video stream depend on each other, for any codec (AV1 RTP
//! payload specification v1.0.0, appendix A).
//!
//! A [`Structure`] travels beside a key frame and lists templates; the [`Descriptor`] of every packet names one of
//! them and what differs from it. So a packet can be read only with the structure that came before it:
//! [`StructureState`] keeps that for one stream. [`Layout`] remembers where in the bytes a field stands, to change the
//! number of a frame and the active decode targets without writing all anew. Reading allocates only for a structure.

mod descriptor;
mod frame;
mod layout;
mod state;
mod structure;
mod syntax;
#[cfg(test)]
mod tests;

pub use descriptor::{Descriptor, Header, Parsed};
pub use frame::{ChainDiffs, Dti, Dtis, FrameDependencies, FrameDiffs};
pub use layout::Layout;
pub use state::StructureState;
pub use structure::{Layer, Structure};

/// What names the element in an `a=extmap` line.
pub const URI: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// Templates in a structure: their ids have six bits.
pub const TEMPLATES_MAX: usize = 64;
/// Decode targets in a structure.
pub const DECODE_TARGETS_MAX: usize = 32;
/// Chains in a structure: no more than decode targets.
pub const CHAINS_MAX: usize = DECODE_TARGETS_MAX;
/// Spatial layers: an AV1 spatial id has two bits.
pub const SPATIAL_LAYERS_MAX: usize = 4;
/// Temporal layers: an AV1 temporal id has three bits.
pub const TEMPORAL_LAYERS_MAX: usize = 8;
/// Frames that one frame refers to. The format has no bound; AV1 knows 7, VP9 3, H.264 and H.265 16 of them.
pub const FRAME_DIFFS_MAX: usize = 16;
/// The farthest that a frame can refer back: a custom difference has 12 bits.
pub const FRAME_DIFF_MAX: u16 = 1 << 12;
