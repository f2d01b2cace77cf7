//! The `dns` check: one question by UDP, again by TCP when the answer is truncated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, Restrict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use super::failure::{Deadline, Failure, Phase};
use super::tcp;
use crate::config::DnsCheck;
use crate::wire::{Rcode, Type};

/// How often a question is sent by UDP within the timeout: one datagram that is lost says nothing of a member.
const SENDINGS: u32 = 3;

/// A question, and the answer that is expected.
#[derive(Debug)]
pub(super) struct Question {
    port: u16,
    query: Query,
    qtype: Type,
    expected: Option<RData>,
}

impl Question {
    pub(super) fn of(check: &DnsCheck) -> Self {
        let name = hickory_proto::rr::Name::from_bytes(check.qname.borrow().as_bytes()).expect("a name as wire");
        let rtype = RecordType::from(check.qtype.0);
        Self {
            port: check.port,
            query: Query::query(name, rtype),
            qtype: check.qtype,
            expected: check.answer.as_ref().and_then(|rdata| read_rdata(rdata, rtype)),
        }
    }

    /// Asks `address` and judges the answer; `timeout` is that of the whole probe.
    pub(super) async fn probe(&self, address: IpAddr, timeout: Duration) -> Result<(), Failure> {
        let (target, deadline) = (SocketAddr::new(address, self.port), Deadline::after(timeout));
        let mut question = Message::query();
        question.metadata.id = rand::random();
        // Members may be resolvers as well.
        question.metadata.recursion_desired = true;
        question.add_query(self.query.clone());
        let octets = question.to_vec().expect("a question fits");
        let exchange = by_udp(target, &question, &octets, timeout / SENDINGS);
        let answer = deadline.bound(Phase::Answer, exchange).await??;
        match answer.metadata.truncation {
            true => self.judge(&by_tcp(target, &question, &octets, deadline).await?),
            false => self.judge(&answer),
        }
    }

    fn judge(&self, answer: &Message) -> Result<(), Failure> {
        match Rcode(u16::from(answer.metadata.response_code)) {
            Rcode::NOERROR => {}
            other => return Err(Failure::Rcode(other)),
        }
        let mut records = answer.answers.iter().filter(|record| record.record_type() == self.query.query_type());
        let Some(first) = records.next() else { return Err(Failure::NoRecord(self.qtype)) };
        match &self.expected {
            Some(expected) if first.data != *expected && !records.any(|record| record.data == *expected) => {
                Err(Failure::Answer { found: first.data.to_string(), expected: expected.to_string() })
            }
            _ => Ok(()),
        }
    }
}

/// Sends the question every `pause` until its answer comes. What is no answer to it is passed over, for anyone can send that.
async fn by_udp(target: SocketAddr, question: &Message, octets: &[u8], pause: Duration) -> Result<Message, Failure> {
    let any: IpAddr = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(Failure::Connection)?;
    // A connected socket hears of a port that is closed, and of no other sender.
    socket.connect(target).await.map_err(Failure::Connection)?;
    let mut buffer = vec![0; 4096];
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(next) => {
                socket.send(octets).await.map_err(Failure::Connection)?;
                next += pause;
            }
            received = socket.recv(&mut buffer) => {
                let length = received.map_err(Failure::Connection)?;
                match Message::from_vec(&buffer[..length]) {
                    Ok(answer) if is_answer(&answer, question) => return Ok(answer),
                    // Broken, but under the number that only the member knows.
                    Err(error) if buffer[..length].starts_with(&octets[..2]) => return Err(Failure::NotDns(error.to_string())),
                    _ => {}
                }
            }
        }
    }
}

async fn by_tcp(target: SocketAddr, question: &Message, octets: &[u8], deadline: Deadline) -> Result<Message, Failure> {
    let mut stream = tcp::connect(target, deadline).await?;
    let exchange = async {
        let length = u16::try_from(octets.len()).expect("a question is short");
        stream.write_all(&[&length.to_be_bytes(), octets].concat()).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let answer =
        deadline.bound(Phase::Answer, exchange).await?.map_err(|error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Failure::Closed(Phase::Answer),
            _ => Failure::Connection(error),
        })?;
    let answer = Message::from_vec(&answer).map_err(|error| Failure::NotDns(error.to_string()))?;
    match is_answer(&answer, question) {
        true => Ok(answer),
        false => Err(Failure::OtherQuestion),
    }
}

fn is_answer(answer: &Message, question: &Message) -> bool {
    answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == question.queries
}

fn read_rdata(rdata: &[u8], rtype: RecordType) -> Option<RData> {
    let length = u16::try_from(rdata.len()).ok()?;
    RData::read(&mut BinDecoder::new(rdata), rtype, Restrict::new(length)).ok()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::A;
    use tokio::net::TcpListener;

    use super::*;
    use crate::wire::Name;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(150);

    fn check(port: u16, answer: Option<[u8; 4]>) -> DnsCheck {
        let answer = answer.map(|octets| octets.to_vec().into());
        DnsCheck { port, qname: Name::from_text(b"www.example.test").unwrap(), qtype: Type::A, answer }
    }

    async fn ask(check: &DnsCheck, timeout: Duration) -> Result<(), String> {
        let asked = Question::of(check).probe(Ipv4Addr::LOCALHOST.into(), timeout).await;
        asked.map_err(|failure| failure.to_string())
    }

    /// A nameserver that says what `answer` makes of each question, and returns how many questions came.
    fn nameserver(socket: UdpSocket, answer: impl Fn(Message, u32) -> Vec<Vec<u8>> + Send + 'static) {
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            for number in 1.. {
                let Ok((length, client)) = socket.recv_from(&mut buffer).await else { return };
                for reply in answer(Message::from_vec(&buffer[..length]).unwrap(), number) {
                    // The prober may have had its answer and be gone.
                    let _ = socket.send_to(&reply, client).await;
                }
            }
        });
    }

    async fn bound() -> (UdpSocket, u16) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        (socket, port)
    }

    fn reply(question: Message, addresses: &[[u8; 4]]) -> Message {
        let name = question.queries[0].name().clone();
        let mut reply = question.into_response();
        for octets in addresses {
            reply.add_answer(Record::from_rdata(name.clone(), 5, RData::A(A(Ipv4Addr::from(*octets)))));
        }
        reply
    }

    #[tokio::test]
    async fn the_answer_decides() {
        let (one, two) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        for (addresses, rcode, answer, result) in [
            (vec![one], ResponseCode::NoError, None, Ok(())),
            (vec![two, one], ResponseCode::NoError, Some(one), Ok(())),
            (vec![two], ResponseCode::NoError, Some(one), Err("the answer is 192.0.2.2, expected 192.0.2.1")),
            (vec![], ResponseCode::NoError, None, Err("the answer has no A record")),
            (vec![], ResponseCode::ServFail, None, Err("rcode SERVFAIL, expected NOERROR")),
            (vec![], ResponseCode::NXDomain, None, Err("rcode NXDOMAIN, expected NOERROR")),
        ] {
            let (socket, port) = bound().await;
            let given = addresses.clone();
            nameserver(socket, move |question, _| {
                let mut reply = reply(question, &given);
                reply.metadata.response_code = rcode;
                vec![reply.to_vec().unwrap()]
            });
            assert_eq!(ask(&check(port, answer), LONG).await, result.map_err(str::to_owned), "{addresses:?} {rcode}");
        }
    }

    #[tokio::test]
    async fn what_is_forged_is_passed_over_and_a_lost_question_is_asked_again() {
        let (socket, port) = bound().await;
        nameserver(socket, |question, number| {
            let right = reply(question, &[[192, 0, 2, 1]]);
            let (mut wrong_id, mut wrong_name) = (right.clone(), right.clone());
            wrong_id.metadata.id ^= 1;
            wrong_id.answers.clear();
            wrong_name.queries.clear();
            match number {
                1 => Vec::new(),
                2 => vec![wrong_id.to_vec().unwrap(), wrong_name.to_vec().unwrap()],
                _ => vec![right.to_vec().unwrap()],
            }
        });
        assert_eq!(ask(&check(port, Some([192, 0, 2, 1])), Duration::from_secs(3)).await, Ok(()));
    }

    #[tokio::test]
    async fn a_truncated_answer_is_asked_for_by_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = UdpSocket::bind(("127.0.0.1", port)).await.unwrap();
        nameserver(socket, |question, _| {
            let mut reply = reply(question, &[]);
            reply.metadata.truncation = true;
            vec![reply.to_vec().unwrap()]
        });
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut question).await.unwrap();
            let reply = reply(Message::from_vec(&question).unwrap(), &[[192, 0, 2, 1]]).to_vec().unwrap();
            stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        };
        let check = check(port, Some([192, 0, 2, 1]));
        let (asked, ()) = tokio::join!(ask(&check, LONG), serve);
        assert_eq!(asked, Ok(()));
    }

    #[tokio::test]
    async fn a_closed_port_silence_and_garbage_are_told_apart() {
        let (socket, port) = bound().await;
        assert_eq!(
            ask(&check(port, None), SHORT).await,
            Err("timed out after 150ms waiting for the answer".to_owned())
        );
        drop(socket);
        assert_eq!(ask(&check(port, None), LONG).await, Err("connection refused".to_owned()));
        let (socket, port) = bound().await;
        nameserver(socket, |question, _| vec![[&question.metadata.id.to_be_bytes()[..], b"garbage"].concat()]);
        let failure = ask(&check(port, None), LONG).await.expect_err("garbage");
        assert!(failure.starts_with("the answer is no DNS: "), "{failure}");
    }
}
