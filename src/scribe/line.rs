//! One query as a line of the log. Names are master file text, in which nothing stands unescaped that is not printable ASCII,
//! and all else is numbers and words of our own: whoever asks writes nothing else into the log.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::metrics::Outcome;
use crate::net::Prefix;
use crate::tap::Exchange;
use crate::wire::{Class, Edns, LowerName, NameRef, Opcode, Query, Rcode, Subnet};

/// What a line says, in this order.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// When the query was read.
    time: String,
    client: String,
    transport: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opcode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    rtype: Option<String>,
    /// Flags of the query.
    flags: Vec<&'static str>,
    /// Octets of the largest datagram that the client takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<u16>,
    /// Whose cookies the client has sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<String>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode: Option<String>,
    /// Flags of the reply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reply_flags: Vec<&'static str>,
    /// Octets of the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    octets: Option<usize>,
    /// Microseconds from when the query was read until the reply was there.
    took_us: u64,
}

impl Line {
    /// The line of one exchange; `networks` has only the networks of clients told.
    pub(super) fn of(exchange: &Exchange<'_>, networks: bool) -> Self {
        let mut line = Self {
            time: time(exchange.asked),
            client: client(exchange.client, networks),
            transport: exchange.transport.label(),
            opcode: None,
            name: None,
            class: None,
            rtype: None,
            flags: Vec::new(),
            payload: None,
            cookie: None,
            subnet: None,
            outcome: exchange.outcome.label(),
            rcode: None,
            reply_flags: Vec::new(),
            octets: exchange.reply.map(<[u8]>::len),
            took_us: exchange.took.as_micros() as u64,
        };
        line.read_query(exchange.query, networks);
        if let Some(header) = exchange.reply.and_then(|reply| reply.first_chunk::<4>()) {
            line.rcode = Some(rcode(header[3], exchange.outcome).to_string());
            line.reply_flags = flags(*header, &[(2, 0x04, "aa"), (2, 0x02, "tc")]);
        }
        line
    }

    fn read_query(&mut self, message: &[u8], networks: bool) {
        let Ok(query) = Query::new(message) else { return };
        if let Some(header) = message.first_chunk::<4>() {
            self.flags = flags(*header, &[(2, 0x01, "rd"), (3, 0x20, "ad"), (3, 0x10, "cd")]);
        }
        self.opcode = Some(query.opcode()).filter(|opcode| *opcode != Opcode::QUERY).map(|opcode| opcode.to_string());
        let Ok(question) = query.question(&mut LowerName::default()) else { return };
        // As it was written, whatever its case.
        let name = NameRef::parse(&message[crate::wire::HEADER..]);
        self.name = name.ok().map(|name| name.to_string());
        self.rtype = Some(question.qtype.to_string());
        self.class = Some(question.qclass).filter(|class| *class != Class::IN).map(|class| class.to_string());
        let Some(edns) = query.extras(&question).ok().and_then(|extras| extras.edns) else { return };
        self.read_options(&edns, networks);
    }

    fn read_options(&mut self, edns: &Edns<'_>, networks: bool) {
        self.payload = Some(edns.payload);
        self.flags.extend(edns.dnssec_ok.then_some("do"));
        self.cookie = edns.cookie.map(|cookie| if cookie.server.is_empty() { "client" } else { "server" });
        self.subnet = edns.subnet.map(|Subnet { address, prefix }| {
            let network = Prefix::network_of(address);
            match networks && network.len() < prefix {
                true => network.to_string(),
                false => format!("{address}/{prefix}"),
            }
        });
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, client, transport, outcome, took_us, .. } = self;
        write!(f, "{time} query client={client} transport={transport}")?;
        let words = |list: &[&'static str]| Some(list.join(",")).filter(|text| !text.is_empty());
        let text = |text: &Option<String>| text.clone();
        field(f, "opcode", text(&self.opcode))?;
        field(f, "name", text(&self.name))?;
        field(f, "class", text(&self.class))?;
        field(f, "type", text(&self.rtype))?;
        field(f, "flags", words(&self.flags))?;
        field(f, "payload", self.payload)?;
        field(f, "cookie", self.cookie)?;
        field(f, "subnet", text(&self.subnet))?;
        write!(f, " outcome={outcome}")?;
        field(f, "rcode", text(&self.rcode))?;
        field(f, "reply_flags", words(&self.reply_flags))?;
        field(f, "octets", self.octets)?;
        write!(f, " took_us={took_us}")
    }
}

fn field(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name}={value}"))
}

fn time(since_1970: Duration) -> String {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    let time = Timestamp::new(seconds, since_1970.subsec_nanos() as i32);
    time.map_or_else(|_| seconds.to_string(), |time| format!("{time:.6}"))
}

fn client(client: SocketAddr, networks: bool) -> String {
    if networks { Prefix::network_of(client.ip()).to_string() } else { client.to_string() }
}

/// The upper bits stand in OPT, at the end of the reply; the outcome says which of them it was.
fn rcode(lower: u8, outcome: Outcome) -> Rcode {
    match outcome {
        Outcome::BadVers => Rcode::BADVERS,
        Outcome::BadCookie => Rcode::BADCOOKIE,
        _ => Rcode(u16::from(lower & 15)),
    }
}

fn flags(header: [u8; 4], wanted: &[(usize, u8, &'static str)]) -> Vec<&'static str> {
    wanted.iter().filter(|(octet, bit, _)| header[*octet] & bit != 0).map(|(_, _, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Transport;
    use crate::tap::Purposes;

    fn exchange<'m>(query: &'m [u8], reply: Option<&'m [u8]>, outcome: Outcome) -> Exchange<'m> {
        Exchange {
            purposes: Purposes { dnstap: false, log: true },
            transport: Transport::Udp,
            outcome,
            client: "192.0.2.77:4711".parse().expect("an address"),
            local: "192.0.2.53:53".parse().expect("an address"),
            asked: Duration::new(1_700_000_000, 123_456_789),
            took: Duration::from_nanos(12_345),
            query,
            reply,
        }
    }

    const QUERY: &[u8] = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\x01\x03wWw\x07example\x04test\0\0\x1c\0\x01\
        \0\0\x29\x04\xd0\0\0\x80\0\0\x18\0\x0a\0\x08abcdefgh\0\x08\0\x08\0\x01\x20\0\xc6\x33\x64\x07";

    #[test]
    fn a_line_says_what_was_asked_and_what_became_of_it() {
        let reply = b"\x12\x34\x86\x03 and so on";
        let shown = |networks| Line::of(&exchange(QUERY, Some(reply), Outcome::NxDomain), networks).to_string();
        assert_eq!(
            shown(false),
            "2023-11-14T22:13:20.123456Z query client=192.0.2.77:4711 transport=udp name=wWw.example.test. type=AAAA \
             flags=rd,cd,do payload=1232 cookie=client subnet=198.51.100.7/32 outcome=nxdomain rcode=NXDOMAIN \
             reply_flags=aa,tc octets=14 took_us=12"
        );
        assert!(shown(true).contains(" client=192.0.2.0/24 "), "{}", shown(true));
        assert!(shown(true).contains(" subnet=198.51.100.0/24 "), "{}", shown(true));
    }

    #[test]
    fn json_says_the_same() {
        let line = Line::of(&exchange(QUERY, None, Outcome::DropRate), false);
        let json = serde_json::to_value(&line).expect("JSON");
        assert_eq!(json["client"], "192.0.2.77:4711");
        assert_eq!((json["name"].as_str(), json["type"].as_str()), (Some("wWw.example.test."), Some("AAAA")));
        assert_eq!((json["outcome"].as_str(), json.get("rcode")), (Some("drop_rate"), None));
        assert_eq!((json["payload"].as_u64(), json["took_us"].as_u64()), (Some(1232), Some(12)));
    }

    #[test]
    fn nobody_writes_control_characters_or_another_line_into_the_log() {
        let name = b"\x0b\n\x1b[31m =\"\\\x7f\0\xff";
        let mut query = b"\0\0\0\0\0\x01\0\0\0\0\0\0".to_vec();
        query.extend([name.len() as u8 - 1]);
        query.extend(&name[1..]);
        query.extend(b"\0\0\xff\0\x03");
        let line = Line::of(&exchange(&query, None, Outcome::Refused), false).to_string();
        assert!(line.bytes().all(|octet| (0x20..0x7f).contains(&octet)), "{line:?}");
        assert!(line.contains("name=\\010\\027[31m\\032=\\\"\\\\\\127\\000\\255. class=CH type=ANY"), "{line}");
    }

    #[test]
    fn what_is_no_query_has_a_line_all_the_same() {
        for octets in [&b""[..], b"short", &[0x80; 12], b"\0\0\x08\0\0\x01\0\0\0\0\0\0\xc0"] {
            let line = Line::of(&exchange(octets, None, Outcome::DropShort), false).to_string();
            assert!(line.contains("transport=udp") && !line.contains("name="), "{line}");
        }
        let line = Line::of(&exchange(QUERY, Some(b"\0\0\x80\x01"), Outcome::BadVers), false);
        assert!(line.to_string().contains("rcode=BADVERS"));
    }
}
