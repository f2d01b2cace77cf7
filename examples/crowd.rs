//! Crowds at an encrypted door, for `benches/peers/crowds`: it opens them, says `ready`, and holds them until its input ends.
//!
//! ```text
//! crowd tls|https|quic ADDRESS idle COUNT    connections past the handshake that say nothing
//!                              half COUNT    a handshake that has begun and never goes on
//!                              slow COUNT    an octet a second of a message that never ends
//!                              come COUNT    so many new connections a second, each with one query (tls only)
//! ```
//!
//! One thread; while the crowd is idle it sleeps.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Handshakes under way at once.
const AT_ONCE: usize = 32;
/// What begins a handshake of TLS, and half of one.
const HALF: &[u8] = &[0x16, 3, 1, 2, 0, 1];
/// The preface of HTTP/2 and empty settings.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// `www.example.test A`.
const QUERY: &[u8] = b"\0\x22\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01";

#[derive(Clone)]
struct Crowd {
    door: String,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    endpoint: Option<quinn::Endpoint>,
}

/// One of the crowd, held open.
enum Member {
    Tcp {
        _stream: TcpStream,
    },
    Tls(Box<TlsStream<TcpStream>>),
    Quic {
        _connection: quinn::Connection,
        sending: Option<quinn::SendStream>,
    },
    /// A datagram was sent from here, and nothing more will be.
    Gone {
        _socket: UdpSocket,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [door, address, kind, count] = &words[..] else {
        return Err("crowd tls|https|quic ADDRESS idle|half|slow|come COUNT".into());
    };
    let (crowd, count): (_, usize) = (Crowd::new(door, address.parse()?)?, count.parse()?);
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let files = rustix::process::Rlimit { current: most, maximum: most };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files)?;
    let members = match kind.as_str() {
        "come" => Vec::new(),
        _ => crowd.gather(kind, count).await?,
    };
    println!("ready");
    let (over, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _over = over;
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())
    });
    tokio::select! {
        // Nothing is said: the other half is dropped.
        _ = end => {}
        failed = crowd.go_on(kind, count, members) => failed?,
    }
    Ok(())
}

impl Crowd {
    fn new(door: &str, address: SocketAddr) -> Outcome<Self> {
        let protocol: &[u8] = match door {
            "tls" => b"dot",
            "https" => b"h2",
            "quic" => b"doq",
            _ => return Err(format!("no such door: {door}").into()),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate));
        let mut tls = builder.with_no_client_auth();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let tls = Arc::new(tls);
        let endpoint = match door {
            "quic" => {
                let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(Arc::clone(&tls))?;
                let mut transport = quinn::TransportConfig::default();
                transport.max_idle_timeout(None);
                let mut config = quinn::ClientConfig::new(Arc::new(crypto));
                config.transport_config(Arc::new(transport));
                let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?;
                endpoint.set_default_client_config(config);
                Some(endpoint)
            }
            _ => None,
        };
        Ok(Self { door: door.into(), address, tls, endpoint })
    }

    async fn gather(&self, kind: &str, count: usize) -> Outcome<Vec<Member>> {
        let (mut members, mut opening) = (Vec::new(), JoinSet::new());
        for _ in 0..count {
            if opening.len() == AT_ONCE
                && let Some(opened) = opening.join_next().await
            {
                members.push(opened??);
            }
            let (crowd, kind) = (self.clone(), kind.to_owned());
            opening.spawn(async move { crowd.open(&kind).await });
        }
        while let Some(opened) = opening.join_next().await {
            members.push(opened??);
        }
        Ok(members)
    }

    async fn open(&self, kind: &str) -> Outcome<Member> {
        if let Some(endpoint) = &self.endpoint {
            return if kind == "half" { self.first_packet(endpoint).await } else { self.by_quic(endpoint, kind).await };
        }
        let mut stream = TcpStream::connect(self.address).await?;
        if kind == "half" {
            stream.write_all(HALF).await?;
            return Ok(Member::Tcp { _stream: stream });
        }
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let mut stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
        if self.door == "https" {
            stream.write_all(GREETING).await?;
            stream.read_u8().await?;
        }
        if kind == "slow" {
            // The length of a message that never comes whole; of HTTP/2, the length of a frame.
            stream.write_all(if self.door == "https" { &[0, 64] } else { &[64, 0] }).await?;
        }
        Ok(Member::Tls(Box::new(stream)))
    }

    async fn by_quic(&self, endpoint: &quinn::Endpoint, kind: &str) -> Outcome<Member> {
        let connection = endpoint.connect(self.address, "localhost")?.await?;
        let mut sending = None;
        if kind == "slow" {
            let (mut send, _) = connection.open_bi().await?;
            send.write_all(&[64, 0]).await?;
            sending = Some(send);
        }
        Ok(Member::Quic { _connection: connection, sending })
    }

    /// What begins a handshake is caught by a socket of our own, and sent on from there: nobody answers for it.
    async fn first_packet(&self, endpoint: &quinn::Endpoint) -> Outcome<Member> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let mut packet = [0; 2048];
        let begun = endpoint.connect(socket.local_addr()?, "localhost")?;
        let octets = socket.recv(&mut packet).await?;
        drop(begun);
        socket.send_to(&packet[..octets], self.address).await?;
        Ok(Member::Gone { _socket: socket })
    }

    /// What the crowd does when it is there: nothing, or now and then a little.
    async fn go_on(&self, kind: &str, count: usize, mut members: Vec<Member>) -> Outcome {
        match kind {
            "slow" => loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                for member in &mut members {
                    match member {
                        Member::Tls(stream) => stream.write_all(&[0]).await?,
                        Member::Quic { sending: Some(send), .. } => send.write_all(&[0]).await?,
                        _ => {}
                    }
                }
            },
            "come" => {
                let mut beat = tokio::time::interval(Duration::from_secs(1) / u32::try_from(count)?);
                loop {
                    beat.tick().await;
                    if let Member::Tls(mut stream) = self.open("idle").await? {
                        stream.write_all(QUERY).await?;
                        stream.read_u16().await?;
                    }
                }
            }
            _ => std::future::pending().await,
        }
    }
}

/// The certificate is not what is looked at here.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
