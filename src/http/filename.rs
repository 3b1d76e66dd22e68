//! Names of files: what is kept of the one that a sender gives, and how a download tells it. A name
//! is shown and never used as a path; still it is made so that it would do no harm as one.

use actix_web::http::header::HeaderValue;

use crate::domain::limits::NAME_CHARS_MAX;

/// Devices of Windows: as names of files they open something else, whatever follows a dot.
const RESERVED: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "COM", "LPT"];

/// The last part of whatever path is given, without what would be read as something else: control
/// and direction characters, separators, quotes, percent signs (some browsers decode them), dots and
/// blanks at the ends.
pub(super) fn clean(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last.chars().filter(|c| is_plain(*c)).take(NAME_CHARS_MAX).collect();
    let name = kept.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if is_reserved(name) { format!("_{name}") } else { name.to_owned() }
}

fn is_plain(c: char) -> bool {
    let hidden = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e007f}'
    );
    // Lookalikes of the slash and the backslash too: some systems fold them.
    let separates = matches!(c, '\u{2044}' | '\u{2215}' | '\u{29f5}' | '\u{ff0f}' | '\u{ff3c}');
    !c.is_control() && !hidden && !separates && !"\"<>:|?*%/\\".contains(c)
}

fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    RESERVED.iter().any(|device| match stem.strip_prefix(device) {
        Some("") => true,
        Some(number) if device.ends_with('M') || device.ends_with('T') => {
            number.chars().count() == 1 && number.chars().all(|c| c.is_numeric())
        }
        _ => false,
    })
}

/// `Content-Disposition` of a download: plain ASCII for old clients, and the whole name as RFC 8187
/// has it where that says more.
pub(super) fn attachment(name: &str) -> HeaderValue {
    // Rows of before were cleaned less.
    let name = clean(name);
    let plain: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_are_paths() {
        for (given, kept) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\temp\\a.wav", "a.wav"),
            ("a\r\nb\".wav", "ab.wav"),
            ("..", ""),
            (" .hidden. ", "hidden"),
            ("%2e%2e%2fserver.key", "2e2e2fserver.key"),
            ("a\u{202e}gpj.wav", "agpj.wav"),
            ("nul", "_nul"),
            ("Com1.tar.gz", "_Com1.tar.gz"),
            ("LPT\u{b9}.wav", "_LPT\u{b9}.wav"),
            ("console.wav", "console.wav"),
            ("com.wav", "_com.wav"),
            ("", ""),
        ] {
            assert_eq!(clean(given), kept, "{given:?}");
        }
        assert_eq!(clean(&"a".repeat(9_000)).len(), NAME_CHARS_MAX);
    }

    #[test]
    fn a_name_is_told_in_ascii_and_where_that_is_not_all_in_utf_8_too() {
        assert_eq!(attachment("a b.wav"), "attachment; filename=\"a b.wav\"");
        let told = attachment("größe.wav");
        assert_eq!(
            told,
            "attachment; filename=\"gr__e.wav\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.wav"
        );
        assert_eq!(attachment("a\r\nX-Evil: 1"), "attachment; filename=\"aX-Evil 1\"");
    }
}
