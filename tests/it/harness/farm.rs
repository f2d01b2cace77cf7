//! Backends that can be killed: HTTP, in the clear or over TLS, on one port of several loopback addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
#[cfg(feature = "encrypted")]
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
#[cfg(feature = "encrypted")]
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
#[cfg(feature = "encrypted")]
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
#[cfg(feature = "encrypted")]
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
#[cfg(feature = "encrypted")]
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The backends of a test. Each has a runtime of its own, so that killing one cuts its open connections, too.
pub(crate) struct Farm {
    pub(crate) port: u16,
    /// What each of them does with its listener.
    serve: Serve,
    backends: Vec<(IpAddr, Option<Runtime>)>,
}

type Serve = fn(TcpListener) -> Pin<Box<dyn Future<Output = ()> + Send>>;

impl Farm {
    /// Backends on 127.0.`net`.1 and up, all on one port that the system chose for the first.
    pub(crate) fn start(net: u8, count: u8) -> Self {
        Self::serving(net, count, |listener| Box::pin(plain(listener)))
    }

    /// The same over TLS, each by a certificate of its own.
    #[cfg(feature = "encrypted")]
    pub(crate) fn start_encrypted(net: u8, count: u8) -> Self {
        Self::serving(net, count, |listener| Box::pin(encrypted(listener)))
    }

    fn serving(net: u8, count: u8, serve: Serve) -> Self {
        let mut farm = Self { port: 0, serve, backends: Vec::new() };
        for host in 1..=count {
            let address = IpAddr::from(Ipv4Addr::new(127, 0, net, host));
            let (runtime, bound) = farm.run(SocketAddr::new(address, farm.port));
            farm.port = bound.port();
            farm.backends.push((address, Some(runtime)));
        }
        farm
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.backends.iter().map(|(address, _)| *address).collect()
    }

    /// Kills the backend at `index` and returns its address.
    pub(crate) fn kill(&mut self, index: usize) -> IpAddr {
        let (address, runtime) = &mut self.backends[index];
        runtime.take().expect("a running backend").shutdown_timeout(Duration::from_secs(5));
        *address
    }

    pub(crate) fn revive(&mut self, index: usize) {
        let (runtime, _) = self.run(SocketAddr::new(self.backends[index].0, self.port));
        self.backends[index].1 = Some(runtime);
    }

    fn run(&self, address: SocketAddr) -> (Runtime, SocketAddr) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(address)).expect("a port on a loopback address");
        let bound = listener.local_addr().expect("its address");
        runtime.spawn((self.serve)(listener));
        (runtime, bound)
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        for runtime in self.backends.iter_mut().filter_map(|(_, runtime)| runtime.take()) {
            runtime.shutdown_background();
        }
    }
}

async fn plain(listener: TcpListener) {
    let routes = Router::new().route("/healthz", get(|| async { "ok\n" }));
    axum::serve(listener, routes).await.expect("it serves until its runtime ends");
}

#[cfg(feature = "encrypted")]
async fn encrypted(listener: TcpListener) {
    let made = rcgen::generate_simple_self_signed(vec!["farm.test".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring speaks them").with_no_client_auth();
    let config = builder.with_single_cert(vec![made.cert.der().clone()], key).expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        // Each ends when the prober hangs up.
        tokio::spawn(async move { answer_all(acceptor.accept(stream).await?).await });
    }
}

#[cfg(feature = "encrypted")]
async fn answer_all(mut stream: TlsStream<TcpStream>) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        request.push(stream.read_u8().await?);
        if request.ends_with(b"\r\n\r\n") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await?;
            request.clear();
        }
    }
}
