//! The `tcp` check: a connection is made, and closed or held.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::failure::{Deadline, Failure, Phase};
use super::hold::{Kept, closed};
use crate::config::TcpCheck;

/// Connects to `address`, which is all that it takes to pass.
pub(super) async fn probe(address: IpAddr, check: &TcpCheck, deadline: Deadline) -> Result<Kept, Failure> {
    let stream = connect(SocketAddr::new(address, check.port), deadline).await?;
    Ok(match check.hold {
        true => Kept::Fresh { sender: None, closed: Box::pin(closed(stream)) },
        false => Kept::Nothing,
    })
}

/// Connects to `target`.
pub(super) async fn connect(target: SocketAddr, deadline: Deadline) -> Result<TcpStream, Failure> {
    deadline.bound(Phase::Connection, TcpStream::connect(target)).await?.map_err(Failure::Connection)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_port_that_listens_passes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        connect(target, Deadline::after(LONG)).await.expect("a connection");
    }

    #[tokio::test]
    async fn a_port_that_is_closed_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        drop(listener);
        let failure = connect(target, Deadline::after(LONG)).await.expect_err("nobody listens");
        assert_eq!(failure.to_string(), "connection refused");
    }
}
