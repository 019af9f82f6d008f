//! RTCP: the walk over a compound, reports, and feedback.
