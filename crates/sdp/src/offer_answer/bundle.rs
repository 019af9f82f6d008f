//! Which sections share the transport, and which of them describes it.

use std::collections::BTreeMap;

use crate::{Attribute, Description, Media, Mid, TransportDescription};

use super::Section;

/// Whether nothing is sent in a section: its port is 0, and it does not wait for its group.
///
/// RFC 9143 §6: what is bundle-only is not rejected by its port. RFC 8843, which that replaces, had it in answers too. Outside
/// of a group it means nothing.
pub(super) fn is_rejected(description: &Description, media: &Media) -> bool {
    let mid = media.mid();
    let is_bundled = || description.bundle().is_some_and(|group| mid.is_some_and(|mid| group.mids.contains(mid)));
    media.port == 0 && !(media.has(&Attribute::BundleOnly) && is_bundled())
}

/// The accepted sections, in the order of the description's group: the first is its tagged section.
pub(super) fn group_order(description: &Description, sections: &[Section]) -> Vec<usize> {
    let is_accepted = |index: &usize| !matches!(sections[*index], Section::Rejected(_));
    let media = description.media.iter().enumerate();
    let places: BTreeMap<&Mid, usize> = media.filter_map(|(index, media)| Some((media.mid()?, index))).collect();
    match description.bundle() {
        Some(group) => group.mids.iter().filter_map(|mid| places.get(mid).copied()).filter(is_accepted).collect(),
        None => (0..sections.len()).filter(is_accepted).collect(),
    }
}

/// The transport of the first section that has all of one, in that order.
///
/// The tagged section should have it (RFC 9143 §7.3.1). An offerer that put it into a section which is rejected now, or
/// into another one of the group, is understood too.
pub(super) fn transport_of(description: &Description, order: &[usize]) -> Option<TransportDescription> {
    let accepted = order.iter().filter_map(|&index| description.media.get(index));
    let group = description.bundle().map_or(&[][..], |group| &group.mids);
    let is_other = |media: &&Media| media.port != 0 && media.mid().is_some_and(|mid| group.contains(mid));
    let others = description.media.iter().filter(is_other);
    accepted.chain(others).map(|media| description.transport(media)).find(TransportDescription::is_complete)
}
