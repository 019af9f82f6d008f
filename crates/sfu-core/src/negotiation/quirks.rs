//! What browsers do that the RFCs don't make one expect, and what is done about it.

/// A habit of a browser that descriptions are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// Who does it, and in which version it was seen.
    pub browser: &'static str,
    /// What it does.
    pub habit: &'static str,
    /// What is done about it.
    pub remedy: &'static str,
    /// The test that fails without it.
    pub test: &'static str,
}

/// Names of encodings. Without `setParameters` the first that is offered is the smallest, in Chromium and Firefox alike.
pub(super) const RIDS: [&str; 3] = ["q", "h", "f"];

/// All that is known.
pub const QUIRKS: [Quirk; 12] = [
    Quirk {
        browser: "Firefox 153",
        habit: "where a slot's RTX is found by MID alone, it repairs nothing",
        remedy: "slots are offered with a=ssrc and a=ssrc-group:FID for both of their SSRCs",
        test: "slots_are_signalled_with_their_rtx",
    },
    Quirk {
        browser: "Chromium 156, Firefox 153",
        habit: "the first rid of an offer that asks for a simulcast is the smallest picture",
        remedy: "rids are offered from small to large: q, h, f",
        test: "a_camera_is_asked_for_with_the_smallest_encoding_first",
    },
    Quirk {
        browser: "Chromium 156",
        habit: "sends VP8 inside RED, if the answer keeps red and ulpfec",
        remedy: "no red and no ulpfec in video, whoever offers",
        test: "an_offer_of_chromium_is_answered_without_red",
    },
    Quirk {
        browser: "Chromium 156",
        habit: "answers a simulcast, but its answer has no a=ssrc: packets say by MID and RID what they are",
        remedy: "SSRCs are learned; the extensions are offered in every section that is published in",
        test: "chromium_publishes_a_simulcast_without_ssrcs",
    },
    Quirk {
        browser: "Firefox 153",
        habit: "its answer to a simulcast names six SSRCs in three FID groups, and not which rid is which",
        remedy: "signalled SSRCs of a simulcast are passed over",
        test: "firefox_publishes_a_simulcast_with_ssrcs_of_unknown_rids",
    },
    Quirk {
        browser: "Firefox 153",
        habit: "has no H.264 without a download; a packet type that it left out kills the slot, without a word",
        remedy: "only accepted payload types are sent; a subscription that has none is told: NoCommonCodec",
        test: "a_codec_that_the_subscriber_left_out_is_told",
    },
    Quirk {
        browser: "Firefox 153",
        habit: "writes fingerprints and ice-options once, for the session, and attributes by the alphabet",
        remedy: "what the session says holds for sections that say nothing; order means nothing",
        test: "firefox_publishes_a_simulcast_with_ssrcs_of_unknown_rids",
    },
    Quirk {
        browser: "Firefox 153",
        habit: "its own offer after one of ours fails, as it keeps our ids and takes new ones for what we have numbered as \
                it numbers something else, up to 15, which it can't write",
        remedy: "header extensions have the ids that Firefox gives them",
        test: "header_extensions_are_numbered_as_firefox_does",
    },
    Quirk {
        browser: "Chromium 156, Firefox 153",
        habit: "pass over transport-wide feedback whose media SSRC is none of theirs, and send at the least they can",
        remedy: "feedback names the stream that came last",
        test: "feedback_names_a_stream_of_its_sender",
    },
    Quirk {
        browser: "Chromium 156, Firefox 153",
        habit: "synchronise what shares an msid, and are told that at negotiation only",
        remedy: "audio slot i and video slot i share one; who is heard and seen is put into such a pair",
        test: "slots_of_one_number_share_a_stream",
    },
    Quirk {
        browser: "Chromium 156, Firefox 153",
        habit: "roll back their own offer when another comes (RFC 8829 §4.1.10.2), and offer again by themselves",
        remedy: "the engine's offer stands: a client's that crosses it is refused as glare",
        test: "a_clients_offer_that_crosses_ours_is_refused",
    },
    Quirk {
        browser: "Chromium 156",
        habit: "sends the first codec of an offer, even if setCodecPreferences has taken it out of the answer",
        remedy: "it is told: UnknownPayloadType; who wants one codec for certain asks for that alone",
        test: "a_payload_type_that_nobody_agreed_on_is_told",
    },
];
