//! When RTCP goes out, and what it is made of.

mod picture;
mod reports;
mod schedule;

pub use picture::{PictureRequest, PictureRequestConfig, RequestKind};
pub use reports::ReportWriter;
pub use schedule::{Departure, Schedule, ScheduleConfig};
