/// What a description may hold before it is refused. Each field is a count, and has a default with its reason.
///
/// A description that is within the defaults takes at most `bytes` for its texts and 64 bytes for each of `lines`:
/// 1.6 MB, and about 2 ms to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text: 524,288. An answer of Chromium to 103 media sections has 110,447.
    pub bytes: usize,
    /// Bytes of one line without its end: 16,384. The longest is `a=group:BUNDLE`: 256 mids of up to 63 bytes.
    pub line_bytes: usize,
    /// Lines of the whole text, empty ones included: 16,384. With [`attributes`](Self::attributes), what bounds memory.
    pub lines: usize,
    /// Media sections: 256. A page that watches 100 others has 103.
    pub media: usize,
    /// `a=` lines of one section, or of the session: 1,024. An offer of all of Chromium's video codecs has about 300.
    pub attributes: usize,
    /// `b=` lines, and lines of types that WebRTC has no use for, of one section or of the session: 16.
    pub other_lines: usize,
    /// Payload types of one section: 96. Chromium offers about 45 for video.
    pub codecs: usize,
    /// `a=extmap` lines of one section, or of the session: 64. Chromium offers 17.
    pub extensions: usize,
    /// `a=rid` lines of one section, and rids in its `a=simulcast`, each: 16. Browsers send three or four. To answer takes
    /// time by the square of it.
    pub rids: usize,
    /// Different SSRCs of one section, and SSRCs in one `a=ssrc-group`, each: 64. Firefox has six for three encodings
    /// with RTX.
    pub ssrcs: usize,
    /// `a=candidate` lines of one section: 128. A machine with many interfaces has some dozens.
    pub candidates: usize,
    /// Words in `a=ice-options`: 16. Browsers write two.
    pub ice_options: usize,
    /// `a=rtcp-fb:*` lines of one section: 16. Each counts for every payload type.
    pub wildcard_feedback: usize,
    /// `a=fingerprint` lines of one section, or of the session: 8. One for each hash function that is in use.
    pub fingerprints: usize,
    /// `a=group` lines: 8. WebRTC has BUNDLE, at times LS.
    pub groups: usize,
    /// Lines of one section, or of the session, that repeat what may be said once: 16. Pages that change texts by hand
    /// add an `a=fmtp` here and there. Each is held against all attributes before it.
    pub repeats: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 524_288,
            line_bytes: 16_384,
            lines: 16_384,
            media: 256,
            attributes: 1_024,
            other_lines: 16,
            codecs: 96,
            extensions: 64,
            rids: 16,
            ssrcs: 64,
            candidates: 128,
            ice_options: 16,
            wildcard_feedback: 16,
            fingerprints: 8,
            groups: 8,
            repeats: 16,
        }
    }
}
