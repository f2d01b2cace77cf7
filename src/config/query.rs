//! `[query]`, in kofn.toml and in a policy alike: who may ask.

use super::reader::{Item, Section, keys};
use super::value::prefixes;
use crate::net::{Access, Prefix};

keys! {
    QUERY "[query]" {
        ALLOW: Vec<Prefix> = "allow", prefixes, "[]",
            "Who may ask. Without it, everyone may whom `deny` does not name.";
        DENY: Vec<Prefix> = "deny", prefixes, "[]",
            "Who is refused. Where both lists hold an address, the longer prefix decides.";
    }
}

pub(super) fn read(section: &Section<'_>) -> Access {
    let both = |prefix: Prefix| {
        let item = section.item(DENY.name);
        let told = |item: Item<'_>| {
            item.wrong_as::<()>(format_args!("{prefix} stands in `allow`, too"), "each prefix in one of the lists");
        };
        item.into_iter().for_each(told);
    };
    Access::new(section.value(&ALLOW), section.value(&DENY)).map_err(both).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings, ZonePolicy};
    use crate::wire::Name;

    #[test]
    fn both_files_have_it_and_its_faults_have_their_place() {
        let text = "[query]\nallow = [\"192.0.2.0/24\", \"::1\"]\ndeny = [\"192.0.2.0/24\"]\nalow = []\n";
        let told = |faults: Vec<Fault>| faults.iter().map(Fault::to_string).collect::<Vec<_>>();
        let apex = Name::from_text(b"example.test").unwrap();
        let settings = told(Settings::parse(text, Path::new("x.toml")).expect_err("faults"));
        let policy = told(ZonePolicy::parse(text, Path::new("x.toml"), apex.borrow()).expect_err("faults"));
        assert_eq!(settings, policy);
        assert_eq!(
            settings,
            [
                "x.toml:3:8: query.deny: 192.0.2.0/24 stands in `allow`, too; each prefix in one of the lists",
                "x.toml:4:1: query.alow: unknown key `alow`; did you mean `allow`?",
            ]
        );
    }
}
