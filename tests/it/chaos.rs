//! Fifty backends that die, hang, flap, answer wrong, step aside and come back, by a seed: after each step the answers
//! hold whom the model says, and no query goes unanswered.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use hickory_proto::rr::RecordType;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

use crate::harness::{Client, Scratch, Server, addresses, eventually};

const BACKENDS: u8 = 50;
const STEPS: usize = 8;
/// Backends that change in a step.
const CHANGES: usize = 8;
const SEED: u64 = 5;

/// What a backend does. Only those that are well belong into the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Well,
    Wrong,
    Hangs,
    Flaps,
    Aside,
    Dead,
}

const MOODS: [Mood; 6] = [Mood::Well, Mood::Wrong, Mood::Hangs, Mood::Flaps, Mood::Aside, Mood::Dead];

struct Backend {
    address: SocketAddr,
    mood: Arc<AtomicU8>,
    listening: Option<JoinHandle<()>>,
}

impl Backend {
    fn start(address: SocketAddr, runtime: &Handle) -> Self {
        let mut backend = Self { address, mood: Arc::new(AtomicU8::new(Mood::Well as u8)), listening: None };
        backend.listen(runtime);
        backend
    }

    fn listen(&mut self, runtime: &Handle) {
        let listener = eventually("the port is free", || runtime.block_on(TcpListener::bind(self.address)).ok());
        self.address = listener.local_addr().expect("its address");
        let mood = Arc::clone(&self.mood);
        self.listening = Some(runtime.spawn(async move {
            let mut number = 0_usize;
            while let Ok((stream, _)) = listener.accept().await {
                number += 1;
                tokio::spawn(answer(stream, MOODS[usize::from(mood.load(Ordering::Relaxed))], number));
            }
        }));
    }

    fn turn(&mut self, mood: Mood, runtime: &Handle) {
        self.mood.store(mood as u8, Ordering::Relaxed);
        match (mood, self.listening.take()) {
            (Mood::Dead, Some(listening)) => listening.abort(),
            (Mood::Dead, None) => {}
            (_, Some(listening)) => self.listening = Some(listening),
            (_, None) => self.listen(runtime),
        }
    }
}

async fn answer(mut stream: TcpStream, mood: Mood, number: usize) {
    let mut request = [0; 1024];
    if !matches!(stream.read(&mut request).await, Ok(1..)) {
        return;
    }
    let said: &[u8] = match mood {
        Mood::Well => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Mood::Flaps if number.is_multiple_of(2) => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Mood::Aside => b"HTTP/1.1 200 OK\r\nx-kofn: drain\r\nContent-Length: 2\r\n\r\nok",
        Mood::Wrong | Mood::Flaps | Mood::Dead => b"HTTP/1.1 500 Wrong\r\nContent-Length: 0\r\n\r\n",
        // Until the prober hangs up.
        Mood::Hangs => {
            let _ = stream.read(&mut request).await;
            return;
        }
    };
    // The prober may be gone.
    let _ = stream.write_all(said).await;
}

fn zone(backends: &[Backend]) -> Scratch {
    let scratch = Scratch::new();
    let members: String = backends.iter().map(|backend| format!("www A {}\n", backend.address.ip())).collect();
    let head = "$TTL 60\n@ SOA ns1 hostmaster 1 2 3 4 5\n@ NS ns1\nns1 A 127.0.0.1\n";
    scratch.write("zones/chaos.test.zone", &format!("{head}{members}"));
    let port = backends[0].address.port();
    let check = format!(
        "[check.web]\ntype = \"http\"\nport = {port}\nbody = \"ok\"\ninterval = \"500ms\"\nfast_interval = \"100ms\"\n\
         fall = 2\nrise = 2\n"
    );
    let pool = "[pool.www]\nspread = \"all\"\npanic = 0\nslow_start = 0\ncheck = \"web\"\n";
    scratch.write("zones/chaos.test.toml", &format!("{check}{pool}"));
    scratch
}

/// Whom an answer holds; by TCP, for fifty do not fit into 512 octets.
fn dealt(client: &Client) -> BTreeSet<IpAddr> {
    addresses(&client.ask_tcp("www.chaos.test.", RecordType::A)).into_iter().collect()
}

#[test]
fn the_answers_hold_whom_the_model_says_and_no_query_is_lost() {
    let runtime = Runtime::new().expect("a runtime");
    let mut backends: Vec<Backend> = Vec::new();
    for host in 1..=BACKENDS {
        let port = backends.first().map_or(0, |first| first.address.port());
        let address = SocketAddr::new(IpAddr::from(Ipv4Addr::new(127, 0, 66, host)), port);
        backends.push(Backend::start(address, runtime.handle()));
    }
    let server = Server::start(zone(&backends));
    let (client, stopped, asked) = (server.client, AtomicBool::new(false), AtomicUsize::new(0));
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut moods = vec![Mood::Well; usize::from(BACKENDS)];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) {
                // Panics when there is no reply.
                assert!(!dealt(&client).is_empty(), "an answer of nobody");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let stop = Stop(&stopped);
        for step in 0..STEPS {
            for _ in 0..CHANGES {
                // The first is always well, for a pool of nobody hands out something else.
                let (number, mood) = (random.random_range(1..moods.len()), MOODS[random.random_range(0..MOODS.len())]);
                moods[number] = mood;
                backends[number].turn(mood, runtime.handle());
            }
            let well = backends.iter().zip(&moods).filter(|(_, mood)| **mood == Mood::Well);
            let model: BTreeSet<IpAddr> = well.map(|(backend, _)| backend.address.ip()).collect();
            let served = || dealt(&client);
            eventually(&format!("step {step} of seed {SEED}: {moods:?}"), || (served() == model).then_some(()));
            for _ in 0..20 {
                assert_eq!(served(), model, "step {step} of seed {SEED}: whom the model has was served and is not");
            }
        }
        drop(stop);
    });
    assert!(asked.load(Ordering::Relaxed) > 100);
}

/// Stops the asking, also when a step has failed.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
