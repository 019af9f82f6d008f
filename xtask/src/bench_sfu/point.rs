//! The loads that are measured. Those with a figure of others are of the same form as theirs.

/// One publisher, and who receives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) subscribers: u16,
    media: Media,
}

#[derive(Debug, PartialEq, Eq)]
enum Media {
    /// Bursts of so many packets of 1150 bytes, 30 a second.
    Video(u16),
    /// 50 packets of 100 bytes a second.
    Audio,
    /// As video of ten, the second half of each burst longer by so many bytes.
    Uneven(u16),
}

pub(crate) const POINTS: [Point; 7] = [
    Point { name: "v10", what: "300 packets/s to 10", subscribers: 10, media: Media::Video(10) },
    Point { name: "v50", what: "300 packets/s to 50", subscribers: 50, media: Media::Video(10) },
    Point { name: "v100", what: "300 packets/s to 100", subscribers: 100, media: Media::Video(10) },
    Point { name: "h200", what: "150 packets/s to 200: a livestream", subscribers: 200, media: Media::Video(5) },
    Point { name: "v200", what: "300 packets/s to 200: a livestream", subscribers: 200, media: Media::Video(10) },
    Point { name: "a100", what: "50 small packets/s to 100: audio", subscribers: 100, media: Media::Audio },
    Point {
        name: "u100",
        what: "300 packets/s to 100, which differ by a byte within each frame",
        subscribers: 100,
        media: Media::Uneven(1),
    },
];

/// The points of these names; all without any.
pub(crate) fn named(names: &[String]) -> Result<Vec<&'static Point>, String> {
    if names.is_empty() {
        return Ok(POINTS.iter().collect());
    }
    let find = |name: &String| {
        let unknown = || format!("`{name}` is no point: there are {}", super::points());
        POINTS.iter().find(|point| point.name == *name).ok_or_else(unknown)
    };
    names.iter().map(find).collect()
}

impl Point {
    /// From one to two hundred.
    pub(crate) const fn is_livestream(&self) -> bool {
        self.subscribers >= 200
    }

    /// For `plenary-load call`.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let media = match self.media {
            Media::Video(burst) => format!("--burst {burst}"),
            Media::Audio => "--kind audio".to_owned(),
            Media::Uneven(bytes) => format!("--uneven {bytes}"),
        };
        let line = format!("--subscribers {} {media}", self.subscribers);
        line.split(' ').map(str::to_owned).collect()
    }

    pub(crate) const fn tick_ms(&self) -> u16 {
        if matches!(self.media, Media::Audio) { 20 } else { 33 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_named() {
        assert_eq!(named(&[]).unwrap().len(), POINTS.len());
        let some = named(&["a100".to_owned(), "v10".to_owned()]).unwrap();
        assert_eq!(some[0].arguments().join(" "), "--subscribers 100 --kind audio");
        assert_eq!((some[0].tick_ms(), some[1].tick_ms()), (20, 33));
        let unknown = named(&["v11".to_owned()]).unwrap_err();
        assert!(unknown.contains("`v11`") && unknown.contains("v10, v50"), "{unknown}");
    }
}
