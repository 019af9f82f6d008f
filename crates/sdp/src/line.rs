use crate::{Limits, ParseError, Part, Reason};

/// One line: `letter=value`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'t> {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) letter: char,
    pub(crate) value: &'t str,
}

impl Line<'_> {
    pub(crate) const fn error(&self, reason: Reason) -> ParseError {
        ParseError { line: self.number, reason }
    }
}

/// The lines of a text, which end with CRLF, or LF alone; the last may have no end. Empty lines are passed over.
///
/// The grammar of lines is this small, and reading it here is what lets every error name its line, limits hold before
/// anything is kept, and lines of types that nobody knows be refused as RFC 8866 §5 wants: the `sdp-types` crate, the
/// oracle of this crate's tests, drops the line numbers of attributes and unknown lines, and has no limits.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    rest: core::str::Split<'t, char>,
    /// Lines read so far.
    count: usize,
    line_bytes_max: usize,
    count_max: usize,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str, limits: &Limits) -> Result<Self, ParseError> {
        if text.len() > limits.bytes {
            let allowed = &text.as_bytes()[..limits.bytes];
            let line = 1 + allowed.iter().filter(|&&byte| byte == b'\n').count();
            return Err(ParseError { line, reason: Reason::TooMany(Part::Text) });
        }
        Ok(Self { rest: text.split('\n'), count: 0, line_bytes_max: limits.line_bytes, count_max: limits.lines })
    }

    /// The number that a line after all that were read would have.
    pub(crate) const fn next_number(&self) -> usize {
        self.count + 1
    }

    pub(crate) fn next(&mut self) -> Result<Option<Line<'t>>, ParseError> {
        loop {
            let Some(line) = self.rest.next() else { return Ok(None) };
            // What comes after the last LF is a line only if it is something.
            let is_end = line.is_empty() && self.rest.clone().next().is_none();
            if is_end {
                return Ok(None);
            }
            self.count += 1;
            let number = self.count;
            let fail = |reason| Err(ParseError { line: number, reason });
            if number > self.count_max {
                return fail(Reason::TooMany(Part::Lines));
            }
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.len() > self.line_bytes_max {
                return fail(Reason::OutOfRange(Part::LineBytes));
            }
            if line.is_empty() {
                continue;
            }
            if line.bytes().any(|byte| matches!(byte, 0 | b'\r')) {
                return fail(Reason::Control);
            }
            let mut characters = line.chars();
            let Some(letter) = characters.next().filter(char::is_ascii_alphabetic) else {
                return fail(Reason::NotALine);
            };
            let Some(value) = characters.as_str().strip_prefix('=') else { return fail(Reason::NotALine) };
            return Ok(Some(Line { number, letter, value }));
        }
    }

    /// The next line, which begins with `letter`.
    pub(crate) fn expect(&mut self, letter: char) -> Result<Line<'t>, ParseError> {
        match self.next()? {
            Some(line) if line.letter == letter => Ok(line),
            Some(line) => Err(line.error(Reason::Missing(letter))),
            None => Err(ParseError { line: self.next_number(), reason: Reason::Missing(letter) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, limits: &Limits) -> Result<Vec<(usize, char, String)>, ParseError> {
        let mut lines = Lines::new(text, limits)?;
        let mut all = Vec::new();
        while let Some(line) = lines.next()? {
            all.push((line.number, line.letter, line.value.to_owned()));
        }
        Ok(all)
    }

    #[test]
    fn both_ends_of_line_are_read() {
        let expected = [(1, 'v', "0".to_owned()), (2, 's', " x=y ".to_owned()), (4, 'a', String::new())];
        for text in ["v=0\r\ns= x=y \r\n\r\na=\r\n", "v=0\ns= x=y \n\na=", "v=0\r\ns= x=y \n\na=\r"] {
            assert_eq!(read(text, &Limits::default()).as_deref(), Ok(&expected[..]), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_line_is_refused_with_its_number() {
        let cases = [
            ("v=0\nbroken\n", 2, Reason::NotALine),
            ("v=0\n\n=x\n", 3, Reason::NotALine),
            ("v=0\nvv=1", 2, Reason::NotALine),
            ("é=0", 1, Reason::NotALine),
            ("v=0\rx=1\n", 1, Reason::Control),
            ("v=\0", 1, Reason::Control),
        ];
        for (text, line, reason) in cases {
            assert_eq!(read(text, &Limits::default()), Err(ParseError { line, reason }), "{text:?}");
        }
    }

    #[test]
    fn text_line_and_lines_have_limits() {
        let limits = Limits { bytes: 20, line_bytes: 6, lines: 4, ..Limits::default() };
        assert!(read("v=1234\r\nv=12", &limits).is_ok());
        let error = |line, reason| Err(ParseError { line, reason });
        assert_eq!(read("v=0\nv=12345", &limits), error(2, Reason::OutOfRange(Part::LineBytes)));
        assert_eq!(read("v=1\nv=1\nv=1\nv=1\nv=1", &limits), error(5, Reason::TooMany(Part::Lines)));
        assert_eq!(read("\n\n\n\n\n", &limits), error(5, Reason::TooMany(Part::Lines)));
        assert_eq!(read("v=1\nv=1\n3456789012345", &limits), error(3, Reason::TooMany(Part::Text)));
    }
}
