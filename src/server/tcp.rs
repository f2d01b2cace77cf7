//! A TCP worker: one thread with a runtime of its own, a listener for each address, a task for each connection. What is
//! spoken over a connection is its [`Service`].
//!
//! The kernel spreads connections over the listeners of a port. Tasks never change threads, so all connections of a worker
//! share one engine and one pair of buffers without a lock: a connection holds memory of its own only while half a query
//! has arrived, or while its client does not read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use super::defer::Clerk;
use super::desk::{self, Desk};
use super::engine::Engine;
use super::limit::Limit;
use super::proxy::{self, Malformed, Trusted};
use super::service::Service;
use super::stream::{Ending, Stream};
use super::watch::Ends;
use crate::metrics::ConnectionEvent;

/// How long clients may take to read their last replies when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// The pause after the kernel had no connection to give: long enough to let others close, short beside a client's patience.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One thread's doors.
pub(super) struct Worker {
    runtime: Runtime,
    doors: Vec<Doors>,
}

/// The listeners of one transport, and what is spoken with whoever comes in.
pub(super) struct Doors {
    pub(super) listeners: Vec<StdListener>,
    pub(super) engine: Engine,
    pub(super) service: Service,
    pub(super) limit: Arc<Limit>,
    pub(super) idle: Duration,
    pub(super) proxies: Trusted,
}

impl Worker {
    pub(super) fn new(doors: Vec<Doors>) -> io::Result<Self> {
        Ok(Self { runtime: Builder::new_current_thread().enable_all().build()?, doors })
    }

    /// Answers until the other end of `stop` is dropped; from its first word on only those who are connected by then.
    pub(super) fn run(self, clerk: &Arc<Clerk>, stop: &watch::Receiver<()>) {
        let tasks = LocalSet::new();
        self.runtime.block_on(tasks.run_until(async {
            let mut open = JoinSet::new();
            for Doors { listeners, engine, service, limit, idle, proxies } in self.doors {
                let desk = Rc::new(RefCell::new(Desk::new(engine, Arc::clone(clerk))));
                tokio::task::spawn_local(desk::follow(Rc::clone(&desk)));
                for listener in listeners {
                    let listener =
                        TcpListener::from_std(listener).expect("a runtime of this thread drives its sockets");
                    let (desk, limit, service) = (Rc::clone(&desk), Arc::clone(&limit), service.clone());
                    let proxies = proxies.clone();
                    let connections = JoinSet::new();
                    let endings = HashMap::new();
                    let door = Door { listener, desk, service, limit, idle, proxies, connections, endings };
                    open.spawn_local(door.serve(stop.clone()));
                }
            }
            open.join_all().await;
        }));
    }
}

/// One listener and the connections that came through it.
struct Door {
    listener: TcpListener,
    desk: Rc<RefCell<Desk>>,
    service: Service,
    limit: Arc<Limit>,
    idle: Duration,
    proxies: Trusted,
    connections: JoinSet<()>,
    /// To end the connections by; each is its task's own, and closed with it.
    endings: HashMap<Id, Ending>,
}

impl Door {
    async fn serve(mut self, mut stop: watch::Receiver<()>) {
        let stays = loop {
            tokio::select! {
                changed = stop.changed() => break changed.is_ok(),
                Some(ended) = self.connections.join_next_with_id() => self.forget(ended),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.open(stream, peer),
                    Err(error) if is_of_the_connection(&error) => {}
                    Err(_) => {
                        self.desk.borrow().event(ConnectionEvent::AcceptFailed);
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        };
        self.close(stays.then_some(stop)).await;
    }

    /// A connection over the limit is closed at once: the client learns it now, and may ask another server. Whose it is a
    /// trusted proxy says first.
    fn open(&mut self, stream: TcpStream, peer: SocketAddr) {
        // A connection that is gone already has no address, and will not ask.
        let Ok(local) = stream.local_addr() else { return };
        let (mut stream, limit) = (Stream::new(stream), Arc::clone(&self.limit));
        let ending = stream.ending();
        let (service, desk, idle) = (self.service.clone(), Rc::clone(&self.desk), self.idle);
        let task = if self.proxies.holds(peer) {
            self.desk.borrow().event(ConnectionEvent::Accepted);
            self.connections.spawn_local(async move {
                match proxy::take(&mut stream, peer, service.is_encrypted()).await {
                    Ok(Some(client)) => {
                        let Some(_place) = limit.admit(client.ip()) else {
                            desk.borrow().event(ConnectionEvent::Refused);
                            return;
                        };
                        service.serve(stream, Ends { client, local }, None, desk, idle).await;
                    }
                    Ok(None) => service.serve(stream, Ends { client: peer, local }, Some(limit), desk, idle).await,
                    Err(Malformed) => desk.borrow().event(ConnectionEvent::ProxyMalformed),
                }
            })
        } else {
            let Some(place) = limit.admit(peer.ip()) else {
                self.desk.borrow().event(ConnectionEvent::Refused);
                return;
            };
            self.desk.borrow().event(ConnectionEvent::Accepted);
            self.connections.spawn_local(async move {
                service.serve(stream, Ends { client: peer, local }, None, desk, idle).await;
                drop(place);
            })
        };
        self.endings.insert(task.id(), ending);
    }

    fn forget(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.endings.remove(&id);
        self.desk.borrow().event(ConnectionEvent::Closed);
    }

    /// Lets every connection find its end after what has been received: the same end as if the client had sent no more. If
    /// another process takes the new connections, those that are here have until `stop` ends to find their own.
    async fn close(mut self, stop: Option<watch::Receiver<()>>) {
        drop(self.listener);
        if let Some(mut stop) = stop {
            loop {
                tokio::select! {
                    // The other end is dropped.
                    _ = stop.changed() => break,
                    ended = self.connections.join_next() => match ended {
                        Some(_) => self.desk.borrow().event(ConnectionEvent::Closed),
                        None => return,
                    },
                }
            }
        }
        self.endings.values().for_each(Ending::end);
        let all = async {
            while self.connections.join_next().await.is_some() {
                self.desk.borrow().event(ConnectionEvent::Closed);
            }
        };
        // Who does not read by then is cut off when the tasks are dropped.
        let _ = timeout(STOP_PATIENCE, all).await;
        for _ in 0..self.connections.len() {
            self.desk.borrow().event(ConnectionEvent::Closed);
        }
    }
}

/// Whether an error of accept speaks of one connection, which has gone, and not of us.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, NetworkDown, NetworkUnreachable, TimedOut};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | NetworkDown | NetworkUnreachable | TimedOut
    )
}
