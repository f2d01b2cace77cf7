//! Control messages: what the kernel says beside a datagram, and what it is told beside a reply.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Room for a packet-info of either family and the size of a segment, in words so that it is aligned as control messages
/// must be.
const WORDS: usize = 12;

/// The control messages of one datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Control([u64; WORDS]);

/// Where a datagram was sent to, and so where its reply must come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    /// An address of ours in network order, even if the query was broadcast.
    V4(u32),
    /// The address, and the link without which it means nothing: 0 where the routing table may choose the way back.
    V6([u8; 16], u32),
}

impl Local {
    pub(super) fn address(self) -> IpAddr {
        match self {
            Self::V4(address) => Ipv4Addr::from(address.to_ne_bytes()).into(),
            Self::V6(address, _) => Ipv6Addr::from(address).into(),
        }
    }
}

/// What the kernel said beside one datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    /// The address it was sent to, where the socket's own does not say it.
    pub(super) local: Option<Local>,
    /// Octets of each query, all but the last, where the kernel has joined several (UDP_GRO); else 0.
    pub(super) segment: usize,
}

impl Control {
    /// Reads the messages that `header` says were received.
    ///
    /// # Safety
    /// The control buffer of `header` is one that the kernel has filled with it, and is not written to meanwhile.
    pub(super) unsafe fn read(header: &libc::msghdr) -> Said {
        let mut said = Said::default();
        // SAFETY: the CMSG functions stay within the length that the kernel set in `header`; each payload is as long as its
        // type says, and read without regard to its alignment. The caller vouches for the rest.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(header);
            while !control.is_null() {
                let payload = libc::CMSG_DATA(control);
                match ((*control).cmsg_level, (*control).cmsg_type) {
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        let info: libc::in_pktinfo = ptr::read_unaligned(payload.cast());
                        said.local = Some(Local::V4(info.ipi_spec_dst.s_addr));
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        let info: libc::in6_pktinfo = ptr::read_unaligned(payload.cast());
                        said.local = local_v6(info);
                    }
                    (libc::SOL_UDP, libc::UDP_GRO) => {
                        let octets: libc::c_int = ptr::read_unaligned(payload.cast());
                        said.segment = usize::try_from(octets).unwrap_or(0);
                    }
                    _ => {}
                }
                control = libc::CMSG_NXTHDR(header, control);
            }
        }
        said
    }

    /// Writes where a reply is to come from, and into datagrams of how many octets it is to be cut (0 for not at all); says
    /// how many octets the messages take.
    pub(super) fn write(&mut self, local: Option<Local>, segment: usize) -> usize {
        let mut at = 0;
        match local {
            None => {}
            Some(Local::V4(address)) => {
                let (any, from) = (libc::in_addr { s_addr: 0 }, libc::in_addr { s_addr: address });
                // Interface 0: the way back is the routing table's to choose.
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: any };
                at = self.put(at, (libc::IPPROTO_IP, libc::IP_PKTINFO), info);
            }
            Some(Local::V6(s6_addr, link)) => {
                let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr }, ipi6_ifindex: link };
                at = self.put(at, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), info);
            }
        }
        if segment > 0 {
            at = self.put(at, (libc::SOL_UDP, libc::UDP_SEGMENT), segment as u16);
        }
        at
    }

    /// Appends one message at `at`; says where the next would be.
    fn put<T: Copy>(&mut self, at: usize, (level, kind): (libc::c_int, libc::c_int), payload: T) -> usize {
        let size = size_of::<T>() as libc::c_uint;
        // SAFETY: the first two calls only add up sizes; CMSG_DATA adds an offset, within `self` because of the assertion.
        // `self` and `at`, a sum of CMSG_SPACEs, are aligned for a cmsghdr; the payload is written without regard to its
        // alignment.
        unsafe {
            let space = libc::CMSG_SPACE(size) as usize;
            assert!(at + space <= size_of::<Self>(), "a packet-info and a segment size fit");
            let message: *mut libc::cmsghdr = self.0.as_mut_ptr().byte_add(at).cast();
            (*message).cmsg_len = libc::CMSG_LEN(size) as _;
            (*message).cmsg_level = level;
            (*message).cmsg_type = kind;
            ptr::write_unaligned(libc::CMSG_DATA(message).cast(), payload);
            at + space
        }
    }
}

fn local_v6(info: libc::in6_pktinfo) -> Option<Local> {
    let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
    if address.is_multicast() {
        return None;
    }
    // A link-local address means nothing without its link.
    let link = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
    Some(Local::V6(address.octets(), link))
}
