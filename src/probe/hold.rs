//! Connections that outlive their probe, so that a member that breaks one is noticed at once.

use std::collections::HashMap;
use std::pin::Pin;

use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};

use super::http::Sender;
use super::schedule::ProbeId;

/// What a probe leaves open.
pub(super) enum Kept {
    /// Nothing.
    Nothing,
    /// What it was given: the connection of the probe before.
    Same(Sender),
    /// A connection of its own.
    Fresh {
        /// Asks the next question on it, when it can be asked there.
        sender: Option<Sender>,
        /// Drives it until the peer ends it.
        closed: Closed,
    },
}

/// Ends when the peer has closed or reset a connection; who drops it closes the connection.
pub(super) type Closed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The connections that are held, at most one a probe.
#[derive(Debug, Default)]
pub(super) struct Holds {
    open: HashMap<ProbeId, Hold>,
    watches: JoinSet<ProbeId>,
}

#[derive(Debug)]
struct Hold {
    watch: AbortHandle,
    sender: Option<Sender>,
}

impl Holds {
    /// What the next question is asked on.
    pub(super) fn sender(&mut self, probe: ProbeId) -> Option<Sender> {
        self.open.get_mut(&probe)?.sender.take()
    }

    /// Holds what a probe has left, and lets go of what was held for it before. Returns whether it is open still, as far
    /// as is known; there is nothing that could break when nothing is left.
    pub(super) fn keep(&mut self, probe: ProbeId, kept: Kept) -> bool {
        match kept {
            Kept::Nothing => self.let_go(probe),
            Kept::Same(sender) => match self.open.get_mut(&probe) {
                Some(hold) => hold.sender = Some(sender),
                None => return false,
            },
            Kept::Fresh { sender, closed } => {
                self.let_go(probe);
                let watch = self.watches.spawn(async move {
                    closed.await;
                    probe
                });
                self.open.insert(probe, Hold { watch, sender });
            }
        }
        true
    }

    pub(super) fn let_go(&mut self, probe: ProbeId) {
        if let Some(hold) = self.open.remove(&probe) {
            hold.watch.abort();
        }
    }

    /// Waits until a peer has broken a connection that is held.
    pub(super) async fn broken(&mut self) -> ProbeId {
        loop {
            match self.watches.join_next_with_id().await {
                Some(Ok((task, probe))) if self.open.get(&probe).is_some_and(|hold| hold.watch.id() == task) => {
                    self.open.remove(&probe);
                    return probe;
                }
                // It was let go.
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

/// Reads what the peer says unasked, and ends when the peer does. A peer that never stops talking is not listened to for
/// ever: its end is then left to the next probe.
pub(super) async fn closed(stream: TcpStream) {
    const READ_AT_MOST: usize = 64 * 1024;
    let (mut read, mut buffer) = (0, [0; 256]);
    while read < READ_AT_MOST {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(octets) => read += octets,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    fn fresh(stream: TcpStream) -> Kept {
        Kept::Fresh { sender: None, closed: Box::pin(closed(stream)) }
    }

    #[tokio::test]
    async fn who_breaks_its_connection_is_told() {
        let mut holds = Holds::default();
        let (first, second) = (ProbeId::of(1), ProbeId::of(2));
        let ((one, far_one), (two, far_two)) = (pair().await, pair().await);
        assert!(holds.keep(first, fresh(one)) && holds.keep(second, fresh(two)));
        far_two.set_zero_linger().unwrap();
        drop(far_two);
        assert_eq!(holds.broken().await, second);
        drop(far_one);
        assert_eq!(holds.broken().await, first);
    }

    #[tokio::test]
    async fn what_was_replaced_or_let_go_is_not_told() {
        let mut holds = Holds::default();
        let (first, second) = (ProbeId::of(1), ProbeId::of(2));
        let ((old, far_old), (new, far_new), (other, far_other)) = (pair().await, pair().await, pair().await);
        holds.keep(first, fresh(old));
        holds.keep(first, fresh(new));
        holds.keep(second, fresh(other));
        holds.keep(second, Kept::Nothing);
        drop((far_old, far_other));
        drop(far_new);
        assert_eq!(holds.broken().await, first);
        assert!(holds.open.is_empty());
    }

    #[tokio::test]
    async fn what_a_peer_says_unasked_is_read_and_its_end_is_seen() {
        let (near, mut far) = pair().await;
        far.write_all(b"220 ready\r\n").await.unwrap();
        drop(far);
        closed(near).await;
    }
}
