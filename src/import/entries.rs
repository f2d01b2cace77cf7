//! Master file text by entries, for readers that change a few of them and keep all others as they are.

/// One entry: a record or a directive, from its first line to the last, which `(` and `)` may put far behind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry<'t> {
    /// The number of its first line.
    pub(super) line: usize,
    /// The text with its comments, without the last line end.
    pub(super) text: &'t str,
    /// Whether it begins with white space, and so has the owner of the entry before it.
    pub(super) continued: bool,
    /// Its words, without comments and brackets.
    pub(super) words: Vec<Word>,
}

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    /// Without its quotes; `\"` and `\\` in quotes are what they stand for, other escapes as they are.
    pub(super) text: String,
    pub(super) quoted: bool,
}

impl Entry<'_> {
    /// The word at `at`, empty where there is none.
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| &word.text)
    }

    /// The directive that this is, in capital letters.
    pub(super) fn directive(&self) -> Option<String> {
        let word = self.words.first().filter(|word| !self.continued && word.text.starts_with('$'))?;
        Some(word.text.to_ascii_uppercase())
    }

    /// The entry as a comment.
    pub(super) fn commented(&self) -> String {
        let lines: Vec<String> = self.text.lines().map(|line| format!("; {}", line.trim_end())).collect();
        lines.join("\n")
    }

    /// Where the type stands whose name is one of `types`: behind the owner, a TTL and a class.
    pub(super) fn type_at(&self, types: &[&str]) -> Option<usize> {
        let first = usize::from(!self.continued);
        let is_between =
            |word: &Word| word.text.starts_with(|c: char| c.is_ascii_digit()) || word.text.eq_ignore_ascii_case("IN");
        let at = first + self.words.iter().skip(first).position(|word| !is_between(word))?;
        types.iter().any(|rtype| self.word(at).eq_ignore_ascii_case(rtype)).then_some(at)
    }
}

/// All entries of a text; lines without a word are entries without words.
pub(super) fn entries(text: &str) -> Vec<Entry<'_>> {
    let (mut entries, mut from, mut line, mut first) = (Vec::new(), 0, 1, 1);
    let (mut depth, mut quoted, mut comment, mut escaped) = (0_usize, false, false, false);
    for (at, next) in text.char_indices() {
        match next {
            '\n' => {
                line += 1;
                (comment, escaped) = (false, false);
                if depth == 0 {
                    // A string ends on its line.
                    quoted = false;
                    entries.push(entry(&text[from..at], first));
                    (from, first) = (at + 1, line);
                }
            }
            _ if comment => {}
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            ';' => comment = true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if from < text.len() {
        entries.push(entry(&text[from..], first));
    }
    entries
}

fn entry(text: &str, line: usize) -> Entry<'_> {
    let mut words: Vec<Word> = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(first) = characters.next() {
        match first {
            ';' => while characters.peek().is_some_and(|next| *next != '\n') && characters.next().is_some() {},
            '(' | ')' => {}
            '"' => words.push(quoted(&mut characters)),
            space if space.is_whitespace() => {}
            first => {
                let mut word = String::from(first);
                let mut escaped = first == '\\';
                while let Some(next) =
                    characters.next_if(|next| escaped || !(next.is_whitespace() || ";()\"".contains(*next)))
                {
                    escaped = next == '\\' && !escaped;
                    word.push(next);
                }
                words.push(Word { text: word, quoted: false });
            }
        }
    }
    Entry { line, text: text.trim_end_matches('\r'), continued: text.starts_with(char::is_whitespace), words }
}

fn quoted(characters: &mut impl Iterator<Item = char>) -> Word {
    let mut text = String::new();
    while let Some(next) = characters.next() {
        match next {
            '"' => break,
            '\\' => match characters.next() {
                Some(plain @ ('"' | '\\')) => text.push(plain),
                other => text.extend(std::iter::once('\\').chain(other)),
            },
            next => text.push(next),
        }
    }
    Word { text, quoted: true }
}

/// Seconds of a TTL such as `300`, `5m` or `1h30m`.
pub(super) fn seconds(text: &str) -> Option<u32> {
    let (mut total, mut digits, mut with_unit) = (0_u32, String::new(), false);
    for next in text.chars() {
        if next.is_ascii_digit() {
            digits.push(next);
            continue;
        }
        let unit = match next.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<u32>().ok()?.checked_mul(unit)?)?;
        digits.clear();
        with_unit = true;
    }
    match digits.is_empty() {
        true => with_unit.then_some(total),
        false => total.checked_add(digits.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_where_brackets_close() {
        let text = "; a note\n@ SOA ns1 host ( 1 ; (\n 2 )\n\tMX 10 a\nt TXT \"a;(\\\"b\" c\\;d\n";
        let entries = entries(text);
        let words = |at: usize| entries[at].words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>();
        assert_eq!(entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [1, 2, 4, 5]);
        assert_eq!(words(1), ["@", "SOA", "ns1", "host", "1", "2"]);
        assert_eq!((words(2), entries[2].continued), (vec!["MX", "10", "a"], true));
        assert_eq!((words(3), entries[3].words[2].quoted), (vec!["t", "TXT", "a;(\"b", "c\\;d"], true));
        assert_eq!(entries[1].commented(), "; @ SOA ns1 host ( 1 ; (\n;  2 )");
        assert_eq!(entries[2].type_at(&["MX"]), Some(0));
        assert_eq!(entries[3].type_at(&["MX"]), None);
    }

    #[test]
    fn ttls_have_units() {
        let read = ["300", "5m", "1h30m", "1h30", "x", "", "99999w"].map(seconds);
        assert_eq!(read, [Some(300), Some(300), Some(5400), Some(3630), None, None, None]);
    }
}
