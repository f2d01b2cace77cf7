//! Server cookies that servers of other makers understand (RFC 9018).

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// Client and server cookie for a reply to `client` at `now`, seconds since 1970.
pub(super) fn reply(client_cookie: [u8; 8], client: IpAddr, now: u32, secret: &[u8; 16]) -> [u8; 24] {
    let mut cookie = [0; 24];
    cookie[..8].copy_from_slice(&client_cookie);
    cookie[8] = 1;
    cookie[12..16].copy_from_slice(&now.to_be_bytes());
    let hash = hash(&cookie[..16], client, secret);
    cookie[16..].copy_from_slice(&hash);
    cookie
}

fn hash(signed: &[u8], client: IpAddr, secret: &[u8; 16]) -> [u8; 8] {
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(signed);
    match client {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()),
    }
    hasher.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
    }

    #[test]
    fn cookies_are_those_of_rfc_9018_appendix_a() {
        let secret = octets::<16>("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let client = IpAddr::from([198, 51, 100, 100]);
        let made = reply(octets("2464c4abcf10c957"), client, 1_559_731_985, &secret);
        assert_eq!(made, octets("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
        let v6 = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let secret = octets::<16>("445536bcd2513298075a5d379663c962");
        let made = reply(octets("22681ab97d52c298"), v6, 1_559_741_961, &secret);
        assert_eq!(made, octets("22681ab97d52c298010000005cf7c609a6bb79d16625507a"));
    }
}
