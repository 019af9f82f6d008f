//! Descriptions as others write them, and what is made of them.

mod apply;
mod captures;
mod golden;
mod hostile;
mod negotiate;
mod oracle;
mod parties;
mod properties;
