//! Who asks, and how.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher13;

use crate::metrics::Transport;
use crate::wire::Subnet;

/// What the answer may depend on beside the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where the query came from.
    pub address: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// When it came, in seconds since 1970, of which 32 bits are enough for cookies.
    pub now: u32,
}

/// Bits of an IPv4 and of an IPv6 address that stand for a client network (RFC 7871 section 11.1 advises these).
const NETWORK: (u8, u8) = (24, 56);

impl Client {
    /// The hash of the client's network, the same on every server and every day, and how many bits of the client subnet it
    /// used: the subnet that the resolver sent, else the network of the resolver.
    pub(super) fn network(&self, subnet: Option<Subnet>) -> (u64, u8) {
        let (address, most) = match subnet {
            Some(subnet) => (subnet.address, subnet.prefix),
            None => (self.address, u8::MAX),
        };
        let mut hasher = SipHasher13::new();
        let bits = match address {
            IpAddr::V4(v4) => {
                let bits = NETWORK.0.min(most);
                hasher.write_u32(v4.to_bits() & u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0));
                bits
            }
            IpAddr::V6(v6) => {
                let bits = NETWORK.1.min(most);
                hasher.write_u128(v6.to_bits() & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0));
                bits
            }
        };
        (hasher.finish(), if subnet.is_some() { bits } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, subnet: Option<(&str, u8)>) -> (u64, u8) {
        let client = Client { address: address.parse().unwrap(), transport: Transport::Udp, now: 0 };
        client.network(subnet.map(|(address, prefix)| Subnet { address: address.parse().unwrap(), prefix }))
    }

    #[test]
    fn neighbours_share_a_network() {
        assert_eq!(network("192.0.2.1", None), network("192.0.2.254", None));
        assert_ne!(network("192.0.2.1", None), network("192.0.3.1", None));
        assert_eq!(network("2001:db8:0:ff::1", None), network("2001:db8:0:1::2", None));
        assert_ne!(network("2001:db8:0:100::1", None), network("2001:db8:0:1::2", None));
    }

    #[test]
    fn a_subnet_that_was_sent_goes_before_the_source() {
        let sent = network("192.0.2.1", Some(("198.51.100.0", 24)));
        assert_eq!(sent, (network("198.51.100.77", None).0, 24));
        assert_eq!(network("192.0.2.1", Some(("198.51.0.0", 16))).1, 16);
        assert_eq!(network("192.0.2.1", Some(("2001:db8::", 64))).1, 56);
        assert_eq!(network("192.0.2.1", Some(("0.0.0.0", 0))).1, 0);
    }
}
