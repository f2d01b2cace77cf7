//! Words and numbers as people read them, and nothing of a zone, a backend or a peer unescaped.

use std::fmt;

use jiff::Timestamp;

/// Text inside an element or a quoted attribute. Whatever is not ours is written by this.
pub(super) struct Safe<T>(pub(super) T);

impl<T: fmt::Display> fmt::Display for Safe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.to_string().chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // What turns the direction of text could make one name look like another.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_str("\u{fffd}")?,
                letter if letter.is_control() && letter != '\n' => f.write_str("\u{fffd}")?,
                letter => fmt::Write::write_char(f, letter)?,
            }
        }
        Ok(())
    }
}

/// A value of a query string.
pub(super) fn query(text: &str) -> String {
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
    let write = |octet: u8| if is_plain(&octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") };
    text.bytes().map(write).collect()
}

/// `1 member`, `2 members`.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{} {one}{}", whole(number as u64), if number == 1 { "" } else { "s" })
}

/// With a thin space at the thousands.
pub(super) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// So many a second.
pub(super) fn rate(value: f64) -> String {
    match value {
        _ if value >= 9.95 => whole(value.round() as u64),
        _ if value >= 0.05 => format!("{value:.1}"),
        _ if value > 0.0 => "under 0.1".into(),
        _ => "0".into(),
    }
}

/// A part of a whole, 0 to 1.
pub(super) fn percent(part: f64) -> String {
    match part * 100.0 {
        percent if percent >= 9.95 => format!("{percent:.0}\u{a0}%"),
        percent if percent >= 0.95 || percent == 0.0 => format!("{percent:.1}\u{a0}%"),
        percent => format!("{percent:.2}\u{a0}%"),
    }
}

/// A short time, in seconds.
pub(super) fn short(seconds: f64) -> String {
    match seconds {
        _ if seconds < 0.000_999_5 => format!("{:.0}\u{a0}µs", seconds * 1e6),
        _ if seconds < 0.999_5 => format!("{:.0}\u{a0}ms", seconds * 1e3),
        _ => format!("{seconds:.1}\u{a0}s"),
    }
}

/// A long one: the two largest units would say no more.
pub(super) fn long(seconds: i64) -> String {
    match seconds.max(0) {
        seconds if seconds < 100 => format!("{seconds}\u{a0}s"),
        seconds if seconds < 100 * 60 => format!("{}\u{a0}min", seconds / 60),
        seconds if seconds < 48 * 3600 => format!("{}\u{a0}h", seconds / 3600),
        seconds => format!("{}\u{a0}days", seconds / 86_400),
    }
}

/// How long ago, with the time itself for whoever hovers or reads by a program.
pub(super) fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return "–".into() };
    let at = whole_seconds(at);
    format!("<time datetime=\"{at}\" title=\"{at}\">{} ago</time>", long(now.duration_since(at).as_secs()))
}

/// How long until then.
pub(super) fn until(at: Timestamp, now: Timestamp) -> String {
    let (at, seconds) = (whole_seconds(at), at.duration_since(now).as_secs());
    let words = if seconds > 0 { format!("in {}", long(seconds)) } else { format!("{} ago", long(-seconds)) };
    format!("<time datetime=\"{at}\" title=\"{at}\">{words}</time>")
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_is_markup() {
        let text = Safe("<script>alert('x')</script> & \"\u{202e}\u{7}").to_string();
        assert_eq!(text, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;\u{fffd}\u{fffd}");
        assert_eq!(query("a b&c=\"ü"), "a%20b%26c%3D%22%C3%BC");
    }

    #[test]
    fn numbers_are_as_long_as_they_need_be() {
        assert_eq!([0, 999, 1000, 1_234_567].map(whole), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([0.0, 0.01, 3.26, 12_345.6].map(rate), ["0", "under 0.1", "3.3", "12\u{202f}346"]);
        assert_eq!([0.0, 0.0005, 0.05, 0.25].map(percent), ["0.0\u{a0}%", "0.05\u{a0}%", "5.0\u{a0}%", "25\u{a0}%"]);
        assert_eq!([0.000_02, 0.003, 1.5].map(short), ["20\u{a0}µs", "3\u{a0}ms", "1.5\u{a0}s"]);
        assert_eq!([5, 125, 7300, 400_000].map(long), ["5\u{a0}s", "2\u{a0}min", "2\u{a0}h", "4\u{a0}days"]);
        assert_eq!((count(1, "zone"), count(2, "zone")), ("1 zone".into(), "2 zones".into()));
    }
}
