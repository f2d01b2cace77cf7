//! gdnsd's configuration language: hashes, arrays and words, with `#` comments and `$include{…}` (gdnsd.config(5)).

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

/// What cannot be read, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found}; {expected}")]
pub(super) struct SyntaxError {
    /// File and line.
    pub(super) place: String,
    found: String,
    expected: String,
}

/// A file of the configuration: its name and what it holds.
pub(super) type File<'f> = (&'f str, &'f str);

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

/// Reads a whole file and those that it includes, each of which is a hash without its braces, or an array.
pub(super) fn parse(file: File<'_>, others: &[File<'_>]) -> Result<Value, SyntaxError> {
    parse_at(file, others, 0)
}

fn parse_at((name, text): File<'_>, others: &[File<'_>], depth: u32) -> Result<Value, SyntaxError> {
    let mut reader = Reader { rest: text.chars().peekable(), line: 1, name, others, depth };
    match reader.token() {
        // The braces of the whole may be written.
        Token::Open => reader.hash(true),
        Token::OpenList => reader.list(),
        token => reader.hash_from(token, false),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// `$include{…}`.
    Include(String),
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
    name: &'t str,
    others: &'t [File<'t>],
    depth: u32,
}

const INCLUDE: &str = "$include";
/// Deeper than anybody includes; what goes on is a circle.
const DEEPEST: u32 = 10;

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
                // The arrow may be a plain `=`.
                Some('=') => {
                    if self.rest.peek() == Some(&'>') {
                        self.next();
                    }
                    return Token::Arrow;
                }
                Some('"') => return Token::Word(self.quoted()),
                Some(first) => {
                    let word = self.bare(first);
                    if word == INCLUDE && self.rest.peek() == Some(&'{') {
                        self.next();
                        let path = self.token();
                        self.token();
                        return Token::Include(if let Token::Word(path) = path { path } else { String::new() });
                    }
                    return Token::Word(word);
                }
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
                Token::Include(path) => {
                    for file in self.included(&path)? {
                        entries.extend(parse_at(file, self.others, self.depth + 1)?.entries().to_vec());
                    }
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
            Token::OpenList => self.list(),
            Token::Include(path) => {
                let files = self.included(&path)?;
                parse_at(files[0], self.others, self.depth + 1)
            }
            other => Err(self.fault(&other, "a value")),
        }
    }

    fn list(&mut self) -> Result<Value, SyntaxError> {
        let mut values = Vec::new();
        loop {
            match self.token() {
                Token::CloseList => return Ok(Value::List(values)),
                Token::Word(word) => values.push(Value::Word(word)),
                Token::Open => values.push(self.hash(true)?),
                Token::OpenList => values.push(self.list()?),
                other => return Err(self.fault(&other, "a value, or `]`")),
            }
        }
    }

    /// The files behind an include: one, or those of a folder.
    fn included(&self, path: &str) -> Result<Vec<File<'_>>, SyntaxError> {
        let folder = self.name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let wanted = if path.starts_with('/') { path.to_owned() } else { folder + path };
        let within = wanted.strip_suffix("/*").unwrap_or(&wanted);
        let is_within = |name: &str| {
            let rest = name.strip_prefix(within).and_then(|rest| rest.strip_prefix('/'));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
        };
        let files: Vec<_> =
            self.others.iter().copied().filter(|(name, _)| *name == wanted || is_within(name)).collect();
        match self.depth {
            DEEPEST.. => Err(self.fault_at(format!("{INCLUDE}{{{path}}}"), "files that do not include one another")),
            _ if files.is_empty() => Err(self.fault_at(format!("{INCLUDE}{{{path}}}"), "a file that is given, too")),
            _ => Ok(files),
        }
    }

    fn fault(&self, found: &Token, expected: &str) -> SyntaxError {
        let found = match found {
            Token::Word(word) => format!("\"{word}\""),
            Token::Include(path) => format!("{INCLUDE}{{{path}}}"),
            Token::Arrow => "=>".to_owned(),
            Token::Open => "{".to_owned(),
            Token::Close => "}".to_owned(),
            Token::OpenList => "[".to_owned(),
            Token::CloseList => "]".to_owned(),
            Token::End => "the end".to_owned(),
        };
        self.fault_at(found, expected)
    }

    fn fault_at(&self, found: String, expected: &str) -> SyntaxError {
        SyntaxError { place: format!("{}:{}", self.name, self.line), found, expected: expected.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_lists_and_words_are_read() {
        let text = "options = { listen => [ 127.0.0.1, \"::1\" ] } # said\nplugins=>{multifo=>{prod=>{a=192.0.2.1,up_thresh=>0.7}}}";
        let top = parse(("config", text), &[]).unwrap();
        assert_eq!(top.get("options").unwrap().get("listen").unwrap().words(), ["127.0.0.1", "::1"]);
        let prod = top.get("plugins").and_then(|top| top.get("multifo")?.get("prod")).unwrap();
        assert_eq!(prod.number("up_thresh"), Some(0.7));
        assert_eq!(prod.entries()[0], ("a".into(), Value::Word("192.0.2.1".into())));
    }

    #[test]
    fn files_are_included_as_values_and_as_entries() {
        let files =
            [("etc/one", "[ a b ]"), ("etc/d/x", "x => 1"), ("etc/d/y", "y => 2"), ("etc/loop", "$include{loop}")];
        let top = parse(("etc/config", "list => $include{ one } $include{d}"), &files).unwrap();
        assert_eq!(top.get("list").unwrap().words(), ["a", "b"]);
        assert_eq!((top.number("x"), top.number("y")), (Some(1), Some(2)));
        let fault = parse(("etc/config", "\n$include{none}"), &files).expect_err("no file");
        assert_eq!(
            (fault.place.as_str(), fault.to_string().as_str()),
            ("etc/config:2", "found $include{none}; a file that is given, too")
        );
        assert!(parse(("etc/config", "$include{loop}"), &files).is_err());
    }

    #[test]
    fn a_fault_has_its_place() {
        let fault = parse(("config", "a => {\n b c\n}"), &[]).expect_err("no arrow");
        assert_eq!((fault.place.as_str(), fault.to_string().as_str()), ("config:2", "found \"c\"; `=>` after a key"));
        let fault = parse(("config", "a => [ b"), &[]).expect_err("open");
        assert_eq!(fault.to_string(), "found the end; a value, or `]`");
    }
}
