//! The one table of record types: which fields RDATA has, in which order, and where its names are.
//!
//! ```text
//!                         ┌─► text::rdata   reads master file text into wire
//! fields(Type) ─► Field ──┼─► text::print   writes wire as master file text
//!                         ├─► rdata::walk   finds each field in wire, and refuses what does not fit
//!                         └─► rdata::names  where names are: compressed (RFC 3597), folded (RFC 4034)
//! ```
//!
//! A new record type is a new row. A type without a row is one field of octets (RFC 3597 section 5).

use crate::wire::Type;

/// One field of RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What its RFC calls it; faults and documentation use it.
    pub name: &'static str,
    /// How it looks in text and in wire.
    pub kind: Kind,
}

/// How a field looks, in text and in wire. Kinds "to the end" take all RDATA that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address, 4 octets.
    Ipv4,
    /// An IPv6 address, 16 octets.
    Ipv6,
    /// A number of one octet.
    U8,
    /// A number of two octets.
    U16,
    /// A number of four octets.
    U32,
    /// Seconds in four octets; text may use the units of TTLs (`1h30m`).
    Seconds,
    /// A moment in four octets; text is `YYYYMMDDHHmmSS` or seconds since 1970 (RFC 4034 section 3.2).
    Moment,
    /// A record type in two octets.
    Type,
    /// A DNSSEC algorithm in one octet; text may use its mnemonic (RFC 4034 appendix A.1).
    Algorithm,
    /// A certificate type in two octets; text may use its mnemonic (RFC 4398 section 2.1).
    CertificateType,
    /// A digest type in one octet, which fixes how long the hexadecimal field behind it is.
    DigestType(Digests),
    /// A domain name, with what may be done to it.
    Name(NameUse),
    /// One string of at most 255 octets behind its length.
    String,
    /// One or more strings, to the end.
    Strings,
    /// A tag of ASCII letters and digits behind its length (RFC 8659 section 4.1).
    Tag,
    /// Text without a length, to the end.
    Text,
    /// Octets to the end; text is hexadecimal and may be cut by white space.
    Hex,
    /// Octets behind their length; text is hexadecimal without white space, or `-` for none (RFC 5155 section 3.3).
    Salt,
    /// Octets behind their length; text is base32hex without padding (RFC 5155 section 3.3).
    Hash,
    /// Octets to the end; text is base64 and may be cut by white space.
    Base64,
    /// Windows of a bitmap of types, to the end (RFC 4034 section 4.1.2).
    Types,
    /// Address prefixes, to the end (RFC 3123).
    Prefixes,
    /// A place on earth (RFC 1876).
    Location,
    /// Service parameters, to the end (RFC 9460 section 2.1).
    Parameters,
    /// Octets written as hexadecimal pairs with hyphens (RFC 7043).
    Hyphenated(u8),
    /// Anything, to the end; text is `\# length hexadecimal` (RFC 3597 section 5).
    Octets,
}

/// What may be done to a name inside RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameUse {
    /// Compressed in messages and folded in canonical form: the types of RFC 1035.
    Compress,
    /// Never compressed, but folded in canonical form (RFC 3597 section 4, RFC 4034 section 6.2, RFC 6840 section 5.1).
    Fold,
    /// Neither: it is octets like any other.
    Keep,
}

/// Which registry a digest type is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digests {
    /// DS and CDS.
    Delegation,
    /// SSHFP.
    Fingerprint,
    /// ZONEMD.
    Zone,
}

impl Digests {
    /// The octets of a digest of type `number`, if the registry says.
    pub const fn length(self, number: u8) -> Option<usize> {
        match (self, number) {
            (Self::Delegation | Self::Fingerprint, 1) => Some(20),
            (Self::Delegation | Self::Fingerprint, 2) => Some(32),
            (Self::Delegation, 4) | (Self::Zone, 1) => Some(48),
            (Self::Zone, 2) => Some(64),
            _ => None,
        }
    }
}

macro_rules! record_types {
    ($($rtype:ident: $($name:literal $kind:expr),+;)*) => {
        /// The fields of a type's RDATA, in order.
        pub const fn fields(rtype: Type) -> &'static [Field] {
            match rtype {
                $(Type::$rtype => const { &[$(Field { name: $name, kind: $kind }),+] },)*
                _ => UNKNOWN,
            }
        }

        /// The types that have a row in the table.
        pub const KNOWN: &[Type] = &[$(Type::$rtype),*];
    };
}

const UNKNOWN: &[Field] = &[Field { name: "data", kind: Kind::Octets }];
const COMPRESS: Kind = Kind::Name(NameUse::Compress);
const FOLD: Kind = Kind::Name(NameUse::Fold);
const KEEP: Kind = Kind::Name(NameUse::Keep);
const DELEGATION: Kind = Kind::DigestType(Digests::Delegation);
const FINGERPRINT: Kind = Kind::DigestType(Digests::Fingerprint);
const ZONE: Kind = Kind::DigestType(Digests::Zone);

record_types! {
    A: "address" Kind::Ipv4;
    NS: "nameserver" COMPRESS;
    CNAME: "target" COMPRESS;
    SOA: "primary" COMPRESS, "mailbox" COMPRESS, "serial" Kind::U32, "refresh" Kind::Seconds,
        "retry" Kind::Seconds, "expire" Kind::Seconds, "minimum" Kind::Seconds;
    PTR: "target" COMPRESS;
    HINFO: "CPU" Kind::String, "operating system" Kind::String;
    MX: "preference" Kind::U16, "exchange" COMPRESS;
    TXT: "text" Kind::Strings;
    RP: "mailbox" FOLD, "text name" FOLD;
    AFSDB: "subtype" Kind::U16, "host" FOLD;
    SIG: "type covered" Kind::Type, "algorithm" Kind::Algorithm, "labels" Kind::U8,
        "original TTL" Kind::U32, "expiration" Kind::Moment, "inception" Kind::Moment,
        "key tag" Kind::U16, "signer" FOLD, "signature" Kind::Base64;
    KEY: "flags" Kind::U16, "protocol" Kind::U8, "algorithm" Kind::Algorithm, "public key" Kind::Base64;
    AAAA: "address" Kind::Ipv6;
    LOC: "location" Kind::Location;
    SRV: "priority" Kind::U16, "weight" Kind::U16, "port" Kind::U16, "target" FOLD;
    NAPTR: "order" Kind::U16, "preference" Kind::U16, "flags" Kind::String, "services" Kind::String,
        "regular expression" Kind::String, "replacement" FOLD;
    KX: "preference" Kind::U16, "exchanger" FOLD;
    CERT: "type" Kind::CertificateType, "key tag" Kind::U16, "algorithm" Kind::Algorithm,
        "certificate" Kind::Base64;
    DNAME: "target" FOLD;
    APL: "prefixes" Kind::Prefixes;
    DS: "key tag" Kind::U16, "algorithm" Kind::Algorithm, "digest type" DELEGATION, "digest" Kind::Hex;
    SSHFP: "algorithm" Kind::U8, "fingerprint type" FINGERPRINT, "fingerprint" Kind::Hex;
    RRSIG: "type covered" Kind::Type, "algorithm" Kind::Algorithm, "labels" Kind::U8,
        "original TTL" Kind::U32, "expiration" Kind::Moment, "inception" Kind::Moment,
        "key tag" Kind::U16, "signer" FOLD, "signature" Kind::Base64;
    NSEC: "next name" KEEP, "types" Kind::Types;
    DNSKEY: "flags" Kind::U16, "protocol" Kind::U8, "algorithm" Kind::Algorithm, "public key" Kind::Base64;
    DHCID: "identity" Kind::Base64;
    NSEC3: "hash algorithm" Kind::U8, "flags" Kind::U8, "iterations" Kind::U16, "salt" Kind::Salt,
        "next hashed name" Kind::Hash, "types" Kind::Types;
    NSEC3PARAM: "hash algorithm" Kind::U8, "flags" Kind::U8, "iterations" Kind::U16, "salt" Kind::Salt;
    TLSA: "usage" Kind::U8, "selector" Kind::U8, "matching type" Kind::U8, "association" Kind::Hex;
    SMIMEA: "usage" Kind::U8, "selector" Kind::U8, "matching type" Kind::U8, "association" Kind::Hex;
    CDS: "key tag" Kind::U16, "algorithm" Kind::Algorithm, "digest type" DELEGATION, "digest" Kind::Hex;
    CDNSKEY: "flags" Kind::U16, "protocol" Kind::U8, "algorithm" Kind::Algorithm, "public key" Kind::Base64;
    OPENPGPKEY: "public key" Kind::Base64;
    CSYNC: "serial" Kind::U32, "flags" Kind::U16, "types" Kind::Types;
    ZONEMD: "serial" Kind::U32, "scheme" Kind::U8, "hash algorithm" ZONE, "digest" Kind::Hex;
    SVCB: "priority" Kind::U16, "target" KEEP, "parameters" Kind::Parameters;
    HTTPS: "priority" Kind::U16, "target" KEEP, "parameters" Kind::Parameters;
    SPF: "text" Kind::Strings;
    EUI48: "address" Kind::Hyphenated(6);
    EUI64: "address" Kind::Hyphenated(8);
    URI: "priority" Kind::U16, "weight" Kind::U16, "target" Kind::Text;
    CAA: "flags" Kind::U8, "tag" Kind::Tag, "value" Kind::Text;
}

/// Whether a type may stand in a zone: not the pseudo types that exist only in messages (RFC 6895 section 3.1).
pub const fn is_data(rtype: Type) -> bool {
    !matches!(rtype.0, 0 | 41 | 128..=255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_of_rfc_1035_are_compressed() {
        let compressed: Vec<Type> =
            KNOWN.iter().copied().filter(|rtype| fields(*rtype).iter().any(|field| field.kind == COMPRESS)).collect();
        assert_eq!(compressed, [Type::NS, Type::CNAME, Type::SOA, Type::PTR, Type::MX]);
    }

    #[test]
    fn kinds_to_the_end_come_last() {
        for rtype in KNOWN {
            let (_, before) = fields(*rtype).split_last().expect("a row has a field");
            for field in before {
                assert!(!field.kind.is_to_the_end(), "{rtype}: {}", field.name);
            }
        }
    }

    #[test]
    fn types_of_messages_are_not_data() {
        for rtype in [Type::OPT, Type::ANY, Type::AXFR, Type::TSIG, Type(0), Type(128)] {
            assert!(!is_data(rtype), "{rtype}");
        }
        for rtype in [Type::A, Type::EUI64, Type::CAA, Type(65280), Type::NULL] {
            assert!(is_data(rtype), "{rtype}");
        }
    }
}
