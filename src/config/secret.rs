//! Secrets: the TSIG keys and the cookie secret, written in the file or in one of their own. They are never printed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

use super::reader::{Item, Key, Section, keys};
use super::value::{boolean, path, text, word};
use crate::reach;
use crate::wire::{Name, NameRef};

/// The HMAC of a TSIG key (RFC 8945 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`.
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

/// A key that signs messages between servers.
#[derive(Clone, PartialEq, Eq)]
pub struct TsigKey {
    /// How it signs.
    pub algorithm: TsigAlgorithm,
    /// The octets shared with the peer, at least 16.
    pub secret: Box<[u8]>,
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TsigKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// How DNS cookies are given and taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    /// Makes the cookies; `None` when each start draws its own.
    pub secret: Option<CookieSecret>,
    /// Made the cookies until of late: they are still taken.
    pub previous: Option<CookieSecret>,
    /// Who sends a cookie by UDP without a good server part gets BADCOOKIE instead of an answer (RFC 7873 section 5.2.3).
    pub require: bool,
}

/// The SipHash key of server cookies (RFC 9018 section 4), the same on all servers behind one address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieSecret(pub [u8; 16]);

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret")
    }
}

keys! {
    TSIG "[key.NAME]" {
        ALGORITHM: TsigAlgorithm = "algorithm", algorithm, "\"hmac-sha256\"",
            "How the key signs.";
        SECRET: String = "secret", text::<1024>, "",
            "The shared secret in base64, as `tsig-keygen` prints it. Either this or `secret_file` is needed.";
        SECRET_FILE: PathBuf = "secret_file", path, "",
            "A file that holds the secret in base64 and nothing else.";
    }
}

keys! {
    COOKIES "[cookies]" {
        COOKIE_SECRET: String = "secret", text::<1024>, "",
            "The 16 octets of the DNS cookie secret in hexadecimal; servers that share an address share it. Without \
             it each start draws its own.";
        COOKIE_SECRET_FILE: PathBuf = "secret_file", path, "",
            "A file that holds the secret in hexadecimal and nothing else.";
        PREVIOUS: String = "previous", text::<1024>, "",
            "The secret before this one, whose cookies are still taken. To change the secret on several servers, first \
             set the new one here everywhere, then swap the two, and an hour later remove the old one (RFC 9018 \
             section 5).";
        PREVIOUS_FILE: PathBuf = "previous_file", path, "",
            "A file that holds the previous secret in hexadecimal and nothing else.";
        REQUIRE: bool = "require", boolean, "false",
            "Whether a UDP query with a cookie that this server did not give gets BADCOOKIE and a good one instead of an \
             answer. Queries without any cookie are answered all the same.";
    }
}

/// The tables under `key`, by name.
pub(super) fn keys(item: &Item<'_>) -> BTreeMap<Name, TsigKey> {
    let mut keys = BTreeMap::new();
    let Some(entries) = item.entries() else {
        item.wrong::<()>("tables, [key.NAME]");
        return keys;
    };
    for entry in entries {
        let Some(section) = entry.item.section(&TSIG) else {
            entry.item.wrong::<()>("a table, [key.NAME]");
            continue;
        };
        let algorithm = section.value(&ALGORITHM);
        let octets = |text: &str| BASE64.decode(text.as_bytes()).ok().filter(|octets| octets.len() >= 16);
        let secret = read_secret(&section, &SECRET, &SECRET_FILE, octets, "at least 16 octets in base64");
        if secret.is_none() && section.item(SECRET.name).is_none() && section.item(SECRET_FILE.name).is_none() {
            section.whole().wrong_as::<()>("the key has no secret", "`secret` or `secret_file`");
        }
        let name = match Name::from_text_in(entry.name.as_bytes(), NameRef::ROOT) {
            Ok(name) => name,
            Err(error) => {
                entry.name_item.wrong_as::<()>(error, "the name of a key is a domain name");
                continue;
            }
        };
        if keys.contains_key(&name) {
            entry.name_item.wrong_as::<()>("this key stands here twice", "each key once, whatever its case");
        }
        if let Some(secret) = secret {
            keys.insert(name, TsigKey { algorithm, secret: secret.into() });
        }
    }
    keys
}

/// The cookie secrets, as far as they are written, and the policy.
pub(super) fn cookies(section: &Section<'_>) -> Cookies {
    let octets =
        |text: &str| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().and_then(|octets| octets.try_into().ok());
    let read = |inline, file| read_secret(section, inline, file, octets, "32 hexadecimal digits").map(CookieSecret);
    Cookies {
        secret: read(&COOKIE_SECRET, &COOKIE_SECRET_FILE),
        previous: read(&PREVIOUS, &PREVIOUS_FILE),
        require: section.value(&REQUIRE),
    }
}

/// Takes the secret from the key or from the file that the other key names. No fault repeats it.
fn read_secret<T>(
    section: &Section<'_>,
    inline: &Key<String>,
    file: &Key<PathBuf>,
    decode: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Option<T> {
    let (written, path) = (section.written(inline), section.written(file));
    let (item, text) = match (written, path) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            let item = section.item(file.name)?;
            return item.wrong_as("the secret stands in two places", format_args!("`{}` or this", inline.name));
        }
        (Some(text), None) => (section.item(inline.name)?, text),
        (None, Some(path)) => {
            let item = section.item(file.name)?;
            match fs::read_to_string(&path) {
                Ok(text) => (item, text),
                Err(error) => {
                    return item.wrong_as(
                        format_args!("{}: {error}", path.display()),
                        reach::remedy(&path, &error, "a file that the user of the server can read"),
                    );
                }
            }
        }
    };
    let secret = decode(text.trim());
    if secret.is_none() {
        item.wrong_as::<()>("what is written is no such secret", expected);
    }
    secret
}

fn algorithm(item: &Item<'_>) -> Option<TsigAlgorithm> {
    word(
        item,
        &[
            ("hmac-sha256", TsigAlgorithm::HmacSha256),
            ("hmac-sha384", TsigAlgorithm::HmacSha384),
            ("hmac-sha512", TsigAlgorithm::HmacSha512),
        ],
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Settings;
    use super::*;

    fn parse(text: &str) -> Result<Settings, Vec<String>> {
        let faults = |list: Vec<_>| list.iter().map(super::super::Fault::to_string).collect();
        Settings::parse(text, Path::new("kofn.toml")).map_err(faults)
    }

    #[test]
    fn secrets_are_read_and_not_shown() {
        let text = "[key.provider]\nalgorithm = \"hmac-sha512\"\nsecret = \"AAECAwQFBgcICQoLDA0ODw==\"\n\
                    [cookies]\nsecret = \"000102030405060708090A0B0C0D0E0F\"";
        let settings = parse(text).unwrap();
        let key = &settings.keys[&Name::from_text(b"provider").unwrap()];
        let octets: Vec<u8> = (0..16).collect();
        assert_eq!((key.algorithm, &*key.secret), (TsigAlgorithm::HmacSha512, &octets[..]));
        assert_eq!(settings.cookies.secret.map(|secret| secret.0.to_vec()), Some(octets));
        let shown = format!("{settings:?}");
        assert!(!shown.contains("AAEC") && !shown.contains("1, 2, 3"), "{shown}");
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cookie"), "000102030405060708090a0b0c0d0e0f\n").unwrap();
        let read = |text| Settings::parse(text, &folder.path().join("kofn.toml"));
        assert!(read("[cookies]\nsecret_file = \"cookie\"").unwrap().cookies.secret.is_some());
        let faults = read("[cookies]\nsecret_file = \"cake\"").expect_err("no such file");
        assert_eq!((faults.len(), faults[0].line, faults[0].key.as_str()), (1, 2, "cookies.secret_file"));
    }

    #[test]
    fn a_broken_secret_is_a_fault_that_does_not_repeat_it() {
        let text = "[key.a]\n[key.b]\nsecret = \"c2hvcnQ=\"\n[key.\"b.\"]\nsecret = \"AAECAwQFBgcICQoLDA0ODw==\"\n\
                    [key.B]\nsecret = \"AAECAwQFBgcICQoLDA0ODw==\"\nsecret_file = \"x\"\nalgorithm = \"hmac-md5\"\n\
                    [cookies]\nsecret = \"00\"\n[key.\"x..y\"]\nsecret = \"AAECAwQFBgcICQoLDA0ODw==\"\n";
        let list = parse(text).expect_err("faults");
        let errors: Vec<_> = list.iter().filter(|fault| !fault.contains("no effect yet")).collect();
        assert_eq!(
            errors,
            [
                "kofn.toml:1:1: key.a: the key has no secret; `secret` or `secret_file`",
                "kofn.toml:3:10: key.b.secret: what is written is no such secret; at least 16 octets in base64",
                "kofn.toml:8:15: key.B.secret_file: the secret stands in two places; `secret` or this",
                "kofn.toml:9:13: key.B.algorithm: found \"hmac-md5\"; \"hmac-sha256\", \"hmac-sha384\" or \
                 \"hmac-sha512\"",
                "kofn.toml:11:10: cookies.secret: what is written is no such secret; 32 hexadecimal digits",
                "kofn.toml:12:6: key.x..y: empty label; the name of a key is a domain name",
            ]
        );
    }
}
