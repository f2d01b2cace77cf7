//! One process takes over from another at every door: plain and portable, TLS, HTTPS and QUIC.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::doors::{Doors, by_frames, by_http, by_quic_as, by_udp, connect};
use crate::harness::eventually;
use crate::restart::Restarted;

/// What a restart reads again, as the first process had it on its command line.
const SETTINGS: &str = "listen = [\"127.0.0.1:0\"]\nadmin.listen = \"off\"\n";
/// `www.example.test A`.
const QUERY: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01";

#[derive(Clone, Copy, Debug)]
enum Door {
    Udp,
    Tcp,
    Tls,
    Https,
    Quic,
}

const DOORS: [Door; 5] = [Door::Udp, Door::Tcp, Door::Tls, Door::Https, Door::Quic];

/// Where the doors are, and what who comes in by them believes.
#[derive(Clone)]
struct Clients {
    plain: SocketAddr,
    tls: (SocketAddr, Arc<ClientConfig>),
    https: (SocketAddr, Arc<ClientConfig>),
    quic: (SocketAddr, ClientConfig),
}

impl Clients {
    fn of(doors: &Doors) -> Self {
        Self {
            plain: doors.server.client.0,
            tls: (doors.tls, Arc::new(doors.client(b"dot"))),
            https: (doors.https, Arc::new(doors.client(b"h2"))),
            quic: (doors.quic, doors.client(b"doq")),
        }
    }

    /// Asks on a new connection, which must be answered.
    async fn ask(&self, door: Door) {
        let queries = [QUERY.to_vec()];
        let replies = match door {
            Door::Udp => {
                let (plain, queries) = (self.plain, queries.clone());
                tokio::task::spawn_blocking(move || by_udp(plain, &queries)).await.expect("a reply")
            }
            Door::Tcp => by_frames(TcpStream::connect(self.plain).await.expect("a connection"), &queries).await,
            Door::Tls => by_frames(connect(self.tls.0, &self.tls.1).await, &queries).await,
            Door::Https => by_http(connect(self.https.0, &self.https.1).await, &queries).await,
            Door::Quic => by_quic_as(self.quic.0, self.quic.1.clone(), &queries).await,
        };
        // NOERROR, and the two addresses.
        assert_eq!((replies[0][3] & 15, &replies[0][6..8]), (0, &[0, 2][..]), "{door:?}");
    }
}

async fn every_door_passes_on(doors: Doors) {
    let (clients, over) = (Clients::of(&doors), Arc::new(AtomicBool::new(false)));
    let counts: Arc<[AtomicU32; 5]> = Arc::default();
    let mut askers = JoinSet::new();
    for (index, door) in DOORS.into_iter().enumerate() {
        let (clients, over, counts) = (clients.clone(), Arc::clone(&over), Arc::clone(&counts));
        askers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                clients.ask(door).await;
                counts[index].fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let all_ask = |since: [u32; 5]| {
        let has_asked = |index: usize| counts[index].load(Ordering::Relaxed) > since[index] + 1;
        eventually("somebody is answered at every door", || (0..5).all(has_asked).then_some(()));
    };
    let second = tokio::task::block_in_place(|| {
        all_ask([0; 5]);
        let first = doors.server.pid();
        let restarted = doors.server.kofn(&["restart"]);
        assert_eq!(restarted.code, 0, "{restarted:?}");
        let second = Restarted::of(&doors.server);
        assert_ne!(u64::from(first), second.0);
        all_ask(std::array::from_fn(|index| counts[index].load(Ordering::Relaxed)));
        second
    });
    over.store(true, Ordering::Relaxed);
    while let Some(asker) = askers.join_next().await {
        asker.expect("every query was answered");
    }
    // With the old process gone, only the new one is left to answer.
    let (ended, _scratch) = tokio::task::block_in_place(|| doors.server.wait());
    assert_eq!(ended.code(), Some(0), "the old process");
    for door in DOORS {
        clients.ask(door).await;
    }
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_door_passes_on_and_no_query_is_lost() {
    every_door_passes_on(Doors::open(SETTINGS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_portable_door_passes_on_with_the_others() {
    every_door_passes_on(Doors::open(&format!("door = \"portable\"\n{SETTINGS}"))).await;
}
