//! Every door gives the same answers, and none is closed by who comes in badly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdTcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::harness::{DEADLINE, Scratch, Server, eventually};

const NAMES: [&str; 24] = [
    "example.test",
    "EXAMPLE.test",
    "ns1.example.test",
    "www.example.test",
    "WwW.ExAmPlE.tEsT",
    "alias.example.test",
    "chain.example.test",
    "loop.example.test",
    "out.example.test",
    "wild.example.test",
    "a.wild.example.test",
    "a.b.wild.example.test",
    "*.wild.example.test",
    "ent.example.test",
    "below.ent.example.test",
    "sub.example.test",
    "host.sub.example.test",
    "ns.sub.example.test",
    "old.example.test",
    "x.old.example.test",
    "mail.example.test",
    "nothing.example.test",
    "another.test",
    "test",
];
const TYPES: [u16; 25] =
    [0, 1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 35, 39, 43, 46, 47, 48, 52, 64, 65, 251, 252, 255, 257, 65_280];
const ZONE: &str = "$TTL 300\n@ SOA ns1 hostmaster 7 3600 600 86400 30\n@ NS ns1\n@ MX 10 mail\nns1 A 127.0.0.1\n\
    ns1 AAAA ::1\nwww A 192.0.2.1\nwww A 192.0.2.2\nwww TXT \"one\" \"two\"\nalias CNAME www\nchain CNAME alias\n\
    loop CNAME loop\nout CNAME www.another.test.\n*.wild A 192.0.2.9\nbelow.ent A 192.0.2.8\nsub NS ns.sub\n\
    ns.sub A 192.0.2.53\nold DNAME wild\nmail A 192.0.2.25\n_sip._tcp SRV 1 2 3 mail\nsvc HTTPS 1 . alpn=h2\n";

/// Without EDNS, with it, with DO and an empty NSID, and with an option that nobody knows.
const OPTIONS: [&[u8]; 4] = [
    b"",
    b"\0\0\x29\x04\xd0\0\0\0\0\0\0",
    b"\0\0\x29\x04\xd0\0\0\x80\0\0\x04\0\x03\0\0",
    b"\0\0\x29\x10\0\0\0\0\0\0\x07\xfd\xe9\0\x03abc",
];

/// A server with every door, and what its clients trust.
pub(super) struct Doors {
    pub(super) server: Server,
    pub(super) tls: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) quic: SocketAddr,
    roots: RootCertStore,
}

/// A certificate for `localhost` and its key as PEM, and itself as clients trust it.
fn certificate() -> (String, CertificateDer<'static>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem() + &key.serialize_pem(), certificate.der().clone())
}

impl Doors {
    pub(super) fn open(more: &str) -> Self {
        Self::open_with(more, "")
    }

    /// With more keys above, and in `[tls]`.
    fn open_with(more: &str, of_tls: &str) -> Self {
        let scratch = Scratch::new();
        let (pem, certificate) = certificate();
        scratch.write("certificates/own.pem", &pem);
        scratch.write("zones/example.test.zone", ZONE);
        let doors =
            "listen_tls = [\"127.0.0.1:0\"]\nlisten_https = [\"127.0.0.1:0\"]\nlisten_quic = [\"127.0.0.1:0\"]\n";
        scratch.write(
            "kofn.toml",
            &format!("{doors}workers = 1\n{more}\n[tls]\ncertificates = [\"certificates\"]\n{of_tls}\n"),
        );
        let mut server = Server::start_unready(scratch, &[]);
        let mut address = |door: &str| {
            let line = server.log_until(|line| line.contains(&format!("by {door}")));
            line.split("addr=").nth(1).and_then(|text| text.trim().parse().ok()).expect("an address")
        };
        let (tls, https, quic) = (address("tls"), address("https"), address("quic"));
        server.log_until(|line| line.contains("ready"));
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a certificate");
        Self { server, tls, https, quic, roots }
    }

    pub(super) fn client(&self, protocol: &[u8]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        let mut config = builder.expect("TLS 1.3").with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }

    async fn connect(&self, address: SocketAddr, protocol: &[u8]) -> TlsStream<TcpStream> {
        connect(address, &Arc::new(self.client(protocol))).await
    }
}

pub(super) async fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::clone(client)).connect(name, stream).await.expect("a handshake")
}

/// Every name with every type and with each of the options; and some messages that are none.
fn queries() -> Vec<Vec<u8>> {
    let mut queries = Vec::new();
    for name in NAMES {
        for rtype in TYPES {
            for option in OPTIONS {
                let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!option.is_empty())];
                for label in name.split('.') {
                    query.push(label.len() as u8);
                    query.extend(label.as_bytes());
                }
                query.push(0);
                query.extend([rtype.to_be_bytes(), [0, 1]].concat());
                query.extend(option);
                queries.push(query);
            }
        }
    }
    let sound = queries[0].clone();
    // Two questions, none, an opcode that nobody has, class CHAOS, a record that is cut off, octets behind the message.
    for (at, value) in [(5, 2), (5, 0), (2, 0x38), (sound.len() - 1, 3), (11, 1), (2, 0x20)] {
        let mut broken = sound.clone();
        broken[at] = value;
        queries.push(broken);
    }
    queries.push([&sound[..], b"more"].concat());
    queries
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

pub(super) async fn by_frames(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    queries: &[Vec<u8>],
) -> Vec<Vec<u8>> {
    let mut replies = Vec::new();
    for some in queries.chunks(20) {
        let octets: Vec<u8> = some.iter().flat_map(|query| framed(query)).collect();
        stream.write_all(&octets).await.expect("sent");
        for _ in some {
            let mut reply = vec![0; stream.read_u16().await.expect("a length").into()];
            stream.read_exact(&mut reply).await.expect("a reply");
            replies.push(reply);
        }
    }
    replies
}

async fn by_https(doors: &Doors, queries: &[Vec<u8>]) -> Vec<Vec<u8>> {
    by_http(doors.connect(doors.https, b"h2").await, queries).await
}

pub(super) async fn by_http(stream: TlsStream<TcpStream>, queries: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut replies = Vec::new();
    for (number, query) in queries.iter().enumerate() {
        let mut sender = sender.clone().ready().await.expect("a stream");
        let builder = http::Request::builder();
        let in_url = number % 2 == 0;
        let request = match in_url {
            true => {
                let text = data_encoding::BASE64URL_NOPAD.encode(query);
                builder.uri(format!("https://localhost/dns-query?dns={text}"))
            }
            false => builder
                .method("POST")
                .uri("https://localhost/dns-query")
                .header("content-type", "application/dns-message"),
        };
        let (response, mut body) = sender.send_request(request.body(()).expect("a request"), in_url).expect("sent");
        if !in_url {
            body.send_data(query.clone().into(), true).expect("sent");
        }
        let response = response.await.expect("a response");
        assert_eq!(response.status(), 200);
        assert!(response.headers()["cache-control"].to_str().expect("text").starts_with("max-age="));
        let (mut body, mut reply) = (response.into_body(), Vec::new());
        while let Some(octets) = body.data().await {
            let octets = octets.expect("octets");
            body.flow_control().release_capacity(octets.len()).expect("room");
            reply.extend_from_slice(&octets);
        }
        replies.push(reply);
    }
    replies
}

async fn by_quic(doors: &Doors, queries: &[Vec<u8>]) -> Vec<Vec<u8>> {
    by_quic_as(doors.quic, doors.client(b"doq"), queries).await
}

pub(super) async fn by_quic_as(quic: SocketAddr, client: ClientConfig, queries: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(client).expect("TLS 1.3");
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    let connection = endpoint.connect(quic, "localhost").expect("begun").await.expect("a connection");
    let mut replies = Vec::new();
    for query in queries {
        let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
        send.write_all(&framed(query)).await.expect("sent");
        send.finish().expect("ended");
        let reply = receive.read_to_end(70_000).await.expect("a reply");
        assert_eq!(usize::from(u16::from_be_bytes([reply[0], reply[1]])), reply.len() - 2);
        replies.push(reply[2..].to_vec());
    }
    replies
}

pub(super) fn by_udp(address: SocketAddr, queries: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let ask = |query: &Vec<u8>| {
        socket.send_to(query, address).expect("sent");
        let mut reply = vec![0; 4096];
        let octets = socket.recv(&mut reply).unwrap_or_else(|error| panic!("{query:?}: {error}"));
        reply.truncate(octets);
        reply
    };
    queries.iter().map(ask).collect()
}

#[tokio::test]
async fn every_door_gives_the_same_replies() {
    let (doors, portable) = (Doors::open(""), Doors::open("door = \"portable\""));
    let queries = queries();
    assert!(queries.len() > 2000);
    let address = doors.server.client.0;
    let tcp = by_frames(TcpStream::connect(address).await.expect("a connection"), &queries).await;
    let others = [
        ("udp", false, by_udp(address, &queries)),
        ("portable udp", false, by_udp(portable.server.client.0, &queries)),
        (
            "portable tcp",
            false,
            by_frames(TcpStream::connect(portable.server.client.0).await.expect("connected"), &queries).await,
        ),
        ("tls", true, by_frames(doors.connect(doors.tls, b"dot").await, &queries).await),
        ("https", true, by_https(&doors, &queries).await),
        ("quic", true, by_quic(&doors, &queries).await),
    ];
    for (door, encrypted, replies) in others {
        assert_eq!(replies.len(), tcp.len());
        for ((query, own), other) in queries.iter().zip(&tcp).zip(&replies) {
            let own = if encrypted { padded(own) } else { own.clone() };
            assert_eq!(own, *other, "{door} for {query:02x?}");
        }
    }
    same_as_by_query(&doors.server.scratch, &queries, &tcp);
}

/// A reply as it is padded: up to a multiple of 468 octets, by the last option of its last record, if there is one for it.
fn padded(reply: &[u8]) -> Vec<u8> {
    let count = |at: usize| usize::from(u16::from_be_bytes([reply[at], reply[at + 1]]));
    let after_name = |mut at: usize| loop {
        match reply[at] {
            0 => return at + 1,
            0xc0.. => return at + 2,
            octets => at += 1 + usize::from(octets),
        }
    };
    let (questions, records) = (count(4), count(6) + count(8) + count(10));
    let behind = (0..questions).fold(12, |at, _| after_name(at) + 4);
    // The last record: where it has its length, and its type.
    let mut last = None;
    (0..records).fold(behind, |at, _| {
        let fixed = after_name(at);
        last = Some((fixed + 8, count(fixed)));
        fixed + 10 + count(fixed + 8)
    });
    let mut padded = reply.to_vec();
    if let Some((length, 41)) = last {
        let padding = (reply.len() + 4).next_multiple_of(468) - reply.len() - 4;
        padded[length..length + 2].copy_from_slice(&(count(length) as u16 + 4 + padding as u16).to_be_bytes());
        padded.extend([&[0, 12], &(padding as u16).to_be_bytes()[..], &vec![0; padding]].concat());
    }
    padded
}

/// What `kofn query` shows is what was served: for every name and type, with the EDNS that it sends.
fn same_as_by_query(scratch: &Scratch, queries: &[Vec<u8>], replies: &[Vec<u8>]) {
    let pairs = NAMES.iter().flat_map(|name| TYPES.iter().map(move |rtype| (*name, *rtype)));
    let served = queries.iter().zip(replies).filter(|(query, _)| query.ends_with(OPTIONS[1])).map(|(_, reply)| reply);
    // It asks in lower case.
    let all: Vec<_> = pairs.zip(served).filter(|((name, _), _)| !name.contains(char::is_uppercase)).collect();
    assert!(all.len() > 500);
    let compare = |part: &[((&str, u16), &Vec<u8>)]| {
        for ((name, rtype), reply) in part {
            let shown = scratch.kofn(&["query", name, &format!("TYPE{rtype}"), "--tcp", "--hex"]);
            let mut reply = (*reply).clone();
            // It does not ask for recursion, and a transfer is no reply.
            reply[2] &= !1;
            let is_transfer = matches!(rtype, 251 | 252) && shown.code != 0;
            let expected = data_encoding::HEXLOWER.encode(&reply);
            assert!(is_transfer || shown.out.trim() == expected, "{name} {rtype}: {shown:?} {expected}");
        }
    };
    let (one, other) = all.split_at(all.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| compare(one));
        compare(other);
    });
}

#[tokio::test]
async fn encrypted_replies_are_padded_if_the_query_has_edns() {
    let doors = Doors::open("");
    let bare = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01";
    let with = |option: &[u8]| [&bare[..11], &[1], &bare[12..], option].concat();
    // With the option, without it, of a version that nobody has, and without EDNS.
    let asked = with(b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x0c\0\0");
    let queries = [asked, with(OPTIONS[1]), with(b"\0\0\x29\x04\xd0\0\x01\0\0\0\0"), bare.to_vec()];
    let plain = by_udp(doors.server.client.0, &queries);
    assert!(plain.iter().all(|reply| reply.len() < 200));
    for replies in [
        by_frames(doors.connect(doors.tls, b"dot").await, &queries).await,
        by_https(&doors, &queries).await,
        by_quic(&doors, &queries).await,
    ] {
        assert_eq!(replies.iter().map(Vec::len).collect::<Vec<_>>(), [468, 468, 468, plain[3].len()]);
    }
}

#[tokio::test]
async fn a_certificate_is_exchanged_under_connections_that_go_on() {
    let mut doors = Doors::open("");
    let query = [queries()[1].clone()];
    let mut old = doors.connect(doors.tls, b"dot").await;
    let (pem, certificate) = certificate();
    doors.server.scratch.write("certificates/own.pem", &pem);
    doors.server.log_until(|line| line.contains("INFO certificate"));
    by_frames(&mut old, &query).await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    doors.roots = roots;
    by_frames(doors.connect(doors.tls, b"dot").await, &query).await;
    let shown = &doors.server.status()["certificates"][0];
    assert_eq!(shown["names"], serde_json::json!(["localhost"]));
    assert!(shown["days_left"].as_i64().is_some_and(|days| days > 1000), "{shown}");
    // Half of a file is no certificate: the one before stays, and the log names the file.
    doors.server.scratch.write("certificates/own.pem", &pem[..pem.len() / 3]);
    let line = doors.server.log_until(|line| line.contains("ERROR"));
    assert!(line.contains("own.pem: the PEM is broken or cut off"), "{line}");
    by_frames(doors.connect(doors.tls, b"dot").await, &query).await;
}

/// Counts how often a certificate was looked at: a session that is resumed shows none.
#[derive(Debug)]
struct Looks {
    at: AtomicUsize,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Looks {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.at.fetch_add(1, Ordering::Relaxed);
        self.verifier.verify_server_cert(certificate, chain, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[tokio::test]
async fn sessions_are_resumed_on_each_door() {
    let doors = Doors::open("");
    let query = [queries()[1].clone()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    for (door, protocol) in [("tls", &b"dot"[..]), ("https", b"h2"), ("quic", b"doq")] {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(doors.roots.clone()), Arc::clone(&provider));
        let verifier = verifier.build().expect("roots");
        let looks = Arc::new(Looks { at: AtomicUsize::new(0), verifier });
        // What is remembered of the first connection is in here.
        let mut client = doors.client(protocol);
        client.dangerous().set_certificate_verifier(Arc::clone(&looks) as Arc<dyn ServerCertVerifier>);
        let client = Arc::new(client);
        for _ in 0..2 {
            match door {
                "tls" => drop(by_frames(connect(doors.tls, &client).await, &query).await),
                "https" => drop(by_http(connect(doors.https, &client).await, &query).await),
                _ => drop(by_quic_as(doors.quic, (*client).clone(), &query).await),
            }
        }
        assert_eq!(looks.at.load(Ordering::Relaxed), 1, "{door} has not gone on with the session");
    }
}

#[tokio::test]
async fn half_handshakes_hold_up_nobody() {
    let doors = Doors::open("");
    let query = [queries()[1].clone()];
    // What they send begins a handshake, and more of it never comes.
    let begun = |address| {
        let mut stream = StdTcpStream::connect(address).expect("a connection");
        stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).expect("sent");
        stream
    };
    let halves: Vec<_> = (0..20).flat_map(|_| [begun(doors.tls), begun(doors.https)]).collect();
    by_frames(doors.connect(doors.tls, b"dot").await, &query).await;
    by_https(&doors, &query).await;
    by_quic(&doors, &query).await;
    drop(halves);
}

#[test]
fn a_trusted_proxy_says_who_the_client_is_and_nobody_else() {
    let doors =
        Doors::open("proxy_protocol = [\"127.0.0.1\"]\n[cookies]\nsecret = \"000102030405060708090a0b0c0d0e0f\"");
    let address = doors.server.client.0;
    // The cookie that is given shows for whom: two clients get two.
    let cookie = b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08abcdefgh";
    let mut query = queries()[0].clone();
    query[11] = 1;
    query.extend(cookie);
    let header = |last: u8| {
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x12, 0, 12, 192, 0, 2, last, 127, 0, 0, 1, 9, 9, 0, 53]].concat()
    };
    let by_udp = |last| by_udp(address, &[[header(last), query.clone()].concat()]).remove(0);
    let by_tcp = |last| {
        let mut stream = StdTcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.write_all(&[header(last), framed(&query)].concat()).expect("sent");
        let mut reply = vec![0; 2];
        stream.read_exact(&mut reply).expect("a length");
        reply = vec![0; usize::from(u16::from_be_bytes([reply[0], reply[1]]))];
        stream.read_exact(&mut reply).expect("a reply");
        reply
    };
    // The hash is the last eight octets; the time before it may differ.
    let hash = |reply: &[u8]| reply[reply.len() - 8..].to_vec();
    eventually("both in one second", || (hash(&by_udp(1)) == hash(&by_tcp(1))).then_some(()));
    assert_ne!(hash(&by_udp(1)), hash(&by_udp(2)));
    // Without a header nothing is answered.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    socket.send_to(&query, address).expect("sent");
    assert!(socket.recv(&mut [0; 512]).is_err());
    let mut stream = StdTcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.write_all(&framed(&query)).expect("sent");
    assert!(stream.read(&mut [0; 2]).map_or(true, |octets| octets == 0));
    assert_eq!(doors.server.status()["queries"]["outcomes"]["drop_proxy"], 1);
}

#[tokio::test]
async fn each_encrypted_door_bounds_the_connections_of_one_network() {
    // The table `[tls]` follows what is given here.
    let doors = Doors::open_with("proxy_protocol = [\"127.0.0.2\"]", "per_prefix = 2");
    let refused = |door: &str| doors.server.connections(door, "refused");
    // Behind a proxy it is the client's network that counts.
    let behind = |address: SocketAddr, protocol: &'static [u8], network: u8, host: u8| {
        let client = doors.client(protocol);
        async move {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind("127.0.0.2:0".parse().expect("an address")).expect("an address of loopback");
            let mut stream = socket.connect(address).await.expect("a connection");
            let header =
                [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x11, 0, 12, 192, 0, network, host, 127, 0, 0, 1, 9, 9, 3, 85]];
            stream.write_all(&header.concat()).await.expect("sent");
            let name = ServerName::try_from("localhost").expect("a name");
            TlsConnector::from(Arc::new(client)).connect(name, stream).await
        }
    };
    for (door, address, protocol) in [("tls", doors.tls, &b"dot"[..]), ("https", doors.https, b"h2")] {
        let before = refused(door);
        let held = [behind(address, protocol, 2, 1).await, behind(address, protocol, 2, 2).await];
        assert!(held.iter().all(Result::is_ok));
        assert!(behind(address, protocol, 2, 3).await.is_err(), "a third of 192.0.2.0/24");
        assert!(behind(address, protocol, 3, 3).await.is_ok(), "one of another network");
        assert_eq!(refused(door) - before, 1.0);
    }
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(doors.client(b"doq")).expect("TLS 1.3");
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    let connect = || async { endpoint.connect(doors.quic, "localhost").expect("begun").await };
    let (one, other) = (connect().await, connect().await);
    assert!(one.is_ok() && other.is_ok());
    assert!(connect().await.is_err(), "a third by QUIC");
}

/// As dnsdist does it: the handshake first, and then the header as the first octets inside.
#[tokio::test]
async fn a_proxy_may_name_the_client_inside_of_the_encryption() {
    let doors = Doors::open_with("proxy_protocol = [\"127.0.0.2\"]", "per_prefix = 2");
    let doors = &doors;
    let behind = async |address: SocketAddr, protocol: &[u8], begins: &[u8]| {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.2:0".parse().expect("an address")).expect("an address of loopback");
        let stream = socket.connect(address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(doors.client(protocol)));
        let mut stream = connector.connect(name, stream).await.expect("a handshake");
        stream.write_all(begins).await.expect("sent");
        stream
    };
    let counted = |door: &str, event: &str| doors.server.connections(door, event);
    let query = [queries()[1].clone()];
    for (door, address, protocol) in [("tls", doors.tls, &b"dot"[..]), ("https", doors.https, b"h2")] {
        let header = |network: u8| {
            [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x11, 0, 12, 192, 0, network, 1, 127, 0, 0, 1, 9, 9, 3, 85]].concat()
        };
        let mut held = [
            behind(address, protocol, &header(2)).await,
            behind(address, protocol, b"PROXY TCP4 192.0.2.9 127.0.0.1 2313 853\r\n").await,
        ];
        if door == "tls" {
            for stream in &mut held {
                by_frames(stream, &query).await;
            }
        } else {
            // Who is admitted is greeted with the settings of HTTP/2.
            for stream in &mut held {
                stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("sent");
                stream.read_u8().await.expect("a greeting");
            }
            by_http(behind(address, protocol, &header(3)).await, &query).await;
        }
        // The error is how the server's end may look.
        let ended = async |mut stream: TlsStream<TcpStream>| stream.read(&mut [0; 1]).await.map_or(0, |octets| octets);
        assert_eq!(ended(behind(address, protocol, &header(2)).await).await, 0, "a third of 192.0.2.0/24");
        assert_eq!(counted(door, "refused"), 1.0);
        assert_eq!(ended(behind(address, protocol, &framed(&query[0])).await).await, 0, "no header");
        assert_eq!(counted(door, "proxy_malformed"), 1.0);
        drop(held);
    }
    // Whose word counts for nothing says it in vain.
    let mut stranger = doors.connect(doors.tls, b"dot").await;
    stranger.write_all(b"PROXY TCP4 192.0.2.9 127.0.0.1 2313 853\r\n").await.expect("sent");
    stranger.shutdown().await.expect("closed");
    assert_eq!(stranger.read(&mut [0; 1]).await.expect("the end"), 0);
}
