//! The worker threads: started together, stopped together.

use std::io::{self, PipeWriter};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use socket2::Socket;
use tokio::sync::watch;
use tracing::warn;

use super::bind::Bound;
use super::defer::{Clerk, Handoff};
use super::engine::Parts;
#[cfg(feature = "portable")]
use super::hickory::{self, Adapter};
use super::late;
use super::limit::Limit;
use super::proxy::Trusted;
use super::service::Service;
use super::tcp::{self, Doors};
#[cfg(all(target_os = "linux", not(without_batch)))]
use super::udp;
use super::vitals::Vitals;
use crate::config::Door;
use crate::metrics::{Counters, Registry, Transport};
use crate::processor;
use crate::snapshot::Reader;

impl Bound {
    /// Starts the workers: from now on queries are answered; by QUIC from when this process is the only one that does.
    ///
    /// # Errors
    /// When the system gives no more threads or file descriptors.
    pub fn run(self, reader: &Reader, registry: &Registry, handoff: Handoff) -> io::Result<Running> {
        processor::share();
        let (asleep, wake) = io::pipe()?;
        let (end, stop) = watch::channel(());
        let limit = Arc::new(Limit::new(self.limits.tcp_connections, self.limits.tcp_per_prefix));
        let taps = Arc::clone(&handoff.taps);
        #[cfg(feature = "encrypted")]
        let ours = handoff.ours.clone();
        let parts = Parts { reader, registry, taps: &taps };
        let clerk = Arc::new(Clerk::new(reader.clone(), handoff, self.limits.transfers_out));
        let proxies = Trusted::new(&self.proxies);
        let mut running =
            Running { ends: (wake, end), threads: Vec::new(), lingering: Vec::new(), vitals: Vitals::default() };
        let (queue, late) = late::Worker::new(Arc::clone(&clerk), parts.engine(Transport::Udp));
        running.start("late".into(), None, None, move || late.run())?;
        for (index, sockets) in self.workers.into_iter().enumerate() {
            let place = self.processors.get(index).copied();
            let (queue, proxies, size) = (queue.clone(), proxies.clone(), usize::from(self.limits.udp_payload));
            let service = match self.door {
                #[cfg(all(target_os = "linux", not(without_batch)))]
                Door::Batch => {
                    let (stop, patience, trusted) = (asleep.try_clone()?, self.udp.busy_poll, proxies.clone());
                    let engine = parts.engine(Transport::Udp);
                    let post = post(&sockets.udp, engine.counters())?;
                    let worker = udp::Worker::new(sockets.udp, engine, queue, trusted, size, patience);
                    running.start(format!("udp-{index}"), place, Some(post), move || worker.run(&stop))?;
                    Service::Plain
                }
                #[cfg(feature = "portable")]
                Door::Portable => {
                    let adapter = |transport, size| Adapter::new(parts.engine(transport), Arc::clone(&clerk), size);
                    let stop = stop.clone();
                    let adapted = adapter(Transport::Udp, size);
                    let worker = hickory::Worker::new(sockets.udp, adapted, &queue, &proxies)?;
                    // What waits at its sockets may be another worker's to take.
                    running.start(format!("udp-{index}"), place, None, move || worker.run(&stop))?;
                    Service::Portable(Arc::new(adapter(Transport::Tcp, usize::from(u16::MAX))))
                }
                #[cfg(not(all(target_os = "linux", not(without_batch))))]
                Door::Batch => unreachable!("settings name a door that was built"),
                #[cfg(not(feature = "portable"))]
                Door::Portable => unreachable!("settings name a door that was built"),
            };
            let (limit, idle) = (Arc::clone(&limit), self.limits.tcp_idle);
            let (listeners, engine) = (sockets.tcp, parts.engine(Transport::Tcp));
            let worker = tcp::Worker::new(vec![Doors { listeners, engine, service, limit, idle, proxies }])?;
            let (stop, clerk) = (stop.clone(), Arc::clone(&clerk));
            running.start(format!("tcp-{index}"), place, None, move || worker.run(&clerk, &stop))?;
            running.last_lingers();
        }
        drop(asleep);
        #[cfg(feature = "encrypted")]
        for (name, lingers, work) in self.encrypted.threads(parts, &proxies, &ours)? {
            let (stop, clerk) = (stop.clone(), Arc::clone(&clerk));
            running.start(name, None, None, move || work(&clerk, &stop))?;
            if lingers {
                running.last_lingers();
            }
        }
        Ok(running)
    }
}

/// What a worker takes queries from, and what it counts them in.
type Post = (Vec<Socket>, Arc<Counters>);

#[cfg(all(target_os = "linux", not(without_batch)))]
fn post(sockets: &[Socket], counters: &Arc<Counters>) -> io::Result<Post> {
    let sockets = sockets.iter().map(Socket::try_clone).collect::<io::Result<_>>()?;
    Ok((sockets, Arc::clone(counters)))
}

/// The workers at work. They end when this is dropped; [`stop`](Running::stop) also waits for them.
#[derive(Debug)]
pub struct Running {
    /// Dropped, they tell the workers to end: those that wait for the system see the pipe closed, all others the channel.
    ends: (PipeWriter, watch::Sender<()>),
    threads: Vec<JoinHandle<()>>,
    /// Those whose connections may outlive their listeners.
    lingering: Vec<JoinHandle<()>>,
    vitals: Vitals,
}

/// The connections that are left when another process has taken over.
#[derive(Debug)]
pub struct Rest {
    end: watch::Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    fn start(
        &mut self,
        name: String,
        place: Option<usize>,
        post: Option<Post>,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let life = self.vitals.watch(&name, post);
        let placed = move || {
            let _life = life;
            if let Some(Err(error)) = place.map(processor::stay_on) {
                warn!("a worker is not pinned: {error}");
            }
            work();
        };
        self.threads.push(thread::Builder::new().name(name).spawn(placed)?);
        Ok(())
    }

    fn last_lingers(&mut self) {
        self.lingering.extend(self.threads.pop());
    }

    /// Takes no more queries and connections: another process does. Returns when what has come in by UDP and QUIC is answered.
    /// Who is connected goes on. Blocks the calling thread.
    pub fn leave(self) -> Rest {
        let (awake, end) = self.ends;
        drop(awake);
        // Nobody to hear it is nobody to end.
        let _ = end.send(());
        join(self.threads);
        Rest { end, threads: self.lingering }
    }

    /// The signs of life of the workers; to be taken once.
    pub fn vitals(&mut self) -> Vitals {
        std::mem::take(&mut self.vitals)
    }

    /// Takes no more connections, answers what has been received, and returns when all is sent, or after a few seconds if
    /// clients will not read. Blocks the calling thread.
    pub fn stop(self) {
        drop(self.ends);
        join(self.threads);
        join(self.lingering);
    }
}

impl Rest {
    /// What ends the connections when it is dropped, and what blocks until all have ended.
    pub fn split(self) -> (watch::Sender<()>, impl FnOnce() + Send + 'static) {
        (self.end, move || join(self.threads))
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        // A worker that panicked has said so on its way out; the others are still to be waited for.
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::{Given, bind};
    use crate::config::Settings;
    use crate::metrics::{ConnectionEvent, Outcome, Totals};
    use crate::snapshot::{Facts, Publisher};

    struct Server {
        publisher: Arc<Publisher>,
        running: Running,
        registry: Registry,
        addresses: Vec<SocketAddr>,
    }

    impl Server {
        fn start(change: impl FnOnce(&mut Settings)) -> Self {
            Self::behind(Door::default(), change)
        }

        fn behind(door: Door, change: impl FnOnce(&mut Settings)) -> Self {
            let mut settings = Settings { listen: vec![loopback()], door, ..Settings::default() };
            // Not what ends a connection in a test of something else.
            settings.limits.tcp_idle = PATIENCE * 6;
            change(&mut settings);
            let bound = bind(&settings, &mut Given::default()).expect("free ports");
            let (registry, addresses) = (Registry::default(), bound.addresses().to_vec());
            let publisher = Publisher::new(Arc::new(settings), Facts::default());
            let running = bound.run(&publisher.reader(), &registry, Handoff::to_nobody()).expect("threads");
            Self { publisher, running, registry, addresses }
        }

        fn connect(&self) -> TcpStream {
            let stream = TcpStream::connect(self.addresses[0]).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("an option");
            stream
        }

        fn ask(&self, query: &[u8]) -> Vec<u8> {
            let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            client.set_read_timeout(Some(PATIENCE)).expect("an option");
            client.send_to(query, self.addresses[0]).expect("sent");
            let mut reply = [0; 4096];
            let octets = client.recv(&mut reply).expect("a reply");
            reply[..octets].to_vec()
        }

        /// Stops, and holds that every packet that came was counted by exactly one outcome.
        fn stop(self) -> Totals {
            self.running.stop();
            let totals = self.registry.totals();
            assert_eq!(totals.outcomes(), totals.received());
            assert_eq!(
                totals.connections(Transport::Tcp, ConnectionEvent::Accepted),
                totals.connections(Transport::Tcp, ConnectionEvent::Closed)
            );
            totals
        }
    }

    /// The doors of this program.
    fn doors() -> impl Iterator<Item = Door> {
        [Door::Batch, Door::Portable].into_iter().filter(|door| door.is_built())
    }

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// Long enough to never matter while a test passes.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// `www.example.test A`, in a class or zone that nobody serves.
    fn query(id: u16) -> Vec<u8> {
        let mut query = id.to_be_bytes().to_vec();
        query.extend(b"\x01\x00\x00\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01");
        query
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u16).to_be_bytes()[..], message].concat()
    }

    fn read_reply(stream: &mut TcpStream) -> Vec<u8> {
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("a length");
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply).expect("a reply");
        reply
    }

    fn id(message: &[u8]) -> u16 {
        u16::from_be_bytes([message[0], message[1]])
    }

    fn is_closed(stream: &mut TcpStream) -> bool {
        match stream.read(&mut [0; 1]) {
            Ok(octets) => octets == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    #[test]
    fn every_address_answers_by_udp_and_tcp_on_one_port() {
        for door in doors() {
            let server = Server::behind(door, |settings| {
                settings.listen =
                    ["127.0.0.1:0", "[::1]:0"].iter().map(|text| text.parse().expect("an address")).collect();
            });
            for address in &server.addresses {
                assert_ne!(address.port(), 0);
                let local = SocketAddr::new(address.ip(), 0);
                let client = UdpSocket::bind(local).expect("a free port");
                client.set_read_timeout(Some(PATIENCE)).expect("an option");
                client.send_to(&query(1), address).expect("sent");
                let mut reply = [0; 512];
                assert!(client.recv(&mut reply).expect("a reply") >= 12);
                assert_eq!(id(&reply), 1);
                let mut stream = TcpStream::connect(address).expect("a connection");
                stream.write_all(&framed(&query(2))).expect("sent");
                assert_eq!(id(&read_reply(&mut stream)), 2);
            }
            let totals = server.stop();
            assert_eq!((totals.received_by(Transport::Udp), totals.received_by(Transport::Tcp)), (2, 2));
        }
    }

    #[test]
    fn packets_that_get_no_reply_are_counted_and_stop_nothing() {
        for door in doors() {
            let server = Server::behind(door, |_| {});
            let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            for packet in [&b""[..], b"short", &[0x80; 12], &[0xff; 9000]] {
                client.send_to(packet, server.addresses[0]).expect("sent");
            }
            assert_eq!(id(&server.ask(&query(7))), 7);
            let totals = server.stop();
            assert_eq!(totals.received(), 5);
            assert_eq!((totals.outcome(Outcome::DropShort), totals.outcome(Outcome::DropResponse)), (2, 2));
        }
    }

    #[test]
    fn what_arrived_before_the_stop_is_answered() {
        for door in doors() {
            let settings = Settings { listen: vec![loopback()], door, workers: 1, ..Settings::default() };
            let bound = bind(&settings, &mut Given::default()).expect("a free port");
            let room = bound.workers[0].udp[0].recv_buffer_size().expect("an option");
            // The kernel counts a short datagram as several hundred octets, up to about a thousand.
            let many = (room / 2048).min(2000) as u16;
            let client = UdpSocket::bind(loopback()).expect("a free port");
            for number in 0..many {
                client.send_to(&query(number), bound.addresses()[0]).expect("sent");
            }
            let registry = Registry::default();
            let publisher = Publisher::new(Arc::new(settings), Facts::default());
            bound.run(&publisher.reader(), &registry, Handoff::to_nobody()).expect("threads").stop();
            assert_eq!(registry.totals().outcomes(), u64::from(many));
        }
    }

    #[test]
    fn a_hundred_queries_in_one_write_get_a_hundred_replies() {
        for door in doors() {
            let server = Server::behind(door, |_| {});
            let mut stream = server.connect();
            let queries: Vec<u8> = (0..100).flat_map(|number| framed(&query(number))).collect();
            stream.write_all(&queries).expect("sent");
            for number in 0..100 {
                assert_eq!(id(&read_reply(&mut stream)), number);
            }
            drop(stream);
            assert_eq!(server.stop().received_by(Transport::Tcp), 100);
        }
    }

    #[test]
    fn a_length_and_its_message_leave_together() {
        for door in doors() {
            let server = Server::behind(door, |_| {});
            let mut stream = server.connect();
            let mut reply = [0; 512];
            for number in 0..20 {
                stream.write_all(&framed(&query(number))).expect("sent");
                let octets = stream.read(&mut reply).expect("a reply");
                assert_eq!(octets, 2 + usize::from(u16::from_be_bytes([reply[0], reply[1]])), "{door:?}");
            }
            drop(stream);
            server.stop();
        }
    }

    #[test]
    fn a_frame_may_come_octet_by_octet() {
        for door in doors() {
            let server = Server::behind(door, |_| {});
            let mut stream = server.connect();
            stream.set_nodelay(true).expect("an option");
            let frames = [framed(&query(1)), framed(&query(2)), framed(&query(3))].concat();
            for octet in &frames {
                stream.write_all(&[*octet]).expect("sent");
            }
            for number in 1..=3 {
                assert_eq!(id(&read_reply(&mut stream)), number);
            }
            server.stop();
        }
    }

    #[test]
    fn a_client_that_has_closed_its_side_still_gets_its_replies() {
        for door in doors() {
            let server = Server::behind(door, |_| {});
            let mut stream = server.connect();
            stream.write_all(&[framed(&query(1)), framed(&query(2)), vec![0, 40, 1]].concat()).expect("sent");
            stream.shutdown(Shutdown::Write).expect("closed");
            assert_eq!(id(&read_reply(&mut stream)), 1);
            assert_eq!(id(&read_reply(&mut stream)), 2);
            assert!(is_closed(&mut stream));
            assert_eq!(server.stop().received(), 2);
        }
    }

    #[test]
    fn a_frame_too_short_for_a_header_ends_the_connection_after_the_replies() {
        for bad in [&b"\0\0"[..], b"\0\x0bshort-query"] {
            let server = Server::start(|_| {});
            let mut stream = server.connect();
            stream.write_all(&[&framed(&query(1))[..], bad].concat()).expect("sent");
            assert_eq!(id(&read_reply(&mut stream)), 1);
            assert!(is_closed(&mut stream));
            let totals = server.stop();
            assert_eq!((totals.received(), totals.outcome(Outcome::DropShort)), (2, 1));
        }
    }

    #[test]
    fn the_longest_frame_is_taken() {
        for door in doors() {
            let server = Server::behind(door, |_| {});
            let mut stream = server.connect();
            let mut long = query(1);
            long.resize(65_535, 0);
            stream.write_all(&[framed(&long), framed(&query(2))].concat()).expect("sent");
            assert_eq!(id(&read_reply(&mut stream)), 1);
            assert_eq!(id(&read_reply(&mut stream)), 2);
            server.stop();
        }
    }

    #[test]
    fn more_connections_than_allowed_are_closed_at_once() {
        for door in doors() {
            let server = Server::behind(door, |settings| settings.limits.tcp_per_prefix = 2);
            let mut first = server.connect();
            let mut second = server.connect();
            for stream in [&mut first, &mut second] {
                stream.write_all(&framed(&query(1))).expect("sent");
                read_reply(stream);
            }
            assert!(is_closed(&mut server.connect()));
            // A place that was given back is to be had again, as soon as the server has seen it.
            drop(first);
            let again = std::iter::repeat_with(|| server.connect()).any(|mut stream| {
                stream.write_all(&framed(&query(2))).is_ok() && stream.read(&mut [0; 2]).is_ok_and(|octets| octets == 2)
            });
            assert!(again);
            assert!(server.stop().connections(Transport::Tcp, ConnectionEvent::Refused) >= 1);
        }
    }

    #[test]
    fn a_connection_that_asks_nothing_is_closed() {
        for door in doors() {
            let server = Server::behind(door, |settings| settings.limits.tcp_idle = Duration::from_millis(200));
            let mut silent = server.connect();
            let mut half = server.connect();
            half.write_all(&framed(&query(1))[..20]).expect("sent");
            assert!(is_closed(&mut silent));
            assert!(is_closed(&mut half));
            assert_eq!(server.stop().connections(Transport::Tcp, ConnectionEvent::Idle), 2);
        }
    }

    #[test]
    fn a_client_that_does_not_read_is_cut_off_and_holds_up_no_other() {
        for door in doors() {
            let server = Server::behind(door, |settings| {
                settings.workers = 1;
                settings.limits.tcp_idle = Duration::from_millis(300);
            });
            let mut deaf = server.connect();
            let queries: Vec<u8> = (0..1000).flat_map(|number| framed(&query(number))).collect();
            deaf.set_write_timeout(Some(PATIENCE)).expect("an option");
            // The server stops reading when its replies are not taken, so this fails only when it closes the connection.
            while deaf.write_all(&queries).is_ok() {
                let mut other = server.connect();
                other.write_all(&framed(&query(5))).expect("sent");
                assert_eq!(id(&read_reply(&mut other)), 5);
            }
            assert_eq!(server.stop().connections(Transport::Tcp, ConnectionEvent::Slow), 1);
        }
    }

    #[test]
    fn a_client_that_reads_late_misses_nothing() {
        for door in doors() {
            // Replies are several times as long as these queries: the server's output is full before its input is empty.
            let server = Server::behind(door, |settings| settings.identity.nsid = Some("n".repeat(255)));
            let mut query = query(1);
            query[11] = 1;
            query.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x03\0\0");
            let frame = framed(&query);
            let mut stream = server.connect();
            stream.write_all(&frame).expect("sent");
            let reply_size = 2 + read_reply(&mut stream).len();
            assert!(reply_size > frame.len() * 5);
            stream.set_write_timeout(Some(Duration::from_millis(100))).expect("an option");
            // Until the server, whose replies are not taken, takes no more either.
            let queries = frame.repeat(1000);
            let mut sent = 0;
            while let Ok(octets) = stream.write(&queries[sent % queries.len()..]) {
                sent += octets;
            }
            let mut replies = vec![0; sent / frame.len() * reply_size];
            stream.read_exact(&mut replies).expect("all replies");
            drop(stream);
            assert_eq!(server.stop().received(), (1 + sent / frame.len()) as u64);
        }
    }

    #[test]
    fn who_sleeps_keeps_no_snapshot_that_is_served_no_more() {
        let server = Server::start(|settings| settings.workers = 2);
        server.ask(&query(1));
        let mut stream = server.connect();
        stream.write_all(&framed(&query(2))).expect("sent");
        read_reply(&mut stream);
        let publisher = &server.publisher;
        thread::scope(|scope| {
            let solver = scope.spawn(|| publisher.solve_until_stopped());
            let old = Arc::downgrade(&publisher.reader().load());
            publisher.replace_zones(Vec::new());
            while old.strong_count() > 0 {
                thread::yield_now();
            }
            publisher.stop();
            solver.join().expect("it was told to stop");
        });
        // And it answers when it is asked again.
        server.ask(&query(3));
        stream.write_all(&framed(&query(4))).expect("sent");
        assert_eq!(id(&read_reply(&mut stream)), 4);
        server.stop();
    }

    #[test]
    fn a_stop_ends_connections_that_are_open() {
        for door in doors() {
            let server = Server::behind(door, |_| {});
            let mut stream = server.connect();
            stream.write_all(&framed(&query(1))).expect("sent");
            assert_eq!(id(&read_reply(&mut stream)), 1);
            assert_eq!(server.stop().connections(Transport::Tcp, ConnectionEvent::Accepted), 1);
            assert!(is_closed(&mut stream));
        }
    }

    #[test]
    fn queries_are_answered_however_they_come() {
        let server = Server::start(|settings| settings.workers = 1);
        let patterns: [(&str, &[usize]); 6] = [
            ("whole", &[]),
            ("length, message", &[2]),
            ("octet of length, rest", &[1]),
            ("all but an octet, an octet", &[35]),
            ("two and a half", &[90]),
            ("octet by octet", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]),
        ];
        for (pattern, cuts) in patterns {
            let mut stream = server.connect();
            stream.set_nodelay(true).expect("an option");
            for _ in 0..5 {
                let frames: Vec<u8> = (0..3).flat_map(|number| framed(&query(number))).collect();
                let mut rest = &frames[..];
                for cut in cuts {
                    let (head, tail) = rest.split_at(cut - (frames.len() - rest.len()));
                    stream.write_all(head).expect("sent");
                    rest = tail;
                }
                stream.write_all(rest).expect("sent");
                for number in 0..3 {
                    assert_eq!(id(&read_reply(&mut stream)), number, "{pattern}");
                }
            }
        }
        server.stop();
    }

    #[test]
    fn queries_of_one_read_are_answered_by_one_write() {
        let server = Server::start(|_| {});
        let mut stream = server.connect();
        let queries: Vec<u8> = (0..100).flat_map(|number| framed(&query(number))).collect();
        stream.write_all(&queries).expect("sent");
        let mut replies = vec![0; 1 << 16];
        let octets = stream.read(&mut replies).expect("replies");
        let one = 2 + usize::from(u16::from_be_bytes([replies[0], replies[1]]));
        assert_eq!(octets, 100 * one);
        server.stop();
    }

    /// Nagle's algorithm would hold a reply back until the client has acknowledged the one before it, and clients delay that.
    /// If all replies are there, and the client has sent no acknowledgement alone, then none was waited for. A slow machine may
    /// take longer than clients delay them: one round without is enough, and with Nagle's algorithm there is none.
    #[cfg(all(target_os = "linux", not(without_batch)))]
    #[test]
    fn no_reply_waits_for_another_to_be_acknowledged() {
        use crate::server::batch::bare_segments;
        use socket2::SockRef;

        // Signed by a key that nobody has: what takes a clerk is answered by a write of its own.
        let mut signed = query(2);
        signed[11] = 1;
        signed.extend(b"\0\0\xfa\0\xff\0\0\0\0\0\x1d\x0bhmac-sha256\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0");
        let patterns = [[query(1), query(2), query(3)], [query(1), signed, query(3)]];
        for (door, pattern) in doors().flat_map(|door| patterns.iter().map(move |pattern| (door, pattern))) {
            let server = Server::behind(door, |_| {});
            let queries: Vec<u8> = pattern.iter().flat_map(|query| framed(query)).collect();
            let mut stream = server.connect();
            stream.write_all(&queries).expect("sent");
            let octets: usize = pattern.iter().map(|_| 2 + read_reply(&mut stream).len()).sum();
            let mut round = || {
                rustix::net::sockopt::set_tcp_quickack(&stream, false).expect("an option");
                let before = bare_segments(&SockRef::from(&stream));
                stream.write_all(&queries).expect("sent");
                let mut replies = vec![0; octets];
                // Taking them might acknowledge them.
                while stream.peek(&mut replies).expect("replies") < octets {
                    thread::yield_now();
                }
                let after = bare_segments(&SockRef::from(&stream));
                stream.read_exact(&mut replies).expect("replies");
                after == before
            };
            assert!((0..100).any(|_| round()), "{door:?}");
            drop(stream);
            server.stop();
        }
    }

    #[test]
    fn a_client_that_always_asks_starves_no_other() {
        let server = Server::start(|settings| settings.workers = 1);
        let mut greedy = server.connect();
        let mut reader = greedy.try_clone().expect("a file descriptor");
        let queries: Vec<u8> = (0..1000).flat_map(|number| framed(&query(number))).collect();
        thread::scope(|scope| {
            scope.spawn(move || while greedy.write_all(&queries).is_ok() {});
            let (first, served) = mpsc::channel();
            scope.spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while reader.read(&mut buffer).is_ok_and(|octets| octets > 0) {
                    // Nobody waits for any but the first.
                    let _ = first.send(());
                }
            });
            served.recv().expect("the greedy client is served");
            let mut other = server.connect();
            for number in 0..50 {
                other.write_all(&framed(&query(number))).expect("sent");
                assert_eq!(id(&read_reply(&mut other)), number);
            }
            server.stop();
        });
    }
}
