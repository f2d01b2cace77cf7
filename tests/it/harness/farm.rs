//! Backends that can be killed: HTTP on one port of several loopback addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The backends of a test. Each has a runtime of its own, so that killing one cuts its open connections, too.
pub(crate) struct Farm {
    pub(crate) port: u16,
    backends: Vec<(IpAddr, Option<Runtime>)>,
}

impl Farm {
    /// Backends on 127.0.`net`.1 and up, all on one port that the system chose for the first.
    pub(crate) fn start(net: u8, count: u8) -> Self {
        let mut farm = Self { port: 0, backends: Vec::new() };
        for host in 1..=count {
            let address = IpAddr::from(Ipv4Addr::new(127, 0, net, host));
            let (runtime, bound) = serve(SocketAddr::new(address, farm.port));
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
        let (address, runtime) = &mut self.backends[index];
        *runtime = Some(serve(SocketAddr::new(*address, self.port)).0);
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        for runtime in self.backends.iter_mut().filter_map(|(_, runtime)| runtime.take()) {
            runtime.shutdown_background();
        }
    }
}

fn serve(address: SocketAddr) -> (Runtime, SocketAddr) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind(address)).expect("a port on a loopback address");
    let bound = listener.local_addr().expect("its address");
    let routes = Router::new().route("/healthz", get(|| async { "ok\n" }));
    runtime.spawn(async move { axum::serve(listener, routes).await });
    (runtime, bound)
}
