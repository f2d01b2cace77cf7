//! Many datagrams a system call, and many queries a datagram: recvmmsg and sendmmsg over memory that is allocated once. The
//! only unsafe code.
//!
//! ```text
//!           recvmmsg   Arrivals                             Departures    sendmmsg
//! kernel ────────────► datagram, or a  ─► query ─► respond ─► reply, or a ────────► kernel
//!                      train of them                          train of them
//! ```
//!
//! * A *train* is datagrams of one client and one size, of which the last may be shorter, that pass the kernel as one: it
//!   joins what comes (UDP_GRO) and takes apart what goes (UDP_SEGMENT). A client that sends many queries at once, such as a
//!   forwarder, costs the kernel a third then. Where clients differ, nothing is joined and nothing is lost.
//! * The headers that the kernel reads and writes hold raw pointers into the batch's own arrays; they are made anew right
//!   before each system call and not followed later, so no pointer is used past its borrow.
//! * A batch is answered in the order it came; of one client's replies the larger may leave first. Its memory never grows.
#![expect(unsafe_code, reason = "the standard library has neither recvmmsg nor control messages")]

mod arrivals;
mod control;
mod departures;
mod late;
mod options;
mod poll;

use std::io;

use socket2::Socket;

use arrivals::Arrivals;
use departures::Departures;
pub(super) use late::Way;
#[cfg(test)]
pub(super) use options::bare_segments;
pub(super) use options::{dropped, poll_busily, prepare, size_receive_buffer, steer};
pub(super) use poll::Poll;

/// Datagrams in one system call, at most. By 32 the price of the call is lost beside that of the packets; with 64 a
/// saturated worker answered no more queries (0.9 to 1.0 times as many), and the first reply waited longer for the last.
const WIDTH: usize = 32;
/// Octets of the longest query taken by UDP. A longer one is cut, and then judged as what is left of it.
const QUERY: usize = 4096;

/// The memory of one worker for receiving and answering up to [`WIDTH`] datagrams or trains at once.
pub(super) struct Batch {
    arrivals: Arrivals,
    departures: Departures,
}

impl Batch {
    /// A batch for these sockets, whose replies have `reply_size` octets at most.
    pub(super) fn new(sockets: &[&Socket], reply_size: usize) -> Self {
        let receives = sockets.iter().any(|socket| options::receives_trains(socket));
        let sends = sockets.iter().all(|socket| options::sends_trains(socket));
        Self { arrivals: Arrivals::new(receives), departures: Departures::new(reply_size, sends) }
    }

    /// Takes what has arrived, without waiting, and says how many datagrams and trains that were.
    ///
    /// # Errors
    /// Whatever the kernel says; `WouldBlock` when nothing has arrived.
    pub(super) fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.arrivals.receive(socket)
    }

    /// Whether more is likely to be there than the last receive took.
    pub(super) fn is_full(&self) -> bool {
        self.arrivals.is_full()
    }

    /// The received queries.
    pub(super) fn queries(&self) -> impl Iterator<Item = &[u8]> {
        self.arrivals.iter().flat_map(|arrival| arrival.queries())
    }

    /// Hands each received query, its way and room for the reply to `respond`, which says how many octets it wrote (`None`
    /// leaves the query without a reply), and sends the replies. Says how many replies could not be sent.
    pub(super) fn answer(
        &mut self,
        socket: &Socket,
        mut respond: impl FnMut(&[u8], &Way, &mut [u8]) -> Option<usize>,
    ) -> usize {
        let Self { arrivals, departures } = self;
        let mut lost = 0;
        for arrival in arrivals.iter() {
            let (peer, local) = (arrival.peer, arrival.said().local);
            let way = Way { peer: arrival.client(), local };
            for query in arrival.queries() {
                if !departures.has_room() {
                    lost += departures.send(socket);
                }
                if let Some(octets) = respond(query, &way, departures.room(peer, local)) {
                    departures.push(octets);
                }
            }
        }
        lost + departures.send(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, UdpSocket};
    use std::time::Duration;

    use socket2::{Domain, Type};

    fn server(address: &str) -> (Socket, u16) {
        let address: SocketAddr = address.parse().expect("an address");
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).expect("a socket");
        if address.is_ipv6() {
            socket.set_only_v6(true).expect("an option");
        }
        prepare(&socket, address, 1232).expect("options");
        socket.bind(&address.into()).expect("a free port");
        let port = socket.local_addr().expect("bound").as_socket().expect("an IP address").port();
        (socket, port)
    }

    fn batch(socket: &Socket) -> Batch {
        Batch::new(&[socket], 512)
    }

    fn client(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("an option");
        socket
    }

    /// Receives until `count` have come: loopback delivers within the sender's call, so nothing has to be waited for.
    fn echo(batch: &mut Batch, socket: &Socket, count: usize) {
        let mut seen = 0;
        while seen < count {
            batch.receive(socket).expect("datagrams are there");
            let lost = batch.answer(socket, |query, _, reply| {
                seen += 1;
                reply[..query.len()].copy_from_slice(query);
                Some(query.len())
            });
            assert_eq!(lost, 0);
        }
    }

    fn reply(client: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 8192];
        let (octets, from) = client.recv_from(&mut buffer).expect("a reply");
        (buffer[..octets].to_vec(), from)
    }

    #[test]
    fn replies_leave_from_the_address_that_was_asked() {
        for (listen, from, asked) in [
            ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.7"),
            ("127.0.0.9:0", "127.0.0.1:0", "127.0.0.9"),
            ("[::]:0", "[::1]:0", "::1"),
            ("[::1]:0", "[::1]:0", "::1"),
        ] {
            let (socket, port) = server(listen);
            let client = client(from);
            let asked = SocketAddr::new(asked.parse().expect("an address"), port);
            client.send_to(b"query", asked).expect("sent");
            echo(&mut batch(&socket), &socket, 1);
            assert_eq!(reply(&client), (b"query".to_vec(), asked), "{listen}");
        }
    }

    #[test]
    fn a_late_reply_leaves_from_the_address_that_was_asked_too() {
        for (listen, from, asked) in [("0.0.0.0:0", "127.0.0.1:0", "127.0.0.7"), ("[::]:0", "[::1]:0", "::1")] {
            let (socket, port) = server(listen);
            let client = client(from);
            let asked = SocketAddr::new(asked.parse().expect("an address"), port);
            client.send_to(b"query", asked).expect("sent");
            let mut batch = batch(&socket);
            assert_eq!(batch.receive(&socket).expect("a datagram"), 1);
            let mut kept = None;
            batch.answer(&socket, |_, way, _| {
                kept = Some(*way);
                None
            });
            kept.expect("one query").send(b"late", &socket).expect("sent");
            assert_eq!(reply(&client), (b"late".to_vec(), asked), "{listen}");
        }
    }

    #[test]
    fn a_batch_answers_each_client_with_its_own_reply() {
        let (socket, port) = server("0.0.0.0:0");
        let clients: Vec<_> = (0..100_u8)
            .map(|index| {
                let client = client("127.0.0.1:0");
                client.send_to(&[index; 20], (format!("127.0.0.{}", index + 1), port)).expect("sent");
                client
            })
            .collect();
        let mut batch = batch(&socket);
        echo(&mut batch, &socket, clients.len());
        for (index, client) in (0_u8..).zip(&clients) {
            let (octets, from) = reply(client);
            assert_eq!(octets, [index; 20]);
            assert_eq!(from.to_string(), format!("127.0.0.{}:{port}", index + 1));
        }
        assert_eq!(batch.receive(&socket).expect_err("all are taken").kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_sender_is_told_with_its_address_and_port() {
        for (listen, from) in [("127.0.0.1:0", "127.0.0.5:0"), ("[::1]:0", "[::1]:0")] {
            let (socket, port) = server(listen);
            let client = client(from);
            let to = SocketAddr::new(listen.parse::<SocketAddr>().expect("an address").ip(), port);
            client.send_to(b"query", to).expect("sent");
            let mut batch = batch(&socket);
            assert_eq!(batch.receive(&socket).expect("a datagram"), 1);
            let mut peers = Vec::new();
            let lost = batch.answer(&socket, |_, way, _| {
                peers.push(way.peer);
                None
            });
            assert_eq!(peers, [client.local_addr().expect("bound")]);
            assert_eq!(lost, 0, "nothing is sent without a reply");
        }
    }

    #[test]
    fn a_reply_that_cannot_be_sent_takes_no_other_with_it() {
        let (socket, port) = server("127.0.0.1:0");
        let clients: Vec<_> = (0..5).map(|_| client("127.0.0.1:0")).collect();
        for client in &clients {
            client.send_to(b"query", ("127.0.0.1", port)).expect("sent");
        }
        let mut batch = batch(&socket);
        assert_eq!(batch.receive(&socket).expect("datagrams"), 5);
        // Port 0 cannot be sent to; a forged sender may say so.
        batch.arrivals.peers[1].sin6_port = 0;
        batch.arrivals.peers[4].sin6_port = 0;
        let lost = batch.answer(&socket, |_, way, reply| {
            reply[..2].copy_from_slice(&way.peer.port().to_be_bytes());
            Some(2)
        });
        assert_eq!(lost, 2);
        for index in [0, 2, 3] {
            let port = clients[index].local_addr().expect("bound").port();
            assert_eq!(reply(&clients[index]).0, port.to_be_bytes());
        }
    }

    #[test]
    fn a_query_longer_than_its_buffer_is_cut_and_harms_no_other() {
        let (socket, port) = server("127.0.0.1:0");
        let client = client("127.0.0.1:0");
        client.send_to(&[1; 9000], ("127.0.0.1", port)).expect("sent");
        client.send_to(b"", ("127.0.0.1", port)).expect("sent");
        client.send_to(&[2; 30], ("127.0.0.1", port)).expect("sent");
        let mut batch = batch(&socket);
        assert_eq!(batch.receive(&socket).expect("datagrams"), 3);
        let mut queries = Vec::new();
        batch.answer(&socket, |query, _, _| {
            queries.push(query.to_vec());
            None
        });
        assert_eq!(queries, [vec![1; QUERY], vec![], vec![2; 30]]);
    }

    #[test]
    fn what_the_kernel_drops_is_told() {
        let (socket, port) = server("127.0.0.1:0");
        socket.set_recv_buffer_size(1).expect("the least there is");
        let client = client("127.0.0.1:0");
        let mut batch = batch(&socket);
        for _ in 0..200 {
            client.send_to(&[0; 100], ("127.0.0.1", port)).expect("sent");
        }
        let mut taken = 0;
        while let Ok(received) = batch.receive(&socket) {
            taken += received;
        }
        assert!(taken < 200, "the buffer held them all");
        assert_eq!(dropped(&socket), Some(200 - taken as u32));
    }

    #[test]
    fn the_width_follows_what_arrives() {
        let (socket, port) = server("127.0.0.1:0");
        let client = client("127.0.0.1:0");
        let mut batch = batch(&socket);
        for _ in 0..WIDTH * 2 {
            client.send_to(b"query", ("127.0.0.1", port)).expect("sent");
        }
        let sizes: Vec<_> = std::iter::from_fn(|| batch.receive(&socket).ok()).collect();
        assert_eq!(sizes, [8, 16, 32, 8]);
        assert_eq!(batch.arrivals.width, 16);
    }

    /// Sends `queries` as one train, if the kernel has that.
    fn send_train(client: &UdpSocket, port: u16, queries: &[Vec<u8>]) {
        let socket = socket2::SockRef::from(client).try_clone().expect("a file descriptor");
        let segment = queries[0].len();
        options::set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, segment as libc::c_int).expect("Linux 4.18");
        client.send_to(&queries.concat(), ("127.0.0.1", port)).expect("sent");
        options::set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0).expect("Linux 4.18");
    }

    #[test]
    fn a_train_is_answered_query_by_query_in_its_order() {
        let (socket, port) = server("0.0.0.0:0");
        let (one, other) = (client("127.0.0.1:0"), client("127.0.0.1:0"));
        let queries: Vec<_> = (0..40_u8).map(|index| vec![index; if index == 39 { 7 } else { 20 }]).collect();
        send_train(&one, port, &queries);
        other.send_to(b"query", ("127.0.0.1", port)).expect("sent");
        send_train(&one, port, &queries[..2]);
        let mut batch = batch(&socket);
        assert_eq!(batch.receive(&socket).expect("two trains and a datagram"), 3);
        let (mut asked, mut clients) = (Vec::new(), Vec::new());
        let lost = batch.answer(&socket, |query, way, reply| {
            asked.push(query.to_vec());
            clients.push(way.peer);
            reply[..query.len()].copy_from_slice(query);
            // Now and then there is a larger reply, or none.
            (query[0] != 5).then_some(if query[0] == 9 { 300 } else { query.len() })
        });
        assert_eq!(lost, 0);
        assert_eq!(asked, [&queries[..], &[b"query".to_vec()], &queries[..2]].concat());
        let own = |client: &UdpSocket| client.local_addr().expect("bound");
        assert!(clients.iter().enumerate().all(|(at, client)| *client == own(if at == 40 { &other } else { &one })));
        let answered = |queries: &[Vec<u8>]| {
            // The largest come first, the smallest last, and those of one size in the order of their queries.
            let mut expected: Vec<_> = queries.iter().filter(|query| query[0] != 5).collect();
            expected.sort_by_key(|query| query[0] != 9);
            for query in expected {
                let (octets, from) = reply(&one);
                assert_eq!(octets[..query.len()], *query);
                assert_eq!(octets.len(), if query[0] == 9 { 300 } else { query.len() });
                assert_eq!(from.port(), port);
            }
        };
        answered(&queries);
        answered(&queries[..2]);
        assert_eq!(reply(&other).0, b"query");
    }

    #[test]
    fn replies_of_different_sizes_to_one_client_leave_in_few_trips() {
        let (socket, port) = server("127.0.0.1:0");
        let one = client("127.0.0.1:0");
        let queries: Vec<_> = (0..48_u8).map(|index| vec![index; 20]).collect();
        send_train(&one, port, &queries);
        // What is joined for the client shows what left together.
        options::set(
            &socket2::SockRef::from(&one).try_clone().expect("a file descriptor"),
            libc::SOL_UDP,
            libc::UDP_GRO,
            1,
        )
        .expect("Linux 5.0");
        let mut batch = batch(&socket);
        assert_eq!(batch.receive(&socket).expect("a train"), 1);
        let size = |query: u8| [50, 110, 50, 80][usize::from(query % 4)];
        batch.answer(&socket, |query, _, reply| {
            reply[0] = query[0];
            Some(size(query[0]))
        });
        let trips: Vec<_> = std::iter::from_fn(|| {
            one.set_nonblocking(true).expect("an option");
            let mut buffer = [0; 65_535];
            one.recv(&mut buffer).ok().map(|octets| buffer[..octets].to_vec())
        })
        .collect();
        let sizes: Vec<_> = trips.iter().map(Vec::len).collect();
        assert_eq!(sizes, [12 * 110 + 80, 11 * 80 + 50, 23 * 50]);
        let mut seen = Vec::new();
        for (trip, segment) in trips.iter().zip([110, 80, 50]) {
            for reply in trip.chunks(segment) {
                assert_eq!(reply.len(), size(reply[0]));
                seen.push(reply[0]);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..48).collect::<Vec<_>>());
    }

    #[test]
    fn more_replies_than_there_is_room_for_leave_in_several_calls() {
        let (socket, port) = server("127.0.0.1:0");
        let client = client("127.0.0.1:0");
        for train in 0..4_u8 {
            send_train(&client, port, &(0..30).map(|index| vec![train, index, 0]).collect::<Vec<_>>());
        }
        let mut batch = batch(&socket);
        assert_eq!(batch.receive(&socket).expect("trains"), 4);
        let lost = batch.answer(&socket, |query, _, reply| {
            reply[..2].copy_from_slice(&query[..2]);
            Some(400)
        });
        assert_eq!(lost, 0);
        for expected in (0..4).flat_map(|train| (0..30).map(move |index| [train, index])) {
            assert_eq!(reply(&client).0[..2], expected);
        }
    }

    #[test]
    fn where_trains_are_refused_replies_leave_one_by_one() {
        let (socket, port) = server("127.0.0.1:0");
        let (one, other) = (client("127.0.0.1:0"), client("127.0.0.1:0"));
        // As on an interface or a tunnel that cannot make checksums: the kernel sends datagrams, and refuses trains.
        options::set(&socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).expect("an option");
        send_train(&one, port, &[vec![1; 20], vec![2; 20], vec![3; 9]]);
        other.send_to(b"query", ("127.0.0.1", port)).expect("sent");
        echo(&mut batch(&socket), &socket, 4);
        for expected in [vec![1; 20], vec![2; 20], vec![3; 9]] {
            assert_eq!(reply(&one).0, expected);
        }
        assert_eq!(reply(&other).0, b"query");
    }
}
