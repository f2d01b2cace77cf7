//! The calls in PowerDNS LUA records: names, strings, numbers and tables, and nothing that would have to be run.

use std::iter::Peekable;
use std::str::Chars;

/// A constant of Lua, or a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lua {
    /// `'text'`.
    Text(String),
    /// `10`.
    Number(f64),
    /// `{ 'a', key = 'b' }`: what has a name, and what has a place.
    Table(Vec<(Option<String>, Self)>),
    /// `name(…)`, or a word alone.
    Call(String, Vec<Self>),
}

impl Lua {
    /// The text of the table's entry `key`.
    pub(super) fn entry(&self, key: &str) -> Option<String> {
        let Self::Table(entries) = self else { return None };
        match entries.iter().find(|(name, _)| name.as_deref() == Some(key))? {
            (_, Self::Text(text)) => Some(text.clone()),
            (_, Self::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    }

    /// What has a place in the table.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        let entries: &[_] = if let Self::Table(entries) = self { entries } else { &[] };
        entries.iter().filter(|(name, _)| name.is_none()).map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// Reads one expression; `None` for anything that is more than that.
pub(super) fn parse(text: &str) -> Option<Lua> {
    let mut reader = Reader(text.chars().peekable());
    let value = reader.value()?;
    reader.skip_space();
    reader.0.peek().is_none().then_some(value)
}

struct Reader<'t>(Peekable<Chars<'t>>);

impl Reader<'_> {
    fn skip_space(&mut self) {
        while self.0.next_if(|next| next.is_whitespace()).is_some() {}
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        self.0.next_if_eq(&wanted).is_some()
    }

    fn value(&mut self) -> Option<Lua> {
        self.skip_space();
        match self.0.peek()? {
            '\'' | '"' => self.quoted().map(Lua::Text),
            '{' => self.table(),
            first if first.is_ascii_digit() => {
                let digits = self.word(|next| next.is_ascii_digit() || next == '.');
                digits.parse().ok().map(Lua::Number)
            }
            _ => {
                let name = self.word(|next| next.is_alphanumeric() || next == '_');
                let called = !name.is_empty() && self.take('(');
                let arguments = if called { self.list(')')? } else { Vec::new() };
                (!name.is_empty()).then(|| Lua::Call(name, arguments.into_iter().map(|(_, value)| value).collect()))
            }
        }
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> String {
        std::iter::from_fn(|| self.0.next_if(|next| belongs(*next))).collect()
    }

    fn quoted(&mut self) -> Option<String> {
        let quote = self.0.next()?;
        let text = self.word(|next| next != quote);
        self.0.next().map(|_| text)
    }

    fn table(&mut self) -> Option<Lua> {
        self.0.next();
        self.list('}').map(Lua::Table)
    }

    /// Values up to `end`, with the names that they may have.
    fn list(&mut self, end: char) -> Option<Vec<(Option<String>, Lua)>> {
        let mut values = Vec::new();
        while !self.take(end) {
            let value = self.value()?;
            let entry = match value {
                Lua::Call(name, arguments) if arguments.is_empty() && self.take('=') => (Some(name), self.value()?),
                value => (None, value),
            };
            values.push(entry);
            if !self.take(',') {
                return self.take(end).then_some(values);
            }
        }
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_and_programs_are_not() {
        let call =
            parse("ifurlup('https://a/', {{'192.0.2.1', '192.0.2.2'}, {'192.0.2.3'}}, {stringmatch='ok', timeout=2})");
        let Some(Lua::Call(name, arguments)) = call else { panic!("{call:?}") };
        assert_eq!((name.as_str(), arguments[0].text()), ("ifurlup", Some("https://a/")));
        assert_eq!(arguments[1].elements().count(), 2);
        assert_eq!(arguments[2].entry("timeout").as_deref(), Some("2"));
        assert!(parse("pickwrandom({{10,'192.0.2.1'}})").is_some());
        for program in [";return '1'", "a() b()", "f({", "if x then y end"] {
            assert_eq!(parse(program), None, "{program}");
        }
    }
}
