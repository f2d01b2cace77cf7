//! A simulation for scripts.

use std::net::IpAddr;

use serde::Serialize;

use super::Played;
use crate::simulate::{Departure, Minute, Report};

/// The form of `--json`. Lists without a name of their own have one number a minute; numbers of clients are means.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    seed: u64,
    resolvers: u32,
    clients: u64,
    /// Clients of the largest resolver.
    largest: u32,
    /// Answers that the server gave.
    answers: u64,
    worst: Option<ToldWorst>,
    departures: Vec<ToldDeparture>,
    members: Vec<ToldMember>,
    present: Vec<f64>,
    idle: Vec<f64>,
    lost: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct ToldWorst {
    minute: usize,
    address: IpAddr,
    overload: f64,
}

#[derive(Debug, Serialize)]
struct ToldDeparture {
    event: &'static str,
    address: IpAddr,
    /// Seconds from the start.
    at: u32,
    clients: f64,
    /// Seconds from the event until 99 % had left.
    left: Option<u32>,
    rest: f64,
}

#[derive(Debug, Serialize)]
struct ToldMember {
    address: IpAddr,
    /// Clients that try it first.
    tried: Vec<f64>,
    /// Clients that it serves.
    served: Vec<f64>,
    overload: Vec<Option<f64>>,
}

impl Told {
    pub(super) fn of(played: &Played) -> Self {
        let Played { scenario, report } = played;
        let each = |number: fn(&Minute) -> f64| report.minutes.iter().map(number).collect();
        Self {
            seed: scenario.seed,
            resolvers: scenario.audience.resolvers,
            clients: report.clients,
            largest: report.largest,
            answers: report.answers,
            worst: report.worst.map(|worst| ToldWorst {
                minute: worst.minute,
                address: report.members[worst.member],
                overload: worst.overload,
            }),
            departures: report.departures.iter().map(ToldDeparture::of).collect(),
            members: (0..report.members.len()).map(|member| ToldMember::of(report, member)).collect(),
            present: each(|minute| minute.present),
            idle: each(|minute| minute.idle),
            lost: each(|minute| minute.lost),
        }
    }
}

impl ToldDeparture {
    fn of(departure: &Departure) -> Self {
        let Departure { event, before, left, rest } = *departure;
        Self { event: event.change.name(), address: event.address, at: event.at, clients: before, left, rest }
    }
}

impl ToldMember {
    fn of(report: &Report, member: usize) -> Self {
        let minutes = &report.minutes;
        Self {
            address: report.members[member],
            tried: minutes.iter().map(|minute| minute.tried[member]).collect(),
            served: minutes.iter().map(|minute| minute.served[member]).collect(),
            overload: minutes.iter().map(|minute| minute.overload(member)).collect(),
        }
    }
}
