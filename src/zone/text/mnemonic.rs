//! Numbers of RDATA for which text may use a name.

use super::value::number;

/// A DNSSEC algorithm by number or mnemonic (IANA DNS Security Algorithm Numbers).
pub(super) fn algorithm(text: &[u8]) -> Option<u8> {
    named(text, ALGORITHMS).or_else(|| u8::try_from(number(text)?).ok())
}

/// A certificate type by number or mnemonic (RFC 4398 section 2.1).
pub(super) fn certificate(text: &[u8]) -> Option<u16> {
    named(text, CERTIFICATES).or_else(|| u16::try_from(number(text)?).ok())
}

fn named<T: Copy>(text: &[u8], table: &[(&str, T)]) -> Option<T> {
    let row = table.iter().find(|(name, _)| text.eq_ignore_ascii_case(name.as_bytes()));
    row.map(|(_, value)| *value)
}

const ALGORITHMS: &[(&str, u8)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECCGOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

const CERTIFICATES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];
