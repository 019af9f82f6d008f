//! How much may be on the way (congestion window), and what is done beyond it.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/congestion_window_pushback_controller.cc` and
//! `goog_cc_network_control.cc` (`UpdateCongestionWindowSize`), signalapp/webrtc bd635df347.

use std::time::Duration;

use plenary_wire::{Bitrate, DataSize};

use super::number::{bps, micros, scaled, seconds};

/// The window, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowConfig {
    /// What is done when more is on the way. Default: frames may be dropped.
    pub beyond: Beyond,
    /// What may wait in queues on the way, besides what a round trip holds. Default: 350 ms.
    pub queue: Duration,
    /// [`Beyond::Lower`] never lowers the target below. Default: 30 kbit/s.
    pub rate_min: Bitrate,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self { beyond: Beyond::DropFrames, queue: Duration::from_millis(350), rate_min: Bitrate::from_kbps(30) }
    }
}

/// What is done when more is on the way than the window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing.
    Ignore,
    /// The encoder may drop so many frames: [`Gcc::excess`](super::Gcc::excess).
    DropFrames,
    /// The target is lowered.
    Lower,
    /// The pacer stops: [`Rates::window`](crate::Rates::window).
    Stop,
}

/// Feedback that the least round-trip time is of.
const ROUND_TRIPS: usize = 32;
const WINDOW_MIN: DataSize = DataSize::from_bytes(2 * 1_500);

#[derive(Clone, Debug)]
pub(crate) struct Window {
    config: WindowConfig,
    /// The longest of each feedback, in microseconds.
    round_trips: [i64; ROUND_TRIPS],
    /// Where the next one goes.
    next: usize,
    least: i64,
    size: Option<DataSize>,
    in_flight: DataSize,
    /// What is left of the target, 0 to 1.
    ratio: f64,
}

impl Window {
    pub(crate) fn new(config: WindowConfig) -> Self {
        Self {
            config,
            round_trips: [i64::MAX; ROUND_TRIPS],
            next: 0,
            least: i64::MAX,
            size: None,
            in_flight: DataSize::ZERO,
            ratio: 1.0,
        }
    }

    pub(crate) const fn set_in_flight(&mut self, in_flight: DataSize) {
        self.in_flight = in_flight;
    }

    /// The longest time from a packet's departure to its feedback, in microseconds.
    pub(crate) fn add_round_trip(&mut self, micros: i64) {
        let oldest = std::mem::replace(&mut self.round_trips[self.next], micros);
        self.next = (self.next + 1) % ROUND_TRIPS;
        self.least = self.least.min(micros);
        if oldest == self.least {
            self.least = self.round_trips.iter().copied().fold(i64::MAX, i64::min);
        }
    }

    /// The window for that target: half of the way there from the last.
    pub(crate) fn update(&mut self, target: Bitrate) {
        if self.least == i64::MAX || self.config.beyond == Beyond::Ignore {
            return;
        }
        let time = seconds(self.least.saturating_add(micros(self.config.queue)));
        let size = DataSize::from_bytes((bps(target) * time / 8.0) as u64);
        let size = self.size.map_or(size, |last| DataSize::from_bytes(size.as_bytes().midpoint(last.as_bytes())));
        self.size = Some(size.max(WINDOW_MIN));
    }

    /// Moves by how full it is now. Takes the target that is pushed back, and gives what is left of it.
    pub(crate) fn push_back(&mut self, target: Bitrate) -> Bitrate {
        let Some(size) = self.size else { return target };
        let (size, in_flight) = (size.as_bytes(), self.in_flight.as_bytes());
        if in_flight > size.saturating_add(size / 2) {
            self.ratio *= 0.9;
        } else if in_flight > size {
            self.ratio *= 0.95;
        } else if in_flight < size / 10 {
            self.ratio = 1.0;
        } else {
            self.ratio = libm::fmin(self.ratio * 1.05, 1.0);
        }
        let left = scaled(target, self.ratio);
        if left < self.config.rate_min { target.min(self.config.rate_min) } else { left }
    }

    /// Whether the target itself is to be lowered.
    pub(crate) fn lowers(&self) -> bool {
        self.config.beyond == Beyond::Lower
    }

    /// There is a window.
    pub(crate) const fn is_open(&self) -> bool {
        self.size.is_some()
    }

    /// What the pacer is told.
    pub(crate) fn limit(&self) -> Option<DataSize> {
        self.size.filter(|_| self.config.beyond == Beyond::Stop)
    }

    /// The part of frames that may be dropped, 0 to 1.
    pub(crate) fn excess(&self, target: Bitrate, pushed_back: Bitrate) -> f64 {
        if self.config.beyond != Beyond::DropFrames || target == Bitrate::ZERO {
            return 0.0;
        }
        1.0 - bps(pushed_back.min(target)) / bps(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_the_least_round_trip_and_350_ms() {
        let mut window = Window::new(WindowConfig { beyond: Beyond::Stop, ..WindowConfig::default() });
        window.update(Bitrate::from_kbps(800));
        assert_eq!(window.limit(), None);
        for micros in [200_000, 150_000, 300_000] {
            window.add_round_trip(micros);
        }
        window.update(Bitrate::from_kbps(800));
        assert_eq!(window.limit(), Some(DataSize::from_bytes(50_000)));
        window.update(Bitrate::from_kbps(400));
        assert_eq!(window.limit(), Some(DataSize::from_bytes(37_500)));
        // The least is forgotten after 32.
        for _ in 0..31 {
            window.add_round_trip(250_000);
        }
        assert_eq!(window.least, 250_000);
        for _ in 0..40 {
            window.update(Bitrate::ZERO);
        }
        assert_eq!(window.limit(), Some(WINDOW_MIN));
    }

    #[test]
    fn the_target_is_pushed_back_by_steps() {
        let mut window = Window::new(WindowConfig { beyond: Beyond::Lower, ..WindowConfig::default() });
        let target = Bitrate::from_kbps(100);
        window.add_round_trip(50_000);
        window.update(Bitrate::from_kbps(200));
        assert_eq!(window.size, Some(DataSize::from_bytes(10_000)));
        let mut at = |bytes| {
            window.set_in_flight(DataSize::from_bytes(bytes));
            window.push_back(target).as_bps()
        };
        assert_eq!(at(15_001), 90_000);
        assert_eq!(at(15_000), 85_500);
        assert_eq!(at(10_000), 89_775);
        assert_eq!(at(999), 100_000);
        for _ in 0..100 {
            at(20_000);
        }
        assert_eq!(at(20_000), 30_000);
        assert_eq!(window.push_back(Bitrate::from_kbps(20)), Bitrate::from_kbps(20));
    }
}
