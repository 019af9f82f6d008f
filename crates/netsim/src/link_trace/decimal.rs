use super::TraceProblem;

/// A decimal number without sign and exponent, in units of 10^-`places`: whole numbers, so that no platform rounds it
/// differently. What is smaller is cut off.
pub(super) fn parse(text: &str, places: usize) -> Result<u64, TraceProblem> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() + part.len() == 0 {
        return Err(TraceProblem::Number);
    }
    let kept = &part[..part.len().min(places)];
    let zeros = std::iter::repeat_n(b'0', places - kept.len());
    let mut value = 0u64;
    for digit in whole.bytes().chain(kept.bytes()).chain(zeros) {
        let next = value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit - b'0')));
        value = next.ok_or(TraceProblem::Range)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_and_bounded() {
        for (text, places, value) in
            [("1", 0, 1), ("1.5", 3, 1_500), ("0.0019", 3, 1), (".5", 1, 5), ("7.", 2, 700), ("007", 0, 7)]
        {
            assert_eq!(parse(text, places), Ok(value), "{text}");
        }
        for text in ["", ".", "-1", "+1", "1e3", "1,5", " 1", "1 ", "1.2.3", "nan", "0x1", "١"] {
            assert_eq!(parse(text, 3), Err(TraceProblem::Number), "{text}");
        }
        assert_eq!(parse("18446744073709551615", 0), Ok(u64::MAX));
        assert_eq!(parse("18446744073709551616", 0), Err(TraceProblem::Range));
        assert_eq!(parse("18446744073709551615", 1), Err(TraceProblem::Range));
    }
}
