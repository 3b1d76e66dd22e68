//! Decimal text to scaled integers, exactly and without floats: the same digits give the same
//! integer on every host, and `1e999` is a refusal instead of an infinity.

/// A JSON number brought to a fixed number of decimal places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// The number times 10^places, rounded half away from zero.
    pub(crate) scaled: i128,
    /// Nothing was rounded off.
    pub(crate) exact: bool,
}

/// Why a raw JSON value is no usable number; each text completes "the field ..".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadNumber {
    /// Another JSON type.
    WrongType,
    /// A numeric text in quotes.
    Quoted,
    /// NaN or an infinity, bare or in quotes.
    NotFinite,
    /// More digits than any field can mean.
    TooLarge,
}

impl BadNumber {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::WrongType => "must be a number",
            Self::Quoted => "must be a number, not a number in quotes",
            Self::NotFinite => "must be a finite number",
            Self::TooLarge => "is too large",
        }
    }
}

/// More digits than this cannot matter: 2^63 rao has 19, and 38 is what an i128 can hold.
const DIGITS_MAX: u32 = 36;

/// Reads the raw text of one JSON value as a number with `places` decimal places.
pub(crate) fn parse_decimal(raw: &str, places: i32) -> Result<Decimal, BadNumber> {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    match digits.as_bytes().first() {
        Some(b'0'..=b'9') => {}
        Some(b'"') => return Err(quoted(raw.trim_matches('"'))),
        _ => return Err(BadNumber::WrongType),
    }
    let (mut mantissa, mut exponent, mut kept) = (0_i128, 0_i32, 0_u32);
    let (mut fraction, mut exact) = (false, true);
    let mut rest = digits.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'0'..=b'9' if kept < DIGITS_MAX => {
                mantissa = mantissa * 10 + i128::from(byte - b'0');
                kept += u32::from(mantissa != 0);
                exponent -= i32::from(fraction);
            }
            b'0'..=b'9' => {
                exact &= byte == b'0';
                exponent = exponent.saturating_add(i32::from(!fraction));
            }
            b'.' => fraction = true,
            b'e' | b'E' => {
                exponent = exponent.saturating_add(parse_exponent(tail));
                break;
            }
            _ => return Err(BadNumber::WrongType),
        }
        rest = tail;
    }
    let (scaled, no_rest) = shift(mantissa, exponent.saturating_add(places))?;
    let sign = if digits.len() == raw.len() { 1 } else { -1 };
    Ok(Decimal { scaled: sign * scaled, exact: exact && no_rest })
}

/// `mantissa` times 10^`power`, and whether nothing was rounded off.
fn shift(mantissa: i128, power: i32) -> Result<(i128, bool), BadNumber> {
    if mantissa == 0 {
        return Ok((0, true));
    }
    let factor = 10_i128.checked_pow(power.unsigned_abs());
    if power >= 0 {
        let scaled = factor.and_then(|factor| mantissa.checked_mul(factor));
        return scaled.map(|scaled| (scaled, true)).ok_or(BadNumber::TooLarge);
    }
    // A divisor beyond i128 leaves nothing of any mantissa.
    let Some(divisor) = factor else { return Ok((0, false)) };
    let (whole, rest) = (mantissa / divisor, mantissa % divisor);
    Ok((whole + i128::from(rest >= divisor - rest), rest == 0))
}

/// The exponent's value; one that does not fit is as good as the largest.
fn parse_exponent(text: &[u8]) -> i32 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    let mut value = 0_i32;
    for byte in digits {
        value = value.saturating_mul(10).saturating_add(i32::from(byte.wrapping_sub(b'0')));
    }
    let value = value.min(1_000_000);
    if negative { -value } else { value }
}

fn quoted(text: &str) -> BadNumber {
    let bare = text.trim().trim_start_matches(['+', '-']).to_ascii_lowercase();
    match bare.as_str() {
        "nan" | "inf" | "infinity" => BadNumber::NotFinite,
        _ if bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') => BadNumber::Quoted,
        _ => BadNumber::WrongType,
    }
}

/// Writes `scaled` / 10^`places` as the shortest decimal text; the inverse of [`parse_decimal`].
pub(crate) fn push_decimal(out: &mut String, scaled: i64, places: u32) {
    let unit = 10_u64.saturating_pow(places);
    let magnitude = scaled.unsigned_abs();
    if scaled < 0 {
        out.push('-');
    }
    out.push_str(&(magnitude / unit).to_string());
    let fraction = magnitude % unit;
    if fraction != 0 {
        let text = format!("{fraction:0width$}", width = places as usize);
        out.push('.');
        out.push_str(text.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_read_exactly_and_rounded_half_up() {
        for (raw, places, scaled, exact) in [
            ("0", 6, 0, true),
            ("1", 6, 1_000_000, true),
            ("0.85", 6, 850_000, true),
            ("0.8500000000000001", 6, 850_000, false),
            ("0.0000005", 6, 1, false),
            ("0.00000049", 6, 0, false),
            ("1e-7", 6, 0, false),
            ("1.5E+3", 0, 1_500, true),
            ("5.0", 0, 5, true),
            ("5.5", 0, 6, false),
            ("-2", 6, -2_000_000, true),
            ("1e-999999999999", 6, 0, false),
            ("0e999999999", 6, 0, true),
            ("9223372036.854775807", 9, 9_223_372_036_854_775_807, true),
        ] {
            assert_eq!(parse_decimal(raw, places), Ok(Decimal { scaled, exact }), "{raw}");
        }
    }

    #[test]
    fn what_is_no_number_says_why() {
        for (raw, why) in [
            ("true", BadNumber::WrongType),
            ("[1]", BadNumber::WrongType),
            ("\"abc\"", BadNumber::WrongType),
            ("\"12.5\"", BadNumber::Quoted),
            ("\"NaN\"", BadNumber::NotFinite),
            ("\"-Infinity\"", BadNumber::NotFinite),
            ("1e999", BadNumber::TooLarge),
            ("1e309", BadNumber::TooLarge),
        ] {
            assert_eq!(parse_decimal(raw, 6), Err(why), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn written_decimals_read_back_exactly(scaled in any::<i64>(), places in 0_u32..10) {
            let mut text = String::new();
            push_decimal(&mut text, scaled, places);
            let read = parse_decimal(&text, places as i32).unwrap();
            prop_assert_eq!(read, Decimal { scaled: i128::from(scaled), exact: true });
        }
    }
}
