//! Against messages that dnspython 2.9 signed, at a time that is set here.

use super::record::{Stamp, append};
use super::*;
use crate::wire::HEADER;

const SIGNED_AT: u64 = 1_700_000_000;
const REQUEST: &str = "123401000001000000000001076578616d706c6504746573740000fc0001034b6579c01400fa00ff00000000003d0b686d61\
     632d7368613235360000006553f100012c00204bcdb801016621548105b93707c2b0710bd901b2257974765e0be5619c5a13\
     7a123400000000";
const REPLIES: [&str; 3] = [
    "123481000001000000000001076578616d706c6504746573740000fc0001034b6579c01400fa00ff00000000003d0b686d61\
     632d7368613235360000006553f100012c00206860882bb25af34c3fcab13456c598540dcf7dfb039e820ff61cc57dd15088\
     5d123400000000",
    "123481000001000000000001076578616d706c6504746573740000fc0001034b6579c01400fa00ff00000000003d0b686d61\
     632d7368613235360000006553f100012c00205610ca9713152be7c9f71b411603c7769caabb064396d848e917260e43270e\
     12123400000000",
    "123481000001000000000001076578616d706c6504746573740000fc0001034b6579c01400fa00ff00000000003d0b686d61\
     632d7368613235360000006553f100012c00200269b5c6d4fbf045a806a6945d0a78b5bef546ddd4172901b27887d5cced36\
     c2123400000000",
];
const SHA384: &str = "00010100000100000000000101610000060001016b0000fa00ff00000000004d0b686d61632d7368613338340000006553f1\
     00012c0030909862309c4fbde2794001c60278f1ff5a3ff034d1230bf12adbb2f3d56f5e082385c0f4f00127bd6bbcb9c10d\
     9d763b000100000000";
const SHA512: &str = "00010100000100000000000101610000060001016b0000fa00ff00000000005d0b686d61632d7368613531320000006553f1\
     00012c00402127cef2acedb4cd40c2fcefcfdd4e4322acb4a6d5683668dcd3f7962bdf88648d9f23f38f65047b429227edc9\
     c4284862373d8411e2f302e0db27a381116769000100000000";

fn octets(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn name(text: &str) -> Name {
    Name::from_text(text.as_bytes()).unwrap()
}

fn keys(algorithm: TsigAlgorithm) -> BTreeMap<Name, TsigKey> {
    let key = TsigKey { algorithm, secret: (0..32).collect() };
    [(name("key.test."), key.clone()), (name("k."), key)].into()
}

fn key() -> Key {
    Key::find(&keys(TsigAlgorithm::HmacSha256), &name("KEY.test.")).unwrap()
}

/// The message that was signed: everything before the TSIG record.
fn plain(text: &str) -> Vec<u8> {
    let mut message = octets(text)[..30].to_vec();
    message[11] = 0;
    message
}

#[test]
fn requests_of_each_algorithm_are_believed() {
    for (text, algorithm) in
        [(REQUEST, TsigAlgorithm::HmacSha256), (SHA384, TsigAlgorithm::HmacSha384), (SHA512, TsigAlgorithm::HmacSha512)]
    {
        for now in [SIGNED_AT - 300, SIGNED_AT + 300] {
            let opened = open(&octets(text), &keys(algorithm), now).unwrap();
            assert_eq!(opened.message[11], 0);
            assert_eq!(opened.message[HEADER..], octets(text)[HEADER..opened.message.len()]);
            assert!(opened.signer.is_some());
        }
    }
}

#[test]
fn a_request_is_signed_as_others_sign_it() {
    let mut message = plain(REQUEST);
    let mut signer = Signer::new(key());
    let room = signer.octets();
    signer.sign(&mut message, SIGNED_AT);
    assert_eq!(message.len(), 30 + room);
    let mac_at = message.len() - 6 - 32;
    let theirs = octets(REQUEST);
    assert_eq!(message[mac_at..], theirs[theirs.len() - 38..]);
}

#[test]
fn a_stream_of_replies_is_signed_and_checked_as_others_do() {
    let mut signer = open(&octets(REQUEST), &keys(TsigAlgorithm::HmacSha256), SIGNED_AT).unwrap().signer.unwrap();
    let mut request = plain(REQUEST);
    let mut asking = Signer::new(key());
    asking.sign(&mut request, SIGNED_AT);
    let mut verifier = asking.into_verifier();
    for reply in REPLIES {
        assert_eq!(verifier.verify(&octets(reply), SIGNED_AT), Ok(30));
        let mut ours = plain(reply);
        signer.sign(&mut ours, SIGNED_AT);
        assert_eq!(ours[ours.len() - 38..], octets(reply)[octets(reply).len() - 38..]);
    }
    assert!(verifier.is_complete());
}

#[test]
fn messages_left_out_or_swapped_are_found() {
    let mut verifier = signer_of_plain_request().into_verifier();
    assert_eq!(verifier.verify(&octets(REPLIES[1]), SIGNED_AT), Err(Unverified::BadSig));
    assert_eq!(verifier.verify(&octets(REPLIES[0]), SIGNED_AT), Ok(30));
    assert_eq!(verifier.verify(&octets(REPLIES[2]), SIGNED_AT), Err(Unverified::BadSig));
}

fn signer_of_plain_request() -> Signer {
    let mut asking = Signer::new(key());
    asking.sign(&mut plain(REQUEST), SIGNED_AT);
    asking
}

#[test]
fn ninety_nine_messages_may_wait_for_their_signature() {
    let mut sender = open(&octets(REQUEST), &keys(TsigAlgorithm::HmacSha256), SIGNED_AT).unwrap().signer.unwrap();
    let mut verifier = signer_of_plain_request().into_verifier();
    assert_eq!(verifier.verify(&plain(REPLIES[0]), SIGNED_AT), Err(Unverified::Missing), "the first is signed");
    let mut first = plain(REPLIES[0]);
    sender.sign(&mut first, SIGNED_AT);
    assert_eq!(verifier.verify(&first, SIGNED_AT), Ok(30));
    let between: Vec<u8> = (0..99).flat_map(|_| plain(REPLIES[0])).collect();
    for _ in 0..99 {
        assert_eq!(verifier.verify(&plain(REPLIES[0]), SIGNED_AT), Ok(30));
        assert!(!verifier.is_complete());
    }
    let mut last = plain(REPLIES[0]);
    let stamp = Stamp { time: SIGNED_AT, fudge: FUDGE };
    let prior = &first[first.len() - 38..first.len() - 6];
    let covered = [&[0, 32], prior, &between, &last, &stamp.octets()].concat();
    append(&mut last, (key().name(), key().algorithm()), stamp, &key().mac(&covered), (0, &[]));
    assert_eq!(verifier.verify(&last, SIGNED_AT), Ok(30));
    assert!(verifier.is_complete());
    for _ in 0..99 {
        verifier.verify(&plain(REPLIES[0]), SIGNED_AT).unwrap();
    }
    assert_eq!(verifier.verify(&plain(REPLIES[0]), SIGNED_AT), Err(Unverified::Missing));
}

#[test]
fn what_is_not_believed_is_told_as_the_rfc_asks() {
    let request = octets(REQUEST);
    let ours = keys(TsigAlgorithm::HmacSha256);
    let told = |message: &[u8], keys: &BTreeMap<Name, TsigKey>, now| {
        let rejection = open(message, keys, now).expect_err("a rejection");
        assert_eq!(rejection.reply[..2], message[..2]);
        assert_eq!(rejection.reply[2] & 0x80, 0x80);
        (rejection.error, rejection.reply)
    };
    let (error, reply) = told(&request, &BTreeMap::new(), SIGNED_AT);
    assert_eq!((error, reply[3], reply[reply.len() - 3]), (Some(TsigError::BadKey), 9, 17));
    let (error, reply) = told(&request, &keys(TsigAlgorithm::HmacSha512), SIGNED_AT);
    assert_eq!((error, reply[3]), (Some(TsigError::BadKey), 9));
    let mut wrong = request.clone();
    wrong[21] ^= 0x20;
    let (error, reply) = told(&wrong, &ours, SIGNED_AT);
    assert_eq!((error, reply[3], reply[reply.len() - 3]), (Some(TsigError::BadSig), 9, 16));
    let (error, reply) = told(&request[..request.len() - 1], &ours, SIGNED_AT);
    assert_eq!((error, reply[3]), (None, 1));
}

#[test]
fn a_client_with_a_wrong_clock_learns_ours_and_can_believe_it() {
    let mut asking = Signer::new(key());
    let mut request = plain(REQUEST);
    asking.sign(&mut request, SIGNED_AT);
    let now = SIGNED_AT + 301;
    let rejection = open(&request, &keys(TsigAlgorithm::HmacSha256), now).expect_err("BADTIME");
    assert_eq!((rejection.error, rejection.reply[3]), (Some(TsigError::BadTime), 9));
    assert_eq!(rejection.reply[rejection.reply.len() - 6..], now.to_be_bytes()[2..]);
    let mut verifier = asking.into_verifier();
    assert_eq!(verifier.verify(&rejection.reply, SIGNED_AT), Err(Unverified::Refused(TsigError::BadTime)));
}

#[test]
fn a_shortened_mac_is_refused_and_one_that_is_no_mac_is_malformed() {
    let request = octets(REQUEST);
    let shortened = |octets: usize| {
        let mut message = request[..request.len() - 38].to_vec();
        let length_at = message.len() - 2;
        message[length_at..].copy_from_slice(&(octets as u16).to_be_bytes());
        message.extend(&request[request.len() - 38..][..octets]);
        message.extend(&request[request.len() - 6..]);
        // RDLENGTH stands behind a compressed owner, type, class and TTL.
        let at = 30 + 6 + 8;
        let whole = u16::from_be_bytes([request[at], request[at + 1]]);
        message[at..at + 2].copy_from_slice(&(whole - 32 + octets as u16).to_be_bytes());
        open(&message, &keys(TsigAlgorithm::HmacSha256), SIGNED_AT).expect_err("a rejection").error
    };
    assert_eq!(shortened(16), Some(TsigError::BadTrunc));
    assert_eq!(shortened(15), None);
}
