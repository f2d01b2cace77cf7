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
