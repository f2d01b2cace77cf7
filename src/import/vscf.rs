//! gdnsd's configuration language: hashes, arrays and words, with `#` comments.

use std::iter::Peekable;
use std::str::Chars;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `word` or `"quoted"`.
    Word(String),
    /// `[ … ]`.
    List(Vec<Self>),
    /// `{ key => value … }`, in the order of the file.
    Hash(Vec<(String, Self)>),
}

/// What cannot be read, and on which line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: found {found}; {expected}")]
pub(super) struct SyntaxError {
    line: usize,
    found: String,
    expected: &'static str,
}

impl Value {
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Empty for what is no hash.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Hash(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The elements of a list; a word alone is a list of one, as gdnsd has it.
    pub(super) fn words(&self) -> Vec<&str> {
        match self {
            Self::List(values) => values.iter().filter_map(Self::word).collect(),
            _ => self.word().into_iter().collect(),
        }
    }

    pub(super) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.word()?.parse().ok()
    }
}

/// Reads a whole file, which is a hash without its braces.
pub(super) fn parse(text: &str) -> Result<Value, SyntaxError> {
    let mut reader = Reader { rest: text.chars().peekable(), line: 1 };
    match reader.token() {
        // The braces of the whole may be written.
        Token::Open => reader.hash(true),
        token => reader.hash_from(token, false),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Arrow,
    Open,
    Close,
    OpenList,
    CloseList,
    End,
}

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn token(&mut self) -> Token {
        loop {
            match self.next() {
                None => return Token::End,
                Some('#') => while self.rest.peek().is_some_and(|next| *next != '\n') && self.next().is_some() {},
                // Commas and semicolons separate, and may be left out.
                Some(',' | ';') => {}
                Some(space) if space.is_whitespace() => {}
                Some('{') => return Token::Open,
                Some('}') => return Token::Close,
                Some('[') => return Token::OpenList,
                Some(']') => return Token::CloseList,
                Some('=') if self.rest.peek() == Some(&'>') => {
                    self.next();
                    return Token::Arrow;
                }
                Some('"') => return Token::Word(self.quoted()),
                Some(first) => return Token::Word(self.bare(first)),
            }
        }
    }

    fn quoted(&mut self) -> String {
        let mut word = String::new();
        while let Some(next) = self.next() {
            match next {
                '"' => break,
                '\\' => word.extend(self.next()),
                next => word.push(next),
            }
        }
        word
    }

    fn bare(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(next) = self.rest.peek().copied() {
            if next.is_whitespace() || "{}[],;#=".contains(next) {
                break;
            }
            word.push(next);
            self.next();
        }
        word
    }

    fn hash(&mut self, inner: bool) -> Result<Value, SyntaxError> {
        let first = self.token();
        self.hash_from(first, inner)
    }

    fn hash_from(&mut self, mut token: Token, inner: bool) -> Result<Value, SyntaxError> {
        let mut entries = Vec::new();
        loop {
            match token {
                Token::Close if inner => return Ok(Value::Hash(entries)),
                Token::End if !inner => return Ok(Value::Hash(entries)),
                Token::Word(key) => {
                    let arrow = self.token();
                    if arrow != Token::Arrow {
                        return Err(self.fault(&arrow, "`=>` after a key"));
                    }
                    entries.push((key, self.value()?));
                }
                other => return Err(self.fault(&other, "a key, or the end of the table")),
            }
            token = self.token();
        }
    }

    fn value(&mut self) -> Result<Value, SyntaxError> {
        match self.token() {
            Token::Word(word) => Ok(Value::Word(word)),
            Token::Open => self.hash(true),
            Token::OpenList => {
                let mut values = Vec::new();
                loop {
                    match self.token() {
                        Token::CloseList => return Ok(Value::List(values)),
                        Token::Word(word) => values.push(Value::Word(word)),
                        Token::Open => values.push(self.hash(true)?),
                        other => return Err(self.fault(&other, "a value, or `]`")),
                    }
                }
            }
            other => Err(self.fault(&other, "a value")),
        }
    }

    fn fault(&self, found: &Token, expected: &'static str) -> SyntaxError {
        let found = match found {
            Token::Word(word) => format!("\"{word}\""),
            Token::Arrow => "=>".to_owned(),
            Token::Open => "{".to_owned(),
            Token::Close => "}".to_owned(),
            Token::OpenList => "[".to_owned(),
            Token::CloseList => "]".to_owned(),
            Token::End => "the end".to_owned(),
        };
        SyntaxError { line: self.line, found, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_lists_and_words_are_read() {
        let text = "options => { listen => [ 127.0.0.1, \"::1\" ] } # said\nplugins=>{multifo=>{prod=>{a=>192.0.2.1,up_thresh=>0.7}}}";
        let top = parse(text).unwrap();
        assert_eq!(top.get("options").unwrap().get("listen").unwrap().words(), ["127.0.0.1", "::1"]);
        let prod = top.get("plugins").and_then(|top| top.get("multifo")?.get("prod")).unwrap();
        assert_eq!(prod.number("up_thresh"), Some(0.7));
        assert_eq!(prod.entries()[0], ("a".into(), Value::Word("192.0.2.1".into())));
    }

    #[test]
    fn a_fault_has_its_line() {
        let fault = parse("a => {\n b c\n}").expect_err("no arrow");
        assert_eq!(fault.to_string(), "line 2: found \"c\"; `=>` after a key");
        assert_eq!(parse("a => [ b").expect_err("open").to_string(), "line 1: found the end; a value, or `]`");
    }
}
