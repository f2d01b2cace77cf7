//! Cuts master file text into tokens (RFC 1035 section 5.1), without copying or allocating.
//!
//! ```text
//! www  IN  A  192.0.2.1   ; a comment
//! └┬┘  └┬┘ ┴  └───┬───┘└─ white space and comments vanish; so do line ends between parentheses
//!  words: slices of the text, escapes not yet resolved
//! ```
//!
//! An entry is what stands between two line ends that count. The scanner never crosses the end of an entry by
//! itself: [`Scanner::next`] says `None` there until [`Scanner::end_entry`] moves on.

use super::fault::{Blame, Spot, quote};

/// A word or a quoted string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// The octets as written, without the quotes around them, escapes not resolved.
    pub(super) text: &'a [u8],
    /// Whether it stood in quotes.
    pub(super) quoted: bool,
    /// Where it begins.
    pub(super) spot: Spot,
    /// Offset of its first octet, a quote included.
    start: usize,
}

impl Token<'_> {
    /// Whether `next` follows without anything between, as in `key="value"`.
    pub(super) fn touches(&self, next: &Token<'_>) -> bool {
        self.end() == next.start
    }

    fn end(&self) -> usize {
        self.start + self.text.len() + if self.quoted { 2 } else { 0 }
    }
}

#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
    depth: u32,
    opened: Spot,
    pending: Option<Token<'a>>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let opened = Spot { line: 1, column: 1 };
        Self { text, at: 0, line: 1, line_start: 0, depth: 0, opened, pending: None }
    }

    /// Whether all text is used up.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// How many octets are used up.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Whether the entry begins with white space, that is, without an owner. Only at the start of an entry.
    pub(super) fn begins_blank(&self) -> bool {
        matches!(self.text.get(self.at), Some(b' ' | b'\t'))
    }

    /// Where the scanner stands: after the last token, or before one that was given back.
    pub(super) fn spot(&self) -> Spot {
        match self.pending {
            Some(token) => token.spot,
            None => self.spot_at(self.at),
        }
    }

    /// The next token of the entry, `None` at its end.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, Blame> {
        if let Some(token) = self.pending.take() {
            return Ok(Some(token));
        }
        loop {
            let Some(&octet) = self.text.get(self.at) else {
                return if self.depth == 0 { Ok(None) } else { Err(self.never_closed()) };
            };
            match octet {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' if self.depth == 0 => return Ok(None),
                b'\n' => self.cross_line_end(),
                b';' => self.skip_comment(),
                b'(' => {
                    if self.depth == 0 {
                        self.opened = self.spot_at(self.at);
                    }
                    self.depth += 1;
                    self.at += 1;
                }
                b')' if self.depth == 0 => {
                    return Err(Blame::new(self.spot_at(self.at), "`)` without `(`", "one of each"));
                }
                b')' => {
                    self.depth -= 1;
                    self.at += 1;
                }
                b'"' => return self.quoted().map(Some),
                _ => return Ok(Some(self.word())),
            }
        }
    }

    /// Gives a token back: [`Scanner::next`] returns it once more.
    pub(super) fn unread(&mut self, token: Token<'a>) {
        debug_assert!(self.pending.is_none());
        self.pending = Some(token);
    }

    /// The text from `token` to the end of its line without white space or comment at the end, for `$GENERATE`.
    pub(super) fn rest_from(&mut self, token: Token<'a>) -> Result<&'a [u8], Blame> {
        let mut end = token.end();
        while let Some(token) = self.next()? {
            end = token.end();
        }
        Ok(&self.text[token.start..end])
    }

    /// Moves to the start of the next entry, over whatever is left of this one. The result is a parenthesis that is
    /// never closed, which has then swallowed the rest of the file.
    pub(super) fn end_entry(&mut self) -> Option<Blame> {
        self.pending = None;
        loop {
            match self.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) if self.is_at_end() => break,
                Err(_) => self.at += 1,
            }
        }
        let unclosed = (self.depth > 0).then(|| self.never_closed());
        self.depth = 0;
        if !self.is_at_end() {
            self.cross_line_end();
        }
        unclosed
    }

    fn cross_line_end(&mut self) {
        self.at += 1;
        self.line += 1;
        self.line_start = self.at;
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len());
    }

    fn word(&mut self) -> Token<'a> {
        let start = self.at;
        let mut end = start;
        while let Some(&octet) = self.text.get(end) {
            if !STOPS[usize::from(octet)] {
                end += 1;
            } else if octet == b'\\' {
                // What is escaped belongs to the word, unless it is the end of the line.
                end += if matches!(self.text.get(end + 1), None | Some(b'\n' | b'\r')) { 1 } else { 2 };
            } else {
                break;
            }
        }
        self.at = end;
        Token { text: &self.text[start..end], quoted: false, spot: self.spot_at(start), start }
    }

    fn quoted(&mut self) -> Result<Token<'a>, Blame> {
        let start = self.at;
        let spot = self.spot_at(start);
        let mut end = start + 1;
        loop {
            match self.text.get(end) {
                Some(b'"') => break,
                Some(b'\\') if !matches!(self.text.get(end + 1), None | Some(b'\n')) => end += 2,
                None | Some(b'\n') => {
                    // Whoever goes on after the fault goes on at the end of the line.
                    self.at = end;
                    let found = format!("{} without a closing quote", quote(&self.text[start..end]));
                    return Err(Blame::new(spot, found, "`\"` before the line ends"));
                }
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        Ok(Token { text: &self.text[start + 1..end], quoted: true, spot, start })
    }

    fn never_closed(&self) -> Blame {
        Blame::new(self.opened, "`(` that is never closed", "`)` after the last field of the record")
    }

    fn spot_at(&self, offset: usize) -> Spot {
        Spot { line: self.line, column: u32::try_from(offset - self.line_start + 1).unwrap_or(u32::MAX) }
    }
}

/// The octets that end a word, or need a second look inside it.
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let octets = b" \t\r\n;()\"\\";
    let mut index = 0;
    while index < octets.len() {
        stops[octets[index] as usize] = true;
        index += 1;
    }
    stops
};

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &[u8]) -> Vec<Vec<String>> {
        let mut scanner = Scanner::new(text);
        let mut entries = Vec::new();
        while !scanner.is_at_end() {
            let mut entry = Vec::new();
            loop {
                match scanner.next() {
                    Ok(Some(token)) => entry.push(String::from_utf8_lossy(token.text).into_owned()),
                    Ok(None) => break,
                    Err(blame) => {
                        entry.push(format!("! {}:{} {}", blame.spot.line, blame.spot.column, blame.found));
                        break;
                    }
                }
            }
            if let Some(blame) = scanner.end_entry() {
                entry.push(format!("!! {}:{}", blame.spot.line, blame.spot.column));
            }
            entries.push(entry);
        }
        entries
    }

    #[test]
    fn words_end_where_the_rfc_says() {
        assert_eq!(entries(b"a b\tc;d\r\n"), [["a", "b", "c"]]);
        assert_eq!(entries(b"a\\ b \\;c \\\"d"), [["a\\ b", "\\;c", "\\\"d"]]);
        assert_eq!(entries(b"\"a ;(\\\"\" x"), [["a ;(\\\"", "x"]]);
        assert_eq!(entries(b"a\"b\"c"), [["a", "b", "c"]]);
    }

    #[test]
    fn parentheses_join_lines() {
        assert_eq!(entries(b"a ( b ; x\n c\n) d\ne\n"), [vec!["a", "b", "c", "d"], vec!["e"]]);
        assert_eq!(entries(b"a((b\n)\n)c\n"), [["a", "b", "c"]]);
    }

    #[test]
    fn faults_leave_the_next_entry_whole() {
        assert_eq!(entries(b"a ) b\nc\n"), [vec!["a", "! 1:3 `)` without `(`"], vec!["c"]]);
        assert_eq!(entries(b"a \"b\nc\n"), [vec!["a", "! 1:3 `\"b` without a closing quote"], vec!["c"]]);
        assert_eq!(entries(b"a\nb (\nc"), [vec!["a"], vec!["b", "c", "! 2:3 `(` that is never closed", "!! 2:3"]]);
        assert_eq!(entries(b"a\\\nb\\"), [["a\\"], ["b\\"]]);
    }

    #[test]
    fn tokens_know_what_they_touch() {
        let mut scanner = Scanner::new(b"alpn=\"h2\" \"x\"");
        let mut next = || scanner.next().expect("no fault").expect("a token");
        let (key, value, other) = (next(), next(), next());
        assert!(key.touches(&value) && !value.touches(&other));
    }
}
