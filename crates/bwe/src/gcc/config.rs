use std::time::Duration;

use super::{
    AimdConfig, ApplicationLimitConfig, BackoffConfig, LegacyLossConfig, LossBasedConfig, OveruseConfig, ProbingConfig,
    ThroughputConfig, TrendlineConfig, WindowConfig,
};

/// How [`Gcc`](super::Gcc) is tuned. The default is as libwebrtc runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct GccConfig {
    /// How delays become a trend.
    pub trendline: TrendlineConfig,
    /// When a trend is congestion.
    pub overuse: OveruseConfig,
    /// How the rate moves by that.
    pub aimd: AimdConfig,
    /// How what arrives in a second is known. It takes half of the memory: 6 kB.
    pub throughput: ThroughputConfig,
    /// What the path is taken to be by loss.
    pub loss_based: LossBasedConfig,
    /// How loss moves the target without transport-wide feedback.
    pub legacy_loss: LegacyLossConfig,
    /// What is done about round trips that take far too long.
    pub backoff: BackoffConfig,
    /// Which probes are sent.
    pub probing: ProbingConfig,
    /// When the application is the limit.
    pub application_limit: ApplicationLimitConfig,
    /// How much may be on the way.
    pub window: WindowConfig,
    /// The pacing rate, of the target. Default: 1.1.
    pub pacing: f64,
    /// The same, before there is transport-wide feedback. Default: 2.5.
    pub pacing_without_feedback: f64,
    /// The target rises to so many times what was acknowledged at most. Default: 2.
    pub proven: f64,
    /// So long after the last feedback, or look, it looks at the time: nothing that depends on it is shorter than a second.
    /// Default: 100 ms; libwebrtc looks each 25 ms.
    pub interval: Duration,
}

impl Default for GccConfig {
    fn default() -> Self {
        Self {
            trendline: TrendlineConfig::default(),
            overuse: OveruseConfig::default(),
            aimd: AimdConfig::default(),
            throughput: ThroughputConfig::default(),
            loss_based: LossBasedConfig::default(),
            legacy_loss: LegacyLossConfig::default(),
            backoff: BackoffConfig::default(),
            probing: ProbingConfig::default(),
            application_limit: ApplicationLimitConfig::default(),
            window: WindowConfig::default(),
            pacing: 1.1,
            pacing_without_feedback: 2.5,
            proven: 2.0,
            interval: Duration::from_millis(100),
        }
    }
}
