//! Layer 0: address prefixes, as limits, weights, tiers and access lists name them.

mod rules;

pub use rules::{Access, PrefixTable};

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The addresses that share their first `len` bits: `192.0.2.0/24`, `2001:db8::/32`, or one address alone.
///
/// The bits after the prefix are always zero, so equal prefixes are equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

impl Prefix {
    /// The prefix of `len` bits that holds `address`; `None` when the family has fewer bits than `len`.
    pub fn of(address: IpAddr, len: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) if len <= 32 => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask_v4(len))),
            IpAddr::V6(v6) if len <= 128 => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask_v6(len))),
            _ => return None,
        };
        Some(Self { address, len })
    }

    /// The prefix of `address` that counts as one network: the least that is commonly routed on its own, and the least that
    /// a site is given.
    pub fn network_of(address: IpAddr) -> Self {
        let bits = if address.is_ipv4() { 24 } else { 56 };
        Self::of(address, bits).expect("a network is shorter than an address")
    }

    /// Whether `address` is of this family and shares this prefix.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => own.to_bits() == other.to_bits() & mask_v4(self.len),
            (IpAddr::V6(own), IpAddr::V6(other)) => own.to_bits() == other.to_bits() & mask_v6(self.len),
            _ => false,
        }
    }

    /// The first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Bits of the prefix: up to 32 for IPv4, up to 128 for IPv6.
    #[expect(clippy::len_without_is_empty, reason = "a length in bits, as RFC 4632 has it, not a container's")]
    pub fn len(self) -> u8 {
        self.len
    }

    /// Whether this is one address alone.
    pub fn is_host(self) -> bool {
        self.len == bits(self.address)
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self { address, len: bits(address) }
    }
}

impl fmt::Display for Prefix {
    /// One address alone is written without its length, as people write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() { write!(f, "{}", self.address) } else { write!(f, "{}/{}", self.address, self.len) }
    }
}

/// Why text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// What stands before the slash is no address.
    #[error("`{0}` is no IPv4 or IPv6 address; a prefix is written 192.0.2.0/24 or 2001:db8::/32")]
    Address(String),
    /// What stands after the slash is no length of the family.
    #[error("`/{found}` is no prefix length; {family} takes /0 to /{most}")]
    Length {
        /// The text after the slash.
        found: String,
        /// IPv4 or IPv6.
        family: &'static str,
        /// The bits of an address of the family.
        most: u8,
    },
    /// Bits after the prefix are set: either the address or the length is not what was meant.
    #[error("{address}/{len} has bits set after its prefix; the prefix is {right}", right = Prefix::shown(*address, *len))]
    HostBits {
        /// The address as written.
        address: IpAddr,
        /// The length as written.
        len: u8,
    },
}

impl Prefix {
    /// The right spelling, for the error alone: `len` has been checked by then.
    fn shown(address: IpAddr, len: u8) -> String {
        Self::of(address, len).map_or_else(String::new, |prefix| prefix.to_string())
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::Address(address.to_owned()))?;
        let most = bits(address);
        let len = match len {
            None => most,
            Some(digits) => length(digits).filter(|len| *len <= most).ok_or_else(|| PrefixError::Length {
                found: digits.to_owned(),
                family: if address.is_ipv4() { "IPv4" } else { "IPv6" },
                most,
            })?,
        };
        Self::of(address, len).filter(|prefix| prefix.address == address).ok_or(PrefixError::HostBits { address, len })
    }
}

/// Plain digits only: `str::parse` would take `+8` too.
fn length(digits: &str) -> Option<u8> {
    if digits.bytes().all(|octet| octet.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask_v4(len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0)
}

fn mask_v6(len: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().expect("a prefix")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_prefix_holds_its_addresses_and_no_others() {
        assert!(prefix("10.0.0.0/8").contains(address("10.255.255.255")));
        assert!(!prefix("10.0.0.0/8").contains(address("11.0.0.0")));
        assert!(prefix("2001:db8::/33").contains(address("2001:db8:7fff:ffff::1")));
        assert!(!prefix("2001:db8::/33").contains(address("2001:db8:8000::")));
        assert!(prefix("192.0.2.1").contains(address("192.0.2.1")));
        assert!(!prefix("192.0.2.1").contains(address("192.0.2.0")));
    }

    #[test]
    fn everything_of_a_family_is_in_its_prefix_of_no_bits() {
        assert!(prefix("0.0.0.0/0").contains(address("255.255.255.255")));
        assert!(!prefix("0.0.0.0/0").contains(address("::")));
        assert!(prefix("::/0").contains(address("ffff::")));
        assert!(!prefix("::/0").contains(address("0.0.0.0")));
    }

    #[test]
    fn prefixes_print_as_they_are_written() {
        for text in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "0.0.0.0/0"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        assert_eq!(prefix("192.0.2.1/32").to_string(), "192.0.2.1");
    }

    #[test]
    fn errors_say_what_would_be_right() {
        let error = |text: &str| text.parse::<Prefix>().expect_err("no prefix").to_string();
        assert!(error("10.0.0.1/8").ends_with("the prefix is 10.0.0.0/8"));
        assert!(error("2001:db8::1/32").ends_with("the prefix is 2001:db8::/32"));
        assert!(error("10.0.0.0/33").ends_with("IPv4 takes /0 to /32"));
        assert!(error("::/129").ends_with("IPv6 takes /0 to /128"));
        assert!(error("::/").contains("`/`"));
        assert!(error("10.0.0.0/+8").contains("`/+8`"));
        assert!(error("example.test").starts_with("`example.test` is no IPv4 or IPv6 address"));
    }

    #[test]
    fn the_prefix_of_an_address_drops_the_bits_after_it() {
        assert_eq!(Prefix::of(address("192.0.2.77"), 24), Some(prefix("192.0.2.0/24")));
        assert_eq!(Prefix::of(address("2001:db8::ffff"), 64), Some(prefix("2001:db8::/64")));
        assert_eq!(Prefix::of(address("192.0.2.77"), 33), None);
    }
}
