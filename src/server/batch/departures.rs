//! What one sendmmsg takes: replies, and trains of replies that the kernel takes apart.
//!
//! ```text
//! replies to one client, one behind the other      trips
//! 61 61 113 61 98 61 113                     ──►   113 113 98 │ 61 61 61 61
//! ```
//!
//! Replies that follow one another to one client are a *group*. When it ends, those of one size leave as one train
//! (UDP_SEGMENT), which goes down to the interface once, and whose last reply may be smaller. UDP promises no order, and a
//! client tells replies apart by their IDs.

use std::cmp::Reverse;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::Socket;

use super::WIDTH;
use super::control::{Control, Local};

/// Segments of the longest train, and replies of the largest group; the kernel's own bound (UDP_MAX_SEGMENTS before Linux
/// 6.9).
const MOST_SEGMENTS: usize = 64;
/// Octets of the longest train: what IPv4 can carry, less its header with all options, and the one of UDP.
const MOST_OCTETS: usize = 65_535 - 60 - 8;
/// Octets of the largest reply that goes into a train. A segment must fit the interface, and IPv6 promises 1,280 octets.
const MOST_SEGMENT: usize = 1_280 - 40 - 8;
/// Trips of one call, at most: a batch's of single replies, and a whole group beside them whose replies all differ in size.
const MOST_TRIPS: usize = WIDTH + MOST_SEGMENTS;
/// Replies of one call, at most.
const MOST_REPLIES: usize = 16 * WIDTH;

/// The memory for what one call takes.
pub(super) struct Departures {
    trains: bool,
    reply_size: usize,
    octets: Box<[u8]>,
    /// Where the next reply is written.
    at: usize,
    replies: Vec<Reply>,
    group: Group,
    trips: Vec<Trip>,
    peers: Box<[libc::sockaddr_in6]>,
    controls: Box<[Control]>,
    /// One for each reply, at most: neighbours in memory share one.
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// One reply, by its place in `octets`.
#[derive(Clone, Copy)]
struct Reply {
    start: u32,
    octets: u32,
}

/// The replies from `first` on, all to the client whose address is the next trip's.
#[derive(Clone, Copy, Default)]
struct Group {
    first: usize,
    local: Option<Local>,
    /// Whether their sizes differ.
    mixed: bool,
}

/// One reply, or one train of replies to one client.
#[derive(Clone, Copy)]
struct Trip {
    first: usize,
    replies: usize,
    /// Octets of each reply, of which the last may have fewer.
    segment: u32,
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
            replies: Vec::with_capacity(MOST_REPLIES),
            group: Group::default(),
            trips: Vec::with_capacity(MOST_TRIPS),
            peers: vec![peer; MOST_TRIPS].into(),
            controls: vec![Control::default(); MOST_TRIPS].into(),
            vectors: vec![vector; MOST_REPLIES].into(),
            headers: vec![header; MOST_TRIPS].into(),
        }
    }

    /// Whether there is room for one more reply, whatever its size and client.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.at.next_multiple_of(LINE) + self.reply_size <= self.octets.len()
            && self.trips.len() + self.grouped() < MOST_TRIPS
            && self.replies.len() < MOST_REPLIES
    }

    /// How many replies the group has.
    #[inline]
    fn grouped(&self) -> usize {
        self.replies.len() - self.group.first
    }

    /// Where a reply to `peer` from `local` is to be written.
    #[inline]
    pub(super) fn room(&mut self, peer: &libc::sockaddr_in6, local: Option<Local>) -> &mut [u8] {
        let goes_on = (1..MOST_SEGMENTS).contains(&self.grouped())
            && is_same(&self.peers[self.trips.len()], peer)
            && self.group.local == local;
        if !goes_on {
            self.end_group();
            self.at = self.at.next_multiple_of(LINE);
            self.group = Group { first: self.replies.len(), local, mixed: false };
            self.peers[self.trips.len()] = *peer;
        }
        &mut self.octets[self.at..][..self.reply_size]
    }

    /// Takes the first `octets` of the room that was given last as the reply to whom it was given for.
    #[inline]
    pub(super) fn push(&mut self, octets: usize) {
        let reply = Reply { start: self.at as u32, octets: octets as u32 };
        if let Some(before) = self.replies[self.group.first..].last() {
            self.group.mixed |= before.octets != reply.octets;
        }
        self.replies.push(reply);
        self.at += octets;
    }

    /// Makes trips of the group's replies.
    #[inline]
    fn end_group(&mut self) {
        let Group { first, local, .. } = self.group;
        match self.grouped() {
            0 => {}
            1 => self.trips.push(Trip { first, replies: 1, segment: self.replies[first].octets, local }),
            _ => self.couple(),
        }
    }

    /// Makes trains of a group of several replies.
    #[inline(never)]
    fn couple(&mut self) {
        let Group { mut first, local, mixed } = self.group;
        if mixed {
            self.replies[first..].sort_unstable_by_key(|reply| (Reverse(reply.octets), reply.start));
        }
        let peer = self.peers[self.trips.len()];
        while let Some((head, others)) = self.replies[first..].split_first() {
            let (mut replies, mut octets) = (1, head.octets);
            if self.trains && (1..=MOST_SEGMENT).contains(&(head.octets as usize)) {
                for other in others {
                    octets += other.octets;
                    if other.octets == 0 || octets as usize > MOST_OCTETS {
                        break;
                    }
                    replies += 1;
                    // A smaller one is the last.
                    if other.octets != head.octets {
                        break;
                    }
                }
            }
            self.peers[self.trips.len()] = peer;
            self.trips.push(Trip { first, replies, segment: head.octets, local });
            first += replies;
        }
    }

    /// Sends all of them. What cannot be sent is left out and the rest goes on; says how many replies were left out.
    ///
    /// The socket may block for as long as its send timeout says, once; after that nothing waits again.
    pub(super) fn send(&mut self, socket: &Socket) -> usize {
        self.end_group();
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
                        lost += self.trips[at].replies;
                    } else {
                        lost += self.send_apart(at, socket, flags);
                    }
                    (at, again) = (at + 1, false);
                }
            }
        }
        self.trips.clear();
        self.replies.clear();
        self.group = Group::default();
        self.at = 0;
        lost
    }

    /// Sends the replies of one train each on its own: an interface without checksums, or a tunnel, takes no trains. Says how
    /// many could not be sent.
    fn send_apart(&mut self, place: usize, socket: &Socket, flags: libc::c_int) -> usize {
        let Trip { first, replies, .. } = self.trips[place];
        if replies == 1 {
            return 1;
        }
        let sent = (first..first + replies).filter(|&first| {
            self.trips[place] = Trip { first, replies: 1, ..self.trips[place] };
            self.prepare(place..place + 1);
            self.send_from(place, place + 1, socket, flags).is_ok()
        });
        let lost = replies - sent.count();
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
        let (octets, peers) = (self.octets.as_mut_ptr(), self.peers.as_mut_ptr());
        let (vectors, controls) = (self.vectors.as_mut_ptr(), self.controls.as_mut_ptr());
        for place in places {
            let trip = &self.trips[place];
            let mut pieces = 0;
            let mut end = u32::MAX;
            for reply in &self.replies[trip.first..][..trip.replies] {
                // SAFETY: `vectors` has an element for each reply, and nobody else has a reference to it while `&mut self` is
                // borrowed.
                unsafe {
                    if reply.start == end {
                        (*vectors.add(trip.first + pieces - 1)).iov_len += reply.octets as usize;
                    } else {
                        let iov_base = octets.wrapping_add(reply.start as usize).cast();
                        *vectors.add(trip.first + pieces) = libc::iovec { iov_base, iov_len: reply.octets as usize };
                        pieces += 1;
                    }
                }
                end = reply.start + reply.octets;
            }
            let segment = if trip.replies > 1 { trip.segment as usize } else { 0 };
            // SAFETY: `peers` and `controls` have as many elements as there may be trips, and nobody else has a reference to
            // them while `&mut self` is borrowed.
            let (family, control) =
                unsafe { ((*peers.add(place)).sin6_family, (*controls.add(place)).write(trip.local, segment)) };
            let header = &mut self.headers[place].msg_hdr;
            header.msg_name = peers.wrapping_add(place).cast();
            header.msg_namelen = address_size(family) as _;
            header.msg_iov = vectors.wrapping_add(trip.first);
            header.msg_iovlen = pieces as _;
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
