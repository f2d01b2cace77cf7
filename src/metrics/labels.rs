//! The words that counts are kept under. Each is a label value of the exported metrics.

macro_rules! labelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$item])* $variant,)*
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The label as it is exported.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

labelled! {
    /// What became of one packet: how it was answered, or why it was not.
    Outcome {
        /// NOERROR with an answer.
        Answer = "answer",
        /// NOERROR without an answer: the name exists, the type does not (RFC 2308 section 2.2).
        NoData = "nodata",
        /// NXDOMAIN (RFC 2308 section 2.1).
        NxDomain = "nxdomain",
        /// A referral to the servers of a zone below.
        Referral = "referral",
        /// An answer in class CHAOS.
        Chaos = "chaos",
        /// REFUSED: not our zone, or not for this client.
        Refused = "refused",
        /// FORMERR.
        FormErr = "formerr",
        /// NOTIMP: an opcode or a meta type that is not served.
        NotImp = "notimp",
        /// SERVFAIL.
        ServFail = "servfail",
        /// NOTAUTH.
        NotAuth = "notauth",
        /// YXDOMAIN: a DNAME made the name too long (RFC 6672 section 2.2).
        YxDomain = "yxdomain",
        /// BADVERS (RFC 6891 section 6.1.3).
        BadVers = "badvers",
        /// BADCOOKIE (RFC 7873 section 5.2.3).
        BadCookie = "badcookie",
        /// Not answered: shorter than a header, so there is no ID to answer to.
        DropShort = "drop_short",
        /// Not answered: it is a response itself (RFC 8906 would have two servers talk for ever).
        DropResponse = "drop_response",
        /// Not answered: it came from a proxy, without a PROXY header or with a broken one.
        DropProxy = "drop_proxy",
        /// TC and no records, in place of a reply beyond what the client's network is sent.
        Slip = "slip",
        /// Not answered: over a limit.
        DropLimit = "drop_limit",
        /// Not answered: beyond what the client's network is sent.
        DropRate = "drop_rate",
    }
}

labelled! {
    /// How a packet came.
    Transport {
        /// One datagram.
        Udp = "udp",
        /// One length-prefixed message of a connection (RFC 1035 section 4.2.2).
        Tcp = "tcp",
        /// One length-prefixed message of a TLS connection (RFC 7858).
        Tls = "tls",
        /// One HTTP exchange (RFC 8484).
        Https = "https",
        /// One QUIC stream (RFC 9250).
        Quic = "quic",
    }
}

labelled! {
    /// The type asked for, as far as it is worth a counter of its own.
    QueryType {
        /// A.
        A = "a",
        /// AAAA.
        Aaaa = "aaaa",
        /// NS.
        Ns = "ns",
        /// SOA.
        Soa = "soa",
        /// CNAME.
        Cname = "cname",
        /// MX.
        Mx = "mx",
        /// TXT.
        Txt = "txt",
        /// PTR.
        Ptr = "ptr",
        /// SRV.
        Srv = "srv",
        /// CAA.
        Caa = "caa",
        /// HTTPS and SVCB.
        Https = "https",
        /// DS and DNSKEY.
        Dnssec = "dnssec",
        /// ANY.
        Any = "any",
        /// AXFR and IXFR.
        Transfer = "transfer",
        /// Any other type.
        Other = "other",
        /// No question could be read.
        None = "none",
    }
}

impl Transport {
    /// Whether messages come by connections.
    pub const fn has_connections(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether nobody on the way can read the message.
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}

impl QueryType {
    /// The counter for a QTYPE.
    pub const fn of(number: u16) -> Self {
        match number {
            1 => Self::A,
            28 => Self::Aaaa,
            2 => Self::Ns,
            6 => Self::Soa,
            5 => Self::Cname,
            15 => Self::Mx,
            16 => Self::Txt,
            12 => Self::Ptr,
            33 => Self::Srv,
            257 => Self::Caa,
            64 | 65 => Self::Https,
            43 | 48 => Self::Dnssec,
            255 => Self::Any,
            251 | 252 => Self::Transfer,
            _ => Self::Other,
        }
    }
}

labelled! {
    /// What else happened at the doors; these are beside the outcomes, not among them.
    Event {
        /// A UDP reply went out with TC set.
        Truncated = "udp_truncated",
        /// A reply went out that would have been limited, were that not only tried.
        RateExceeded = "rate_exceeded",
        /// A message that was to be written down was not: whoever writes could not follow.
        TapLost = "tap_lost",
        /// A datagram that the kernel dropped because the socket's buffer was full; never seen, so not received.
        ReceiveOverflow = "udp_receive_overflow",
        /// A UDP reply that the kernel would not send.
        SendFailed = "udp_send_failed",
    }
}

labelled! {
    /// What happens to connections, beside the messages that they carry; counted for each transport.
    ConnectionEvent {
        /// It was taken.
        Accepted = "accepted",
        /// It was closed at once: too many in all, or too many of its prefix.
        Refused = "refused",
        /// It had been taken and was closed, for whatever reason.
        Closed = "closed",
        /// It was closed because it asked nothing for too long.
        Idle = "idle",
        /// It was closed because it would not read its replies.
        Slow = "slow",
        /// The kernel would not give it to us (no file descriptors, no memory).
        AcceptFailed = "accept_failed",
        /// It was closed because too many were at their handshake.
        HandshakeRefused = "handshake_refused",
        /// Its handshake failed, or took too long.
        HandshakeFailed = "handshake_failed",
        /// A handshake was whole.
        HandshakeDone = "handshake_done",
        /// A handshake was whole that went on with the session of an earlier one.
        Resumed = "resumed",
        /// It was closed because its proxy sent no PROXY header, or a broken one.
        ProxyMalformed = "proxy_malformed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn labels_are_distinct_and_fit_for_export() {
        for labels in [
            Outcome::ALL.iter().map(|outcome| outcome.label()).collect::<Vec<_>>(),
            Event::ALL.iter().map(|event| event.label()).collect(),
            ConnectionEvent::ALL.iter().map(|event| event.label()).collect(),
            QueryType::ALL.iter().map(|kind| kind.label()).collect(),
        ] {
            assert_eq!(labels.iter().collect::<HashSet<_>>().len(), labels.len());
            assert!(labels.iter().all(|label| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        }
    }

    #[test]
    fn a_type_without_a_counter_of_its_own_is_other() {
        assert_eq!(QueryType::of(28), QueryType::Aaaa);
        assert_eq!(QueryType::of(65280), QueryType::Other);
        assert_eq!(QueryType::of(0), QueryType::Other);
    }
}
