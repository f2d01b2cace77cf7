//! Opens TLS to a peer, and reads when its certificate ends.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::parse_x509_certificate;

use crate::config::{Authorities, Trust};

/// Opens TLS by one [`Trust`]. Made once, as the system's roots take milliseconds to read; clones share everything.
#[derive(Clone)]
pub struct Client(Arc<ClientConfig>);

/// Why nothing can be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The system has no roots, or none that can be read.
    #[error("the system has no certificate authorities{}", reason(.0))]
    NoRoots(Option<String>),
    /// The file holds something else under the name of a certificate.
    #[error("{}: {reason}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why there is no TLS with a peer.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke; [`io::ErrorKind::UnexpectedEof`] when the peer closed it.
    #[error("{0}")]
    Connection(io::Error),
    /// The name is none that a certificate could have.
    #[error("{0:?} is no name of a server")]
    Name(String),
    /// The certificate is not believed.
    #[error("certificate {}", Words(.0))]
    Certificate(CertificateError),
    /// What came is no TLS.
    #[error("the answer is no TLS")]
    NotTls,
    /// The two do not agree on how to speak it.
    #[error("no TLS: {0}")]
    Protocol(rustls::Error),
}

impl Client {
    /// Offers the protocols `alpn` (RFC 7301), the best first; none when it is empty. TLS is 1.3 or 1.2.
    ///
    /// Reads files when the system is trusted: meant for when settings are read, not for each connection.
    ///
    /// # Errors
    /// When no certificate could ever be believed.
    pub fn new(trust: &Trust, alpn: &[&[u8]]) -> Result<Self, ClientError> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match trust {
            Trust::System => verifier(system_roots()?, &provider)?,
            Trust::Authorities(authorities) => verifier(given_roots(authorities)?, &provider)?,
            Trust::Anyone => Arc::new(Anyone(Arc::clone(&provider))),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// Speaks TLS on `stream` with a peer that must have a certificate for `host`, a name or an address without a port.
    /// A name is also sent (SNI, RFC 6066 section 3). There is no timeout here.
    ///
    /// # Errors
    /// With the reason, in words for an operator.
    pub async fn handshake<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| HandshakeError::Name(host.to_owned()))?;
        TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await.map_err(HandshakeError::of)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Whether `host` is a name or an address that a certificate can be for.
pub fn is_server_name(host: &str) -> bool {
    ServerName::try_from(host).is_ok()
}

/// When the certificate that the peer has shown ends; `None` when it shows none that says so.
pub fn certificate_end<S>(stream: &TlsStream<S>) -> Option<Timestamp> {
    let (_, connection) = stream.get_ref();
    let (_, certificate) = parse_x509_certificate(connection.peer_certificates()?.first()?).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

impl HandshakeError {
    fn of(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            None => Self::Connection(error),
            Some(rustls::Error::InvalidCertificate(fault)) => Self::Certificate(fault.clone()),
            Some(rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. }) => Self::NotTls,
            Some(other) => Self::Protocol(other.clone()),
        }
    }
}

fn verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, ClientError> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder.build().map_err(|error| ClientError::NoRoots(Some(error.to_string())))
}

fn system_roots() -> Result<RootCertStore, ClientError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system may hold a few that are too old to be understood; the others count.
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    match taken {
        0 => Err(ClientError::NoRoots(found.errors.first().map(ToString::to_string))),
        _ => Ok(roots),
    }
}

fn given_roots(authorities: &Authorities) -> Result<RootCertStore, ClientError> {
    let fault = |reason: String| ClientError::Authorities { file: authorities.file().to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities.pem().as_bytes()) {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    Ok(roots)
}

/// Believes every certificate, but not who does not have its key: what was encrypted stays between two.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn reason(found: &Option<String>) -> String {
    found.as_ref().map_or_else(String::new, |found| format!(": {found}"))
}

/// What is wrong with a certificate, in a few words.
struct Words<'a>(&'a CertificateError);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use CertificateError as E;
        match self.0 {
            E::Expired | E::ExpiredContext { .. } => f.write_str("expired"),
            E::NotValidYet | E::NotValidYetContext { .. } => f.write_str("not valid yet"),
            E::UnknownIssuer => f.write_str("by an authority that is not trusted"),
            E::NotValidForName => f.write_str("for another name"),
            E::NotValidForNameContext { expected, presented } => {
                write!(f, "not for {}", expected.to_str())?;
                // It may name hundreds, each as `DnsName("…")`.
                let first = presented.first().map(|first| first.split('"').nth(1).unwrap_or(first));
                first.map_or(Ok(()), |first| write!(f, ", but for {first}"))
            }
            // Which rustls has no word for: it hands on the name that the verifier beneath it has.
            E::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
                f.write_str("marked as an authority's (CA:TRUE), not as a server's")
            }
            other => write!(f, "not valid: {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use jiff::SignedDuration;
    use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const DAYS: SignedDuration = SignedDuration::from_hours(240);

    fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A server for `name` whose certificate, signed by `issuer`, ends in `left` from now.
    fn server(issuer: &CertifiedIssuer<'_, KeyPair>, name: &str, left: SignedDuration) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = (SystemTime::now() - Duration::from_hours(2400)).into();
        params.not_after = SystemTime::from(Timestamp::now() + left).into();
        let key = KeyPair::generate().unwrap();
        acceptor(&params.signed_by(&key, issuer).unwrap(), &key)
    }

    fn acceptor(certificate: &Certificate, key: &KeyPair) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"dot".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    async fn handshake(client: &Client, server: TlsAcceptor) -> Result<TlsStream<DuplexStream>, String> {
        let (near, far) = duplex(65_536);
        let serve = async { server.accept(far).await.map(drop) };
        let (stream, _) = tokio::join!(client.handshake("www.example.test", near), serve);
        stream.map_err(|error| error.to_string())
    }

    fn trusting(issuer: &CertifiedIssuer<'_, KeyPair>) -> Client {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        let trust = Trust::Authorities(Authorities::load(&folder.path().join("ca.pem")).unwrap());
        Client::new(&trust, &[b"dot"]).unwrap()
    }

    #[tokio::test]
    async fn a_certificate_of_the_given_authority_is_believed_and_says_when_it_ends() {
        let issuer = authority("ours");
        let stream = handshake(&trusting(&issuer), server(&issuer, "www.example.test", DAYS)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"dot"[..]));
        let left = certificate_end(&stream).unwrap().duration_since(Timestamp::now());
        assert!((239..=240).contains(&left.as_hours()), "{left:?}");
    }

    #[tokio::test]
    async fn other_certificates_are_refused_in_words() {
        let issuer = authority("ours");
        let client = trusting(&issuer);
        for (server, words) in [
            (
                server(&authority("another"), "www.example.test", DAYS),
                "certificate by an authority that is not trusted",
            ),
            (server(&issuer, "www.example.test", -DAYS), "certificate expired"),
            (
                server(&issuer, "api.example.test", DAYS),
                "certificate not for www.example.test, but for api.example.test",
            ),
        ] {
            assert_eq!(handshake(&client, server).await.map(drop), Err(words.to_owned()));
        }
        let system = Client::new(&Trust::System, &[]);
        if let Ok(system) = system {
            let refused = handshake(&system, server(&issuer, "www.example.test", DAYS)).await.map(drop);
            assert_eq!(refused, Err("certificate by an authority that is not trusted".to_owned()));
        }
    }

    /// As `openssl req -x509` makes it when it is told nothing else, and however it is trusted.
    #[tokio::test]
    async fn a_server_that_shows_the_certificate_of_an_authority_is_refused_in_words() {
        let mut params = CertificateParams::new(vec!["www.example.test".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let words = "certificate marked as an authority's (CA:TRUE), not as a server's";
        for client in [trusting(&own), trusting(&authority("another"))] {
            assert_eq!(handshake(&client, acceptor(own.as_ref(), own.key())).await.map(drop), Err(words.to_owned()));
        }
    }

    #[tokio::test]
    async fn anyone_is_believed_when_the_operator_says_so() {
        let client = Client::new(&Trust::Anyone, &[]).unwrap();
        let stream = handshake(&client, server(&authority("another"), "other.test", -DAYS)).await.unwrap();
        assert!(certificate_end(&stream).unwrap() < Timestamp::now());
    }

    #[tokio::test]
    async fn what_is_no_tls_is_told_from_a_peer_that_hangs_up() {
        let client = Client::new(&Trust::Anyone, &[]).unwrap();
        let (near, mut far) = duplex(65_536);
        far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        assert!(matches!(client.handshake("a.test", near).await, Err(HandshakeError::NotTls)));
        let (near, far) = duplex(65_536);
        drop(far);
        assert!(matches!(client.handshake("a.test", near).await, Err(HandshakeError::Connection(_))));
        let (near, _far) = duplex(65_536);
        assert!(matches!(client.handshake("a b", near).await, Err(HandshakeError::Name(_))));
    }

    #[test]
    fn a_file_without_a_certificate_that_can_be_used_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        let trust = Trust::Authorities(Authorities::load(file.path()).unwrap());
        assert!(matches!(Client::new(&trust, &[]), Err(ClientError::Authorities { .. })));
    }
}
