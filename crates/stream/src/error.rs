use thiserror::Error as ThisError;

/// Why a configuration is refused. Each names its field and what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum ConfigError {
    /// [`ReceiveConfig::misorder_max`](crate::ReceiveConfig::misorder_max).
    #[error("misorder_max is {0}, not a power of two from 64 to 32768")]
    MisorderMax(u16),
    /// [`ReceiveConfig::dropout_max`](crate::ReceiveConfig::dropout_max).
    #[error("dropout_max is {0}, not from 1 to 32767")]
    DropoutMax(u16),
    /// [`NackConfig::listed_max`](crate::NackConfig::listed_max).
    #[error("listed_max is {0}, not from 1 to 32767")]
    ListedMax(u16),
    /// [`NackConfig::asks_max`](crate::NackConfig::asks_max).
    #[error("asks_max is 0, not 1 or more")]
    AsksMax,
    /// A time in [`NackConfig`](crate::NackConfig).
    #[error("a time of the NACK configuration is above an hour")]
    NackTime,
    /// [`HistoryConfig::packets_max`](crate::HistoryConfig::packets_max).
    #[error("packets_max is {0}, not from 1 to 32767")]
    PacketsMax(u16),
    /// [`ScheduleConfig::interval`](crate::ScheduleConfig::interval).
    #[error("interval is not from 10 ms to an hour")]
    Interval,
    /// [`ScheduleConfig::bandwidth`](crate::ScheduleConfig::bandwidth).
    #[error("bandwidth is 0")]
    Bandwidth,
    /// [`PictureRequestConfig::interval_min`](crate::PictureRequestConfig::interval_min).
    #[error("interval_min is not from 1 ms to a minute")]
    IntervalMin,
}
