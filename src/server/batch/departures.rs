//! What one sendmmsg takes: replies, and trains of replies that the kernel takes apart.
//!
//! Replies are written one behind the other. Where a reply follows one to the same client, it starts right at that one's
//! end; if it also has its size, the two leave as one train (UDP_SEGMENT), which goes down to the interface once.

use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::Socket;

use super::WIDTH;
use super::control::{Control, Local};

/// Segments of the longest train; the kernel's own bound (UDP_MAX_SEGMENTS before Linux 6.9).
const MOST_SEGMENTS: u16 = 64;
/// Octets of the longest train: what IPv4 can carry, less its header with all options, and the one of UDP.
const MOST_OCTETS: usize = 65_535 - 60 - 8;
/// Octets of the largest reply that goes into a train. A segment must fit the interface, and IPv6 promises 1,280 octets.
const MOST_SEGMENT: usize = 1_280 - 40 - 8;

/// The memory for up to [`WIDTH`] replies or trains of replies.
pub(super) struct Departures {
    trains: bool,
    reply_size: usize,
    octets: Box<[u8]>,
    /// Where the next reply is written.
    at: usize,
    /// Whether it may become part of the last train.
    joins: bool,
    trips: Vec<Trip>,
    peers: Box<[libc::sockaddr_in6]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// One reply, or one train of replies to one client.
#[derive(Clone, Copy)]
struct Trip {
    start: usize,
    octets: usize,
    /// Octets of each reply, of which the last may have fewer.
    segment: usize,
    replies: u16,
    /// Whether another may follow.
    open: bool,
    local: Option<Local>,
}

impl Departures {
    /// Memory for replies of `reply_size` octets at most, which leave in `trains` if the kernel has that.
    pub(super) fn new(reply_size: usize, trains: bool) -> Self {
        // SAFETY: these are structs of integers and pointers, of which all zeros is a value.
        let (peer, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self {
            trains,
            reply_size,
            octets: vec![0; WIDTH * reply_size.next_multiple_of(LINE)].into(),
            at: 0,
            joins: false,
            trips: Vec::with_capacity(WIDTH),
            peers: vec![peer; WIDTH].into(),
            controls: vec![Control::default(); WIDTH].into(),
            vectors: vec![vector; WIDTH].into(),
            headers: vec![header; WIDTH].into(),
        }
    }

    /// Whether there is room for one more reply, whatever its size and client.
    pub(super) fn has_room(&self) -> bool {
        self.trips.len() < WIDTH && self.at.next_multiple_of(LINE) + self.reply_size <= self.octets.len()
    }

    /// Where a reply to `peer` from `local` is to be written.
    #[inline]
    pub(super) fn room(&mut self, peer: &libc::sockaddr_in6, local: Option<Local>) -> &mut [u8] {
        let last = self.trips.last().zip(self.peers[..self.trips.len()].last());
        self.joins = last.is_some_and(|(trip, to)| {
            trip.open && trip.local == local && is_same(to, peer) && trip.octets + self.reply_size <= MOST_OCTETS
        });
        if !self.joins {
            self.at = self.at.next_multiple_of(LINE);
        }
        &mut self.octets[self.at..][..self.reply_size]
    }

    /// Takes the first `octets` of the room that was given last as the reply to the same `peer` from the same `local`.
    #[inline]
    pub(super) fn push(&mut self, peer: &libc::sockaddr_in6, local: Option<Local>, octets: usize) {
        let start = self.at;
        self.at += octets;
        match self.trips.last_mut() {
            Some(last) if self.joins && octets <= last.segment => {
                last.octets += octets;
                last.replies += 1;
                last.open = octets == last.segment && last.replies < MOST_SEGMENTS;
            }
            _ => {
                let open = self.trains && (1..=MOST_SEGMENT).contains(&octets);
                self.peers[self.trips.len()] = *peer;
                self.trips.push(Trip { start, octets, segment: octets, replies: 1, open, local });
            }
        }
    }

    /// Sends all of them. What cannot be sent is left out and the rest goes on; says how many replies were left out.
    ///
    /// The socket may block for as long as its send timeout says, once; after that nothing waits again.
    pub(super) fn send(&mut self, socket: &Socket) -> usize {
        self.prepare(0..self.trips.len());
        let (mut at, mut lost, mut flags, mut again) = (0, 0, 0, false);
        while at < self.trips.len() {
            match self.send_from(at, self.trips.len(), socket, flags) {
                Ok(sent) => (at, again) = (at + sent, false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A socket reports what an ICMP message left on it through whichever call comes next, and then this reply
                // has not been tried yet.
                Err(error) if !again && error.kind() != io::ErrorKind::WouldBlock => again = true,
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        flags = libc::MSG_DONTWAIT;
                        lost += usize::from(self.trips[at].replies);
                    } else {
                        lost += self.send_apart(at, socket, flags);
                    }
                    (at, again) = (at + 1, false);
                }
            }
        }
        self.trips.clear();
        self.at = 0;
        lost
    }

    /// Sends the replies of one train each on its own: an interface without checksums, or a tunnel, takes no trains. Says how
    /// many could not be sent.
    fn send_apart(&mut self, place: usize, socket: &Socket, flags: libc::c_int) -> usize {
        let Trip { start, octets, segment, replies, .. } = self.trips[place];
        if replies == 1 {
            return 1;
        }
        let end = start + octets;
        let sent = (start..end).step_by(segment).filter(|&start| {
            let octets = segment.min(end - start);
            self.trips[place] = Trip { start, octets, ..self.trips[place] };
            self.prepare(place..place + 1);
            self.send_from(place, place + 1, socket, flags).is_ok()
        });
        let lost = usize::from(replies) - sent.count();
        self.prepare(place + 1..self.trips.len());
        lost
    }

    fn send_from(&mut self, at: usize, end: usize, socket: &Socket, flags: libc::c_int) -> io::Result<usize> {
        let headers = &mut self.headers[at..end];
        // SAFETY: `prepare` pointed these headers to initialised elements of `peers`, `vectors` and `controls`, and the vectors
        // to octets of `octets`. None of those has moved or been borrowed since: between it and the last call, only `headers`,
        // `trips` and elements of other headers are used. The kernel writes nothing but `msg_len` of the headers.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as _, flags as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Points the headers of these trips to what they carry.
    fn prepare(&mut self, places: Range<usize>) {
        let (replies, peers) = (self.octets.as_mut_ptr(), self.peers.as_mut_ptr());
        let (vectors, controls) = (self.vectors.as_mut_ptr(), self.controls.as_mut_ptr());
        for place in places {
            let trip = &self.trips[place];
            let segment = if trip.octets > trip.segment { trip.segment } else { 0 };
            // SAFETY: `peers`, `vectors` and `controls` have as many elements as there may be trips, and nobody else has a
            // reference to them while `&mut self` is borrowed.
            let (family, control) = unsafe {
                let start = replies.wrapping_add(trip.start).cast();
                *vectors.add(place) = libc::iovec { iov_base: start, iov_len: trip.octets };
                ((*peers.add(place)).sin6_family, (*controls.add(place)).write(trip.local, segment))
            };
            let header = &mut self.headers[place].msg_hdr;
            header.msg_name = peers.wrapping_add(place).cast();
            header.msg_namelen = address_size(family) as _;
            header.msg_iov = vectors.wrapping_add(place);
            header.msg_iovlen = 1;
            header.msg_control = if control == 0 { ptr::null_mut() } else { controls.wrapping_add(place).cast() };
            header.msg_controllen = control as _;
        }
    }
}

/// Whether two senders are one. The kernel fills 16 octets for IPv4 and leaves the others as they were.
#[inline]
fn is_same(one: &libc::sockaddr_in6, other: &libc::sockaddr_in6) -> bool {
    one.sin6_port == other.sin6_port
        && one.sin6_family == other.sin6_family
        && if i32::from(one.sin6_family) == libc::AF_INET {
            one.sin6_flowinfo == other.sin6_flowinfo
        } else {
            one.sin6_addr.s6_addr == other.sin6_addr.s6_addr && one.sin6_scope_id == other.sin6_scope_id
        }
}

fn address_size(family: libc::sa_family_t) -> usize {
    if i32::from(family) == libc::AF_INET { size_of::<libc::sockaddr_in>() } else { size_of::<libc::sockaddr_in6>() }
}

/// Octets of a cache line: replies to different clients do not share one.
const LINE: usize = 64;
