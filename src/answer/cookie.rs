//! Server cookies that servers of other makers understand (RFC 9018).

use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use super::Client;
use crate::snapshot::Snapshot;
use crate::wire::{Cookie, Edns};

/// Octets of a server cookie: version, three reserved, timestamp, hash (RFC 9018 section 4.2).
const SERVER_COOKIE: usize = 16;
/// Seconds for which a server cookie is good (RFC 9018 section 4.3).
const LIFETIME: u32 = 3600;
/// Seconds that another server's clock may be ahead (RFC 9018 section 4.3).
const AHEAD: u32 = 300;

/// Client and server cookie for a reply to `client` at `now`, seconds since 1970.
pub(super) fn reply(client_cookie: [u8; 8], client: IpAddr, now: u32, secret: &[u8; 16]) -> [u8; 24] {
    let mut cookie = [0; 24];
    cookie[..8].copy_from_slice(&client_cookie);
    cookie[8] = 1;
    cookie[12..16].copy_from_slice(&now.to_be_bytes());
    let hash = hash(cookie.first_chunk().expect("16 of 24"), client, secret);
    cookie[16..].copy_from_slice(&hash);
    cookie
}

/// Whether the server cookie is one that this secret gave to this client of late.
fn is_valid(cookie: &Cookie<'_>, client: IpAddr, now: u32, secret: &[u8; 16]) -> bool {
    let Ok(server) = <[u8; SERVER_COOKIE]>::try_from(cookie.server) else { return false };
    let stamp = u32::from_be_bytes([server[4], server[5], server[6], server[7]]);
    // Serial number arithmetic, as the 32-bit clock goes round in 2106.
    let age = now.wrapping_sub(stamp);
    if server[0] != 1 || (age > LIFETIME && age.wrapping_neg() > AHEAD) {
        return false;
    }
    let mut signed = [0; 16];
    signed[..8].copy_from_slice(&cookie.client);
    signed[8..].copy_from_slice(&server[..8]);
    // The hash is 64 bits and worth an hour at most: a comparison that leaks time leaks nothing of use before it is stale.
    hash(&signed, client, secret) == server[8..]
}

/// Whether the client has shown by a cookie that its address is its own: with the secret that holds, or the one before.
pub(super) fn is_proven(edns: &Edns<'_>, client: &Client, snapshot: &Snapshot) -> bool {
    let Some(cookie) = edns.cookie.filter(|cookie| !cookie.server.is_empty()) else { return false };
    let mut secrets = [Some(snapshot.cookie_secret), snapshot.settings.cookies.previous].into_iter().flatten();
    secrets.any(|secret| is_valid(&cookie, client.address, client.now, &secret.0))
}

fn hash(signed: &[u8; 16], client: IpAddr, secret: &[u8; 16]) -> [u8; 8] {
    let mut octets = [0; 32];
    octets[..16].copy_from_slice(signed);
    let hasher = SipHasher24::new_with_key(secret);
    let hash = match client {
        IpAddr::V4(address) => {
            octets[16..20].copy_from_slice(&address.octets());
            hasher.hash(&octets[..20])
        }
        IpAddr::V6(address) => {
            octets[16..].copy_from_slice(&address.octets());
            hasher.hash(&octets)
        }
    };
    hash.to_le_bytes()
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

    #[test]
    fn a_cookie_is_good_for_its_client_and_its_hour() {
        let (secret, client) = ([7; 16], IpAddr::from([192, 0, 2, 1]));
        let made = reply([1; 8], client, 10_000, &secret);
        let cookie = Cookie { client: [1; 8], server: &made[8..] };
        assert!(is_valid(&cookie, client, 10_000, &secret));
        assert!(is_valid(&cookie, client, 13_600, &secret));
        assert!(is_valid(&cookie, client, 9_700, &secret));
        assert!(!is_valid(&cookie, client, 13_601, &secret));
        assert!(!is_valid(&cookie, client, 9_699, &secret));
        assert!(!is_valid(&cookie, IpAddr::from([192, 0, 2, 2]), 10_000, &secret));
        assert!(!is_valid(&cookie, client, 10_000, &[8; 16]));
        assert!(!is_valid(&Cookie { client: [2; 8], ..cookie }, client, 10_000, &secret));
        assert!(!is_valid(&Cookie { server: &made[8..20], ..cookie }, client, 10_000, &secret));
    }
}
