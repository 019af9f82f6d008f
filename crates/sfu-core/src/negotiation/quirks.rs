//! What browsers do that the RFCs don't make one expect, and what is done about it.

/// Names of encodings. Without `setParameters` the first that is offered is the smallest, in Chromium and Firefox alike.
pub(super) const RIDS: [&str; 3] = ["q", "h", "f"];
