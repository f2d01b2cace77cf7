//! Why one question of one client is answered as it is.
//!
//! ```text
//! name, type, client ──► the engine's own answer ──► reply ──► aliases, hand, TTL
//!                                                     │
//! snapshot: the zone at the end of the aliases ───────┴─► place: why this name
//!           its pool, verdicts, drains ─────────────────► pool: why these members, and this TTL
//! ```
//!
//! The reply is not worked out anew: it is what the engine gives to a client with that address.

mod place;
mod pool;
mod reply;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;

use super::api::{Drains, Explanation};
use super::reading::Shown;
use super::refusal::{ending, malformed, refuse};
use super::status::{Clock, Sources};
use crate::answer::{Client, Dealer, Outcome, answer};
use crate::metrics::{Outcome as Label, Transport};
use crate::net::Access;
use crate::snapshot::Snapshot;
use crate::wire::{Class, LowerName, Name, Type};
use place::Place;
use reply::Read;

/// The words after the question mark of [`EXPLAIN_PATH`](super::api::EXPLAIN_PATH).
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    name: String,
    #[serde(rename = "type")]
    rtype: Option<String>,
    from: Option<IpAddr>,
}

pub(super) async fn explain(State(shown): State<Shown>, words: Result<Query<Words>, QueryRejection>) -> Response {
    let words = match words {
        Ok(Query(words)) => words,
        Err(fault) => return malformed(&fault),
    };
    let Some(drains) = shown.drains.list().await else { return ending() };
    match words.read().map(|asked| shown.sources.explain(&asked, &drains)) {
        Ok(Some(explanation)) => Json(explanation).into_response(),
        Ok(None) => refuse(StatusCode::CONFLICT, "a zone transfer, which begins with no one reply"),
        Err(fault) => refuse(StatusCode::BAD_REQUEST, fault),
    }
}

impl Words {
    fn read(&self) -> Result<Asked, String> {
        let rtype = self.rtype.as_deref().unwrap_or("A");
        Ok(Asked {
            name: Name::from_text(self.name.as_bytes()).map_err(|error| error.to_string())?,
            rtype: Type::from_text(rtype.as_bytes()).ok_or_else(|| format!("{rtype} is no type"))?,
            from: self.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        })
    }
}

/// The question that is to be explained, and who asks it.
struct Asked {
    name: Name,
    rtype: Type,
    from: IpAddr,
}

impl Asked {
    /// The question with a plain OPT, so that the reply may say why.
    fn query(&self) -> Vec<u8> {
        let mut query = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        query.extend(self.name.borrow().as_bytes());
        query.extend([self.rtype.0, Class::IN.0].map(u16::to_be_bytes).concat());
        query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        query
    }
}

impl Sources {
    /// `None` for what has no one reply.
    fn explain(&self, asked: &Asked, drains: &Drains) -> Option<Explanation> {
        let (snapshot, clock) = (self.reader.load(), Clock::now());
        let client = Client { address: asked.from, transport: Transport::Tcp, now: clock.seconds() };
        let mut buffer = vec![0; usize::from(u16::MAX)];
        let mut dealer = Dealer::new(rand::random());
        let Outcome::Reply { len, label, .. } = answer(&snapshot, &asked.query(), &client, &mut dealer, &mut buffer)
        else {
            return None;
        };
        let reply = &buffer[..len];
        let read = Read::of(reply, asked.rtype).expect("the engine writes messages");
        let mut explanation = Explanation {
            name: asked.name.to_string(),
            rtype: asked.rtype.to_string(),
            from: asked.from,
            generation: snapshot.generation,
            zone: None,
            serial: None,
            outcome: label.label().to_owned(),
            why: Vec::new(),
            pool: None,
            reply: HEXLOWER.encode(reply),
        };
        self.reason(&snapshot, (asked, &read), (drains, &clock), &mut explanation);
        Some(explanation)
    }

    /// Fills in where the question leads, and why that is answered so.
    fn reason(
        &self,
        snapshot: &Snapshot,
        (asked, read): (&Asked, &Read),
        (drains, clock): (&Drains, &Clock),
        explanation: &mut Explanation,
    ) {
        let why = &mut explanation.why;
        let zones = snapshot.zones();
        let refused = explanation.outcome == Label::Refused.label();
        let turned_away = |list: &Access, whose: &str| turned_away(list, whose, asked.from).filter(|_| refused);
        if let Some(sentence) = turned_away(&snapshot.settings.query, "kofn.toml") {
            why.push(sentence);
            return;
        }
        let Some(served) = zones.find(&LowerName::of(asked.name.borrow())) else {
            why.push("no zone here holds the name".into());
            return;
        };
        let apex = zones.iter().find(|(_, zone)| Arc::ptr_eq(zone, served)).map(|(apex, _)| apex.to_string());
        explanation.zone.clone_from(&apex);
        if let Some(sentence) = turned_away(&served.policy.query, "the zone's policy") {
            why.push(sentence);
            return;
        }
        let Some(zone) = &served.zone else {
            why.push(match served.expired {
                true => "what the zone's primaries sent has expired, so it is not served any more".into(),
                false => "the zone is configured and has no data yet; `kofn status` says why".into(),
            });
            return;
        };
        explanation.serial = Some(zone.serial().0);
        let mut name = &asked.name;
        for target in &read.aliases {
            why.push(format!("{name} is an alias of {target}"));
            name = target;
        }
        let Some(place) = Place::of(zone, name) else {
            why.push(format!("{name} is not in this zone: who asks goes on with it elsewhere"));
            return;
        };
        why.push(place.sentence(zone, name));
        let Some((node, pool)) = place.node().and_then(|node| Some((node, served.pool_at(node)?))) else {
            why.extend(place.denial(zone, asked.rtype, read));
            return;
        };
        match self.explain_pool((zone, node), pool, (asked.rtype, read), (drains, clock)) {
            Some(explained) => explanation.pool = Some(explained),
            None => {
                why.push(format!("it is a pool, but not for {}: that is answered from the zone", asked.rtype));
                why.extend(place.denial(zone, asked.rtype, read));
            }
        }
    }
}

/// Why a client may not ask, if `list` says so.
fn turned_away(list: &Access, whose: &str, from: IpAddr) -> Option<String> {
    match list.rule(from) {
        _ if list.allows(from) => None,
        Some(prefix) => Some(format!("{from} may not ask: `deny` of [query] in {whose} has {prefix}")),
        None => Some(format!("{from} may not ask: `allow` of [query] in {whose} does not have it")),
    }
}
