//! Changes to the text of `drains.toml` that leave alone what they do not mean: comments, order, spelling.

use jiff::Timestamp;
use toml_edit::{ArrayOfTables, Datetime, DocumentMut, Item, Table, value};

use super::Drain;
use crate::net::Prefix;
use crate::wire::Name;

/// Why a text cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is no TOML.
    #[error("the text is no TOML; {0}")]
    Syntax(String),
    /// `drain` is something else.
    #[error("`drain` is no list of tables; [[drain]] before each would be right")]
    NoTables,
}

/// Adds a drain at the end, in the place of one of the same members and pool.
///
/// # Errors
/// When the text is not what it should be.
pub fn add(text: &str, drain: &Drain, lasts: Option<&str>) -> Result<String, EditError> {
    let (mut document, mut tables) = open(if text.trim().is_empty() { HEAD } else { text })?;
    let at = tables.iter().position(|table| is_of(table, drain.addr, drain.pool.as_ref()));
    if let Some(table) = at.and_then(|at| tables.get_mut(at)) {
        write(table, drain, lasts);
        return Ok(close(document, tables));
    }
    let mut table = Table::new();
    write(&mut table, drain, lasts);
    // What stands behind the last table, such as a comment at the end, stays before the new one.
    let behind = document.trailing().as_str().unwrap_or_default().to_owned();
    let gap = if tables.is_empty() { "" } else { "\n" };
    table.decor_mut().set_prefix(format!("{behind}{gap}"));
    document.set_trailing("");
    tables.push(table);
    Ok(close(document, tables))
}

fn write(table: &mut Table, drain: &Drain, lasts: Option<&str>) {
    table.insert("addr", value(drain.addr.to_string()));
    for (key, written) in [
        ("pool", drain.pool.as_ref().map(|pool| value(pool.to_string()))),
        ("since", drain.since.map(moment)),
        ("for", lasts.map(value)),
        ("reason", drain.reason.as_ref().map(value)),
    ] {
        match written {
            Some(written) => drop(table.insert(key, written)),
            None => drop(table.remove(key)),
        }
    }
}

/// Removes each drain of these members; without a pool, whatever pool it names.
///
/// # Errors
/// When the text is not what it should be.
pub fn remove(text: &str, which: impl Fn(Prefix, Option<&Name>) -> bool) -> Result<String, EditError> {
    let (mut document, mut tables) = open(text)?;
    let is_meant = |table: &Table| subject(table).is_some_and(|(addr, pool)| which(addr, pool.as_ref()));
    loop {
        let at = tables.iter().position(is_meant);
        let Some(at) = at else { break };
        let head = tables.get(at).and_then(|table| table.decor().prefix()).and_then(|prefix| prefix.as_str());
        // A comment that a blank line keeps apart from the table is not of the table.
        let head = head.and_then(|prefix| prefix.rfind("\n\n").map(|end| prefix[..=end].to_owned()));
        tables.remove(at);
        let Some(head) = head.filter(|head| head.contains('#')) else { continue };
        match tables.get_mut(at) {
            Some(next) => {
                let own = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                let both = format!("{head}{own}");
                next.decor_mut().set_prefix(both);
            }
            None => {
                let both = format!("{head}{}", document.trailing().as_str().unwrap_or_default());
                document.set_trailing(both);
            }
        }
    }
    Ok(close(document, tables))
}

/// Writes `now` into each drain that does not say when it began, so that its time runs over restarts.
///
/// # Errors
/// When the text is not what it should be.
pub fn date(text: &str, now: Timestamp) -> Result<String, EditError> {
    let (document, mut tables) = open(text)?;
    for table in tables.iter_mut().filter(|table| !table.contains_key("since")) {
        table.insert("since", moment(now));
    }
    Ok(close(document, tables))
}

/// What a file begins with that the server makes.
const HEAD: &str =
    "# Members that are kept out of new answers. `kofn drain` and `kofn undrain` write here, and so may you.\n\n";

fn open(text: &str) -> Result<(DocumentMut, ArrayOfTables), EditError> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| EditError::Syntax(error.message().into()))?;
    let tables = match document.remove("drain") {
        None => ArrayOfTables::new(),
        Some(item) => item.into_array_of_tables().map_err(|_| EditError::NoTables)?,
    };
    Ok((document, tables))
}

fn close(mut document: DocumentMut, tables: ArrayOfTables) -> String {
    if !tables.is_empty() {
        document.insert("drain", Item::ArrayOfTables(tables));
    }
    document.to_string()
}

fn is_of(table: &Table, addr: Prefix, pool: Option<&Name>) -> bool {
    subject(table).is_some_and(|subject| subject == (addr, pool.cloned()))
}

/// The members and the pool that a table names; `None` when it is not readable.
fn subject(table: &Table) -> Option<(Prefix, Option<Name>)> {
    let addr = table.get("addr")?.as_str()?.parse().ok()?;
    let pool = match table.get("pool") {
        None => None,
        Some(pool) => Some(Name::from_text(pool.as_str()?.as_bytes()).ok()?.to_lower()),
    };
    Some((addr, pool))
}

fn moment(at: Timestamp) -> Item {
    let seconds = Timestamp::from_second(at.as_second()).unwrap_or(at).to_string();
    value(seconds.parse::<Datetime>().expect("RFC 3339 is a date of TOML"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(addr: &str, reason: &str) -> Drain {
        Drain {
            addr: addr.parse().expect("a prefix"),
            pool: None,
            since: Some(Timestamp::UNIX_EPOCH),
            lasts: None,
            reason: Some(reason.to_owned()),
        }
    }

    const WRITTEN: &str = "# Ours.\n\n# The old rack.\n[[drain]]\naddr = \"192.0.2.0/24\"   # all of it\n\n[[drain]]\n\
                           addr = \"2001:db8::1\"\npool = \"WWW.a.test\"\n# The end.\n";

    #[test]
    fn a_new_file_begins_with_what_it_is() {
        let text = add("", &drain("192.0.2.7", "kernel"), Some("2h")).expect("TOML");
        let table =
            "[[drain]]\naddr = \"192.0.2.7\"\nsince = 1970-01-01T00:00:00Z\nfor = \"2h\"\nreason = \"kernel\"\n";
        assert_eq!(text, format!("{HEAD}{table}"));
    }

    #[test]
    fn what_is_added_stands_last_and_replaces_its_like() {
        let text = add(WRITTEN, &drain("192.0.2.7", "one"), None).expect("TOML");
        let since = "since = 1970-01-01T00:00:00Z\n";
        assert_eq!(text, format!("{WRITTEN}\n[[drain]]\naddr = \"192.0.2.7\"\n{since}reason = \"one\"\n"));
        let again = add(&text, &drain("192.0.2.7", "two"), None).expect("TOML");
        assert_eq!(again, text.replace("one", "two"), "its place and the comments around it stay");
    }

    #[test]
    fn what_is_removed_takes_its_own_comment_along_and_no_other() {
        let one = remove(WRITTEN, |addr, _| addr.len() == 24).expect("TOML");
        assert!(one.starts_with("# Ours.\n") && !one.contains("old rack") && one.contains("2001:db8::1"), "{one}");
        let pool = Name::from_text(b"www.a.test").expect("a name");
        let both = remove(&one, |_, own| own == Some(&pool)).expect("TOML");
        assert!(both.contains("# Ours.") && both.ends_with("# The end.\n") && !both.contains("[["), "{both}");
    }

    #[test]
    fn who_does_not_say_when_it_began_is_dated() {
        let text = date(WRITTEN, Timestamp::UNIX_EPOCH).expect("TOML");
        assert_eq!(text.matches("since = 1970-01-01T00:00:00Z").count(), 2, "{text}");
        assert!(text.contains("# all of it") && text.ends_with("# The end.\n"), "{text}");
        assert_eq!(date(&text, Timestamp::now()).expect("TOML"), text);
    }

    #[test]
    fn lists_within_a_line_are_taken_too_and_all_else_is_refused() {
        let text = add("drain = [{ addr = \"192.0.2.1\" }]\n", &drain("192.0.2.7", "x"), None).expect("TOML");
        assert!(text.contains("192.0.2.1") && text.contains("192.0.2.7"), "{text}");
        assert_eq!(add("drain = 3", &drain("192.0.2.7", "x"), None), Err(EditError::NoTables));
        assert!(matches!(add("drain = [", &drain("192.0.2.7", "x"), None), Err(EditError::Syntax(_))));
    }
}
