//! What carries plain UDP and TCP.

use super::reader::{Item, Key, Section};
use super::value::parse_address;

/// What carries plain UDP and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Many datagrams a system call; Linux only.
    Batch,
    /// One datagram a system call, by what every system has.
    Portable,
}

impl Door {
    /// Whether this program has it, on this system.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Batch => cfg!(all(target_os = "linux", not(without_batch))),
            Self::Portable => cfg!(feature = "portable"),
        }
    }
}

impl Default for Door {
    /// The fastest that there is.
    fn default() -> Self {
        if Self::Batch.is_built() { Self::Batch } else { Self::Portable }
    }
}

/// The door that `key` names, with a word on what it cannot do: of the addresses at `listen`, and of the keys of [udp] that
/// are the other door's.
pub(super) fn carrier(
    root: &Section<'_>,
    (key, listen): (&Key<Door>, &str),
    udp: &Section<'_>,
    of_batches: [&str; 3],
) -> Door {
    let door = root.written(key).unwrap_or_default();
    if door == Door::Portable {
        for element in root.item(listen).as_ref().and_then(Item::elements).into_iter().flatten() {
            if element.as_str().and_then(parse_address).is_some_and(|address| address.ip().is_unspecified()) {
                let found = "the portable door cannot choose which address a reply leaves from";
                element.warn(found, "each address of this machine by itself");
            }
        }
        for item in of_batches.into_iter().filter_map(|name| udp.item(name)) {
            item.warn("the portable door has nothing of the kind", "no such key, or `door = \"batch\"`");
        }
    }
    door
}

pub(super) fn door(item: &Item<'_>) -> Option<Door> {
    let (door, lack) = match item.as_str() {
        Some("batch") => (Door::Batch, "one for Linux"),
        Some("portable") => (Door::Portable, "one that has the feature `portable`"),
        _ => return item.wrong("\"batch\" or \"portable\""),
    };
    if door.is_built() { Some(door) } else { item.wrong_as("this program was built without it", lack) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings};
    use super::*;

    fn read(text: &str) -> Result<Settings, Vec<Fault>> {
        Settings::parse(text, Path::new("kofn.toml"))
    }

    #[test]
    fn a_program_takes_the_doors_that_it_has() {
        for (word, door) in [("batch", Door::Batch), ("portable", Door::Portable)] {
            let read = read(&format!("door = \"{word}\""));
            match read {
                Ok(settings) => assert!(door.is_built() && settings.door == door),
                Err(faults) => {
                    assert!(!door.is_built());
                    assert!(
                        faults[0].to_string().starts_with("kofn.toml:1:8: door: this program was built without it")
                    );
                }
            }
        }
        assert!(Settings::default().door.is_built());
        let faults = read("door = \"fast\"").expect_err("no such door");
        assert_eq!(faults[0].to_string(), "kofn.toml:1:8: door: found \"fast\"; \"batch\" or \"portable\"");
    }

    #[cfg(feature = "portable")]
    #[test]
    fn what_the_portable_door_cannot_do_is_a_warning() {
        let text = "door = \"portable\"\nlisten = [\"192.0.2.1\", \"::\"]\n[udp]\npin = true\nreceive_buffer = 65536\n";
        let warnings: Vec<_> = read(text).expect("valid").warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "kofn.toml:2:24: listen[1]: the portable door cannot choose which address a reply leaves from; \
                 each address of this machine by itself",
                "kofn.toml:4:7: udp.pin: the portable door has nothing of the kind; no such key, or \
                 `door = \"batch\"`",
            ]
        );
    }
}
