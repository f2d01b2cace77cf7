//! Reads a table of TOML by the description of its keys, and goes on after a fault, so that all are told at once.
//!
//! A [`Key`] states everything about a key once: its name, its default as TOML, what it means, and the function that
//! reads it. What a key takes is what that function says when it is given something that no key takes, so the
//! reference, the messages and the behaviour cannot differ.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Faults, Place};

/// Makes a value of what is written, or tells the faults and returns `None`.
pub(super) type Read<T> = fn(&Item<'_>) -> Option<T>;

/// One key of a table.
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    /// As TOML; empty when the key has no default.
    pub(super) default: &'static str,
    pub(super) meaning: &'static str,
    pub(super) read: Read<T>,
}

/// A key without its type, for whoever only describes it.
pub(super) trait Described: Sync {
    fn name(&self) -> &'static str;
    fn default(&self) -> &'static str;
    fn meaning(&self) -> &'static str;
    /// What the key takes, in the words of its faults.
    fn form(&self) -> String;
    /// Whether the key's own reader accepts its default.
    #[cfg(test)]
    fn default_reads(&self) -> bool;
}

impl<T> Described for Key<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn default(&self) -> &'static str {
        self.default
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }

    fn form(&self) -> String {
        // No key takes a date.
        const DATE: &str = "1970-01-01";
        let faults = Faults::new(Path::new(""), DATE);
        read_text(&faults, DATE, |item| (self.read)(item).is_none());
        faults.finish().err().and_then(|mut list| list.pop()).map(|fault| fault.expected).unwrap_or_default()
    }

    #[cfg(test)]
    fn default_reads(&self) -> bool {
        self.default.is_empty() || self.read_default(Path::new("")).is_some()
    }
}

impl<T> Key<T> {
    /// The default means the same as if it were written in `file`: paths start at its folder.
    fn read_default(&self, file: &Path) -> Option<T> {
        let faults = Faults::new(file, self.default);
        read_text(&faults, self.default, self.read)
    }
}

fn read_text<T>(faults: &Faults<'_>, text: &str, read: impl FnOnce(&Item<'_>) -> T) -> T {
    let value = DeValue::parse(text).expect("defaults are TOML");
    read(&Item { key: String::new(), value: value.get_ref(), span: value.span(), faults })
}

/// A table and the keys it knows.
pub(super) struct Keys {
    /// As its header is written, `[check.NAME]`; empty for the keys above the first header.
    pub(super) header: &'static str,
    pub(super) keys: &'static [&'static dyn Described],
    /// The tables inside it.
    pub(super) tables: &'static [&'static str],
}

/// Declares the keys of one table: `NAME: type = "name", reader, "default", "meaning";`.
macro_rules! keys {
    ($(#[$note:meta])* $table:ident $header:literal $(with $($inner:literal)+)? {
        $($key:ident: $type:ty = $name:literal, $read:expr, $default:literal, $meaning:literal;)*
    }) => {
        $(static $key: $crate::config::reader::Key<$type> = $crate::config::reader::Key {
            name: $name, default: $default, meaning: $meaning, read: $read,
        };)*
        $(#[$note])*
        pub(in crate::config) static $table: $crate::config::reader::Keys = $crate::config::reader::Keys {
            header: $header, keys: &[$(&$key),*], tables: &[$($($inner),+)?],
        };
    };
}
pub(super) use keys;

/// One written value, with its place.
pub(super) struct Item<'a> {
    /// The dotted path of the key.
    pub(super) key: String,
    value: &'a DeValue<'a>,
    span: Range<usize>,
    faults: &'a Faults<'a>,
}

impl<'a> Item<'a> {
    /// Tells that something else is right here.
    pub(super) fn wrong<T>(&self, expected: impl Display) -> Option<T> {
        let found = match self.value {
            DeValue::Table(_) => "found a table".to_owned(),
            DeValue::Array(_) => "found a list".to_owned(),
            _ => format!("found {}", shortened(self.faults.quote(self.span.clone()))),
        };
        self.wrong_as(found, expected)
    }

    /// Tells what is wrong here in words of the caller.
    pub(super) fn wrong_as<T>(&self, found: impl Display, expected: impl Display) -> Option<T> {
        self.faults.error(&self.key, self.span.clone(), found.to_string(), expected.to_string());
        None
    }

    pub(super) fn warn(&self, found: impl Display, expected: impl Display) {
        self.faults.warn(&self.key, self.span.clone(), found.to_string(), expected.to_string());
    }

    pub(super) fn place(&self) -> Place {
        self.faults.place(&self.key, self.span.clone())
    }

    /// The folder of the file, which relative paths start from.
    pub(super) fn folder(&self) -> &'a Path {
        self.faults.file().parent().unwrap_or(Path::new(""))
    }

    pub(super) fn as_str(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        self.value.as_bool()
    }

    /// A date as it is written, in the form of RFC 3339.
    pub(super) fn as_date(&self) -> Option<String> {
        self.value.as_datetime().map(ToString::to_string)
    }

    pub(super) fn as_integer(&self) -> Option<i64> {
        let written = self.value.as_integer()?;
        i64::from_str_radix(written.as_str(), written.radix()).ok()
    }

    /// A number, whole or not.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self.value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            // Weights and shares are far below 2^53.
            _ => self.as_integer().map(|integer| integer as f64),
        }
    }

    pub(super) fn elements(&self) -> Option<Vec<Item<'a>>> {
        let array = self.value.as_array()?;
        let element = |(index, element): (usize, &'a Spanned<DeValue<'a>>)| Item {
            key: format!("{}[{index}]", self.key),
            value: element.get_ref(),
            span: element.span(),
            faults: self.faults,
        };
        Some(array.iter().enumerate().map(element).collect())
    }

    /// The entries of a table whose keys are not ours to know, such as the names of checks.
    pub(super) fn entries(&self) -> Option<Vec<Entry<'a>>> {
        let table = self.value.as_table()?;
        let entry = |(name, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: (&str, _) = (AsRef::<std::borrow::Cow<'a, str>>::as_ref(name), name.span());
            let key = join(&self.key, name.0);
            Entry {
                name: name.0,
                name_item: Item { key: key.clone(), value: value.get_ref(), span: name.1, faults: self.faults },
                item: Item { key, value: value.get_ref(), span: value.span(), faults: self.faults },
            }
        };
        Some(table.iter().map(entry).collect())
    }

    /// The table written here; unknown keys are told at once.
    pub(super) fn section(&self, keys: &'static Keys) -> Option<Section<'a>> {
        let table = Some(self.value.as_table()?);
        let section = Section { path: self.key.clone(), table, span: self.span.clone(), faults: self.faults };
        section.refuse_unknown(keys);
        Some(section)
    }
}

/// A key that the user has named, and its value.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    /// Has the place of the name.
    pub(super) name_item: Item<'a>,
    /// Has the place of the value.
    pub(super) item: Item<'a>,
}

/// A table that is being read.
pub(super) struct Section<'a> {
    path: String,
    /// `None` when the table is not written, or is something else.
    table: Option<&'a DeTable<'a>>,
    span: Range<usize>,
    faults: &'a Faults<'a>,
}

impl<'a> Section<'a> {
    /// The table that is the file.
    pub(super) fn root(document: &'a Spanned<DeTable<'a>>, faults: &'a Faults<'a>, keys: &'static Keys) -> Self {
        let (table, span) = (Some(document.get_ref()), document.span());
        let section = Self { path: String::new(), table, span, faults };
        section.refuse_unknown(keys);
        section
    }

    /// The table `name` inside this one, empty when it is not written.
    pub(super) fn table(&self, name: &str, keys: &'static Keys) -> Section<'a> {
        let item = self.item(name);
        if let Some(section) = item.as_ref().and_then(|item| item.section(keys)) {
            return section;
        }
        if let Some(item) = item {
            item.wrong::<()>(format_args!("a table, {}", keys.header));
        }
        Section { path: join(&self.path, name), table: None, span: self.span.clone(), faults: self.faults }
    }

    /// What stands under `name`, read by no one yet.
    pub(super) fn item(&self, name: &str) -> Option<Item<'a>> {
        let value = self.table?.get(name)?;
        Some(Item { key: join(&self.path, name), value: value.get_ref(), span: value.span(), faults: self.faults })
    }

    /// The written value; `None` when the key is absent or faulty.
    pub(super) fn written<T>(&self, key: &Key<T>) -> Option<T> {
        self.item(key.name).and_then(|item| (key.read)(&item))
    }

    /// The written value or the default, which also stands in for a faulty one while the reading goes on.
    pub(super) fn value<T>(&self, key: &Key<T>) -> T {
        let default = || key.read_default(self.faults.file());
        self.written(key).or_else(default).expect("a key with a default that its own reader accepts")
    }

    /// The written value; its absence is a fault.
    pub(super) fn required<T>(&self, key: &Key<T>) -> Option<T> {
        let Some(item) = self.item(key.name) else {
            let name = key.name;
            return self.whole().wrong_as(format!("`{name}` is missing"), format!("`{name}` takes {}", key.form()));
        };
        (key.read)(&item)
    }

    /// The table itself, for faults that are of no single key.
    pub(super) fn whole(&self) -> Item<'a> {
        static ABSENT: DeValue<'static> = DeValue::Boolean(false);
        Item { key: self.path.clone(), value: &ABSENT, span: self.span.clone(), faults: self.faults }
    }

    fn refuse_unknown(&self, keys: &'static Keys) {
        let known: Vec<&str> = keys.keys.iter().map(|key| key.name()).chain(keys.tables.iter().copied()).collect();
        for name in self.table.into_iter().flat_map(|table| table.keys()) {
            let (text, span): (&str, _) = (AsRef::<std::borrow::Cow<'_, str>>::as_ref(name), name.span());
            if !known.contains(&text) {
                let right = suggest(text, &known, if keys.header.is_empty() { "the file" } else { keys.header });
                self.faults.error(&join(&self.path, text), span, format!("unknown key `{}`", shortened(text)), right);
            }
        }
    }
}

/// What would be right instead of `name`: the nearest of `known`, or all of them.
pub(super) fn suggest(name: &str, known: &[&str], place: &str) -> String {
    let nearest = known.iter().map(|other| (distance(name, other), other)).min();
    match nearest {
        Some((distance, other)) if distance <= 1 + name.chars().count() / 3 => format!("did you mean `{other}`?"),
        Some(_) => format!("{place} has {}", known.join(", ")),
        None => format!("{place} has none"),
    }
}

/// How many characters to insert, remove or replace to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, own) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(own != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A message names its fault, it does not repeat a page.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    if text.chars().count() <= LONGEST && line.len() == text.len() {
        return text.to_owned();
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [("", "abc", 3), ("interval", "intervall", 1), ("prot", "port", 2), ("k", "k", 0)] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_key_is_suggested_and_else_all() {
        let known = ["interval", "timeout", "port"];
        assert_eq!(suggest("intervall", &known, "[check.NAME]"), "did you mean `interval`?");
        assert_eq!(suggest("prot", &known, "[check.NAME]"), "did you mean `port`?");
        assert_eq!(suggest("zebra", &known, "[check.NAME]"), "[check.NAME] has interval, timeout, port");
    }

    #[test]
    fn long_and_many_lined_text_is_cut() {
        assert_eq!(shortened("\"short\""), "\"short\"");
        assert_eq!(shortened(&"x".repeat(100)).chars().count(), 60);
        assert_eq!(shortened("a\nb"), "a…");
    }
}
