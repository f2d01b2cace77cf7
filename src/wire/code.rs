//! The numbers of DNS: types, classes, opcodes, rcodes, with the names that people write for them.

use std::fmt;

macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident($repr:ty) { $($constant:ident = $value:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        #[expect(missing_docs, reason = "the constants are the registry's mnemonics")]
        impl $name {
            $(pub const $constant: Self = Self($value);)*

            /// The registry's mnemonic, if this number has one here.
            pub const fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }

            /// The number of a mnemonic, whatever its case.
            pub fn from_mnemonic(text: &[u8]) -> Option<Self> {
                $(if text.eq_ignore_ascii_case($text.as_bytes()) {
                    return Some(Self($value));
                })*
                None
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

numbers! {
    /// A record type (RFC 1035 section 3.2.2, IANA DNS parameters); also QTYPE.
    Type(u16) {
        A = 1 "A", NS = 2 "NS", CNAME = 5 "CNAME", SOA = 6 "SOA", NULL = 10 "NULL", PTR = 12 "PTR",
        HINFO = 13 "HINFO", MX = 15 "MX", TXT = 16 "TXT", RP = 17 "RP", AFSDB = 18 "AFSDB", SIG = 24 "SIG",
        KEY = 25 "KEY", AAAA = 28 "AAAA", LOC = 29 "LOC", SRV = 33 "SRV", NAPTR = 35 "NAPTR", KX = 36 "KX",
        CERT = 37 "CERT", DNAME = 39 "DNAME", OPT = 41 "OPT", APL = 42 "APL", DS = 43 "DS", SSHFP = 44 "SSHFP",
        RRSIG = 46 "RRSIG", NSEC = 47 "NSEC", DNSKEY = 48 "DNSKEY", DHCID = 49 "DHCID", NSEC3 = 50 "NSEC3",
        NSEC3PARAM = 51 "NSEC3PARAM", TLSA = 52 "TLSA", SMIMEA = 53 "SMIMEA", CDS = 59 "CDS",
        CDNSKEY = 60 "CDNSKEY", OPENPGPKEY = 61 "OPENPGPKEY", CSYNC = 62 "CSYNC", ZONEMD = 63 "ZONEMD",
        SVCB = 64 "SVCB", HTTPS = 65 "HTTPS", SPF = 99 "SPF", EUI48 = 108 "EUI48", EUI64 = 109 "EUI64",
        TKEY = 249 "TKEY", TSIG = 250 "TSIG", IXFR = 251 "IXFR", AXFR = 252 "AXFR", MAILB = 253 "MAILB",
        MAILA = 254 "MAILA", ANY = 255 "ANY", URI = 256 "URI", CAA = 257 "CAA",
    }
}

impl Type {
    /// Reads a mnemonic or `TYPE123` (RFC 3597 section 5), whatever its case.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        Self::from_mnemonic(text).or_else(|| generic(text, b"TYPE").map(Self))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.pad(text),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

numbers! {
    /// A class (RFC 1035 section 3.2.4); also QCLASS.
    Class(u16) {
        IN = 1 "IN", CH = 3 "CH", HS = 4 "HS", NONE = 254 "NONE", ANY = 255 "ANY",
    }
}

impl Class {
    /// Reads a mnemonic or `CLASS123` (RFC 3597 section 5), whatever its case.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        Self::from_mnemonic(text).or_else(|| generic(text, b"CLASS").map(Self))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.pad(text),
            None => f.pad(&format!("CLASS{}", self.0)),
        }
    }
}

numbers! {
    /// An opcode, four bits of the header (RFC 1035 section 4.1.1).
    Opcode(u8) {
        QUERY = 0 "QUERY", IQUERY = 1 "IQUERY", STATUS = 2 "STATUS", NOTIFY = 4 "NOTIFY", UPDATE = 5 "UPDATE",
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.pad(text),
            None => f.pad(&format!("OPCODE{}", self.0)),
        }
    }
}

numbers! {
    /// A response code: four bits of the header, above 15 with the upper eight bits in OPT (RFC 6891 section 6.1.3).
    Rcode(u16) {
        NOERROR = 0 "NOERROR", FORMERR = 1 "FORMERR", SERVFAIL = 2 "SERVFAIL", NXDOMAIN = 3 "NXDOMAIN",
        NOTIMP = 4 "NOTIMP", REFUSED = 5 "REFUSED", YXDOMAIN = 6 "YXDOMAIN", YXRRSET = 7 "YXRRSET",
        NXRRSET = 8 "NXRRSET", NOTAUTH = 9 "NOTAUTH", NOTZONE = 10 "NOTZONE", BADVERS = 16 "BADVERS",
        BADCOOKIE = 23 "BADCOOKIE",
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.pad(text),
            None => f.pad(&format!("RCODE{}", self.0)),
        }
    }
}

fn generic(text: &[u8], prefix: &[u8]) -> Option<u16> {
    let (head, digits) = text.split_at_checked(prefix.len())?;
    if !head.eq_ignore_ascii_case(prefix) || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_mnemonic_and_as_number() {
        assert_eq!(Type::from_text(b"aaaa"), Some(Type::AAAA));
        assert_eq!(Type::from_text(b"TYPE65280"), Some(Type(65280)));
        assert_eq!(Type::from_text(b"type1"), Some(Type::A));
        assert_eq!(Type::from_text(b"TYPE65536"), None);
        assert_eq!(Type::from_text(b"TYPE+1"), None);
        assert_eq!(Type::from_text(b"TYPE"), None);
        assert_eq!(Type(65280).to_string(), "TYPE65280");
    }
}
