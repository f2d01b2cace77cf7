//! Any octets before a query, as a proxy would send them: no panic, a header is no longer than what came and the same however
//! it came, and what a header was cut from may still become one.

#![no_main]

use kofn::server::{Front, Malformed, proxy_header};
use libfuzzer_sys::fuzz_target;

/// Octets of the longest header that is read.
const LONGEST: usize = 2048;

fuzz_target!(|octets: &[u8]| match proxy_header(octets) {
    Ok(Front::Header(end, client)) => {
        assert!((8..=LONGEST).contains(&end) && end <= octets.len());
        assert_eq!(proxy_header(&octets[..end]), Ok(Front::Header(end, client)), "what follows is not looked at");
        for cut in 0..end {
            assert_eq!(proxy_header(&octets[..cut]), Ok(Front::Partial), "{cut} of {end}");
        }
    }
    Ok(Front::Partial) => assert!(octets.len() < LONGEST),
    Err(Malformed) => {
        let more = [octets, &[0; 32]].concat();
        assert_eq!(proxy_header(&more), Err(Malformed), "no octet makes it good");
    }
});
