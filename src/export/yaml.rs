//! YAML in the order in which octoDNS wants its keys: digits count as numbers, so that `www2` stands before `www10`.

use std::cmp::Ordering;

use serde::{Serialize, Serializer};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Yaml {
    Number(i64),
    Decimal(f64),
    Text(String),
    List(Vec<Self>),
    /// Put in order when it is written.
    Map(Vec<(String, Self)>),
}

impl Yaml {
    pub(super) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The document; strings that another reader would take for something else are quoted.
    pub(super) fn document(&self) -> String {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        let text =
            serde_saphyr::to_string_with_options(self, options).expect("keys are text, and nothing refers to itself");
        format!("---\n{text}")
    }
}

impl Serialize for Yaml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Decimal(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(values) => serializer.collect_seq(values),
            Self::Map(entries) => {
                let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key, value)).collect();
                entries.sort_by(|(a, _), (b, _)| natural(a, b));
                serializer.collect_map(entries)
            }
        }
    }
}

/// Text and numbers by turns, text first.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (parts(a).into_iter(), parts(b).into_iter());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match a.cmp(&b) {
                Ordering::Equal => {}
                other => return other,
            },
        }
    }
}

/// Of a word that begins with digits the first text is empty.
fn parts(word: &str) -> Vec<(&str, u128)> {
    let mut parts = Vec::new();
    let mut rest = word;
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.find(|next: char| next.is_ascii_digit()).unwrap_or(rest.len()));
        let (digits, after) = after.split_at(after.find(|next: char| !next.is_ascii_digit()).unwrap_or(after.len()));
        // A word that ends in text ends before any number.
        parts.push((text, digits.parse::<u128>().map_or(0, |number| number.saturating_add(1))));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_natural_order() {
        let mut words = vec!["www10", "", "www2", "www", "a-b", "10", "9", "*", "a.b", "a", "_sip._tcp", "b1a"];
        words.sort_by(|a, b| natural(a, b));
        assert_eq!(words, ["", "9", "10", "*", "_sip._tcp", "a", "a-b", "a.b", "b1a", "www", "www2", "www10"]);
    }

    #[test]
    fn words_that_are_something_else_to_yaml_are_quoted() {
        let words = ["no", "1:30", "010", "a; b", "\"", "*"].map(Yaml::text).to_vec();
        let document = Yaml::map([("on", Yaml::List(words)), ("b", Yaml::Number(1))]).document();
        assert_eq!(document, "---\nb: 1\n\"on\":\n- \"no\"\n- \"1:30\"\n- \"010\"\n- a; b\n- \"\\\"\"\n- \"*\"\n");
    }
}
