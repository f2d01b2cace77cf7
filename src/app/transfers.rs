//! Transfers as the API has them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::status::{texts, zone_as_json};
use crate::admin::{self, api};
use crate::announce;
use crate::reload::Standing as OfFiles;
use crate::replicate::{Handle, Round, Standing, Standings, State, Watched, Watches};
use crate::wire::Name;

pub(super) fn as_json(standings: &Standings, watches: &Watches, told: &announce::Standings) -> api::Transfers {
    let standings = standings.all();
    // A catalog that this server writes stands among them, and comes from nobody.
    let secondaries = standings.iter().filter(|(_, standing)| !standing.primaries.is_empty());
    let secondaries = secondaries.map(|(apex, standing)| secondary(apex, standing)).collect();
    let watched = watches.all().iter().map(|((apex, server), watched)| as_watched(apex, *server, watched)).collect();
    let notified = told.all().into_iter().map(|(zone, server, standing)| api::Notified {
        zone: zone.to_string(),
        server,
        serial: standing.serial.0,
        tries: standing.tries,
        acknowledged: standing.acknowledged,
        error: standing.error,
    });
    api::Transfers { secondaries, watched, notified: notified.collect() }
}

fn as_watched(apex: &Name, server: SocketAddr, watched: &Watched) -> api::Watched {
    api::Watched {
        zone: apex.to_string(),
        server,
        ours: watched.ours.map(|serial| serial.0),
        theirs: watched.theirs.map(|serial| serial.0),
        lag: watched.lag.map(|lag| lag.as_secs_f64()),
        late: watched.late,
        answered: watched.answered,
        error: watched.error.clone(),
    }
}

fn secondary(apex: &Name, standing: &Standing) -> api::Secondary {
    api::Secondary {
        zone: apex.to_string(),
        state: standing.state.name().to_owned(),
        serial: standing.serial.map(|serial| serial.0),
        records: standing.records,
        primaries: standing.primaries.clone(),
        primary: standing.primary,
        received: standing.received,
        checked: standing.checked,
        next: standing.next,
        expires: standing.expires,
        error: standing.error.clone(),
        catalog: standing.catalog.as_ref().map(Name::to_string),
        misfits: standing.misfits.clone(),
        incremental: standing.incremental,
        whole: standing.whole,
        failed: standing.failed,
    }
}

/// The zones without a file beside those of files that are `wanted`, by name.
pub(super) fn zones(
    files: &[Arc<OfFiles>],
    standings: &Standings,
    wanted: impl Fn(&OfFiles) -> bool,
) -> Vec<api::Zone> {
    let mut secondaries = standings.all();
    let mut zones: BTreeMap<Name, api::Zone> = files
        .iter()
        .filter(|zone| wanted(zone))
        .map(|of_files| {
            let mut zone = zone_as_json(of_files);
            if !of_files.has_file {
                let standing = secondaries.remove(&of_files.source.apex).unwrap_or_default();
                zone.file = of_files.source.policy().display().to_string();
                lay_over(&mut zone, &standing);
                zone.errors.extend(texts(&of_files.errors));
            }
            (of_files.source.apex.clone(), zone)
        })
        .collect();
    for (apex, standing) in secondaries.into_iter().filter(|(_, standing)| standing.catalog.is_some()) {
        let mut zone = api::Zone {
            name: apex.to_string(),
            file: String::new(),
            state: api::ZoneState::Broken,
            serial: None,
            records: 0,
            loaded: None,
            errors: Vec::new(),
            held: Vec::new(),
            warnings: Vec::new(),
        };
        lay_over(&mut zone, &standing);
        zones.insert(apex, zone);
    }
    zones.into_values().collect()
}

fn lay_over(zone: &mut api::Zone, standing: &Standing) {
    zone.state = match standing.state {
        State::Current => api::ZoneState::Current,
        State::Retrying => api::ZoneState::Stale,
        State::Waiting | State::Expired => api::ZoneState::Broken,
    };
    zone.serial = standing.serial.map(|serial| serial.0);
    zone.records = standing.records;
    zone.loaded = standing.received;
    zone.errors = standing.error.iter().map(|error| format!("no transfer: {error}")).collect();
    zone.warnings.extend(standing.misfits.iter().cloned());
}

pub(super) fn retry_by(handle: Handle) -> admin::Retry {
    Box::new(move |zone, force| {
        let handle = handle.clone();
        Box::pin(async move {
            let apex = match Name::from_text(zone.as_bytes()) {
                Ok(apex) => apex.to_lower(),
                Err(error) => return Some(retried(zone, Err(format!("no name of a zone: {error}")))),
            };
            let told = handle.retry(&apex, force).await?;
            Some(retried(apex.to_string(), told))
        })
    })
}

fn retried(zone: String, told: Result<Round, String>) -> api::Retried {
    let (before, after, error) = match told {
        Ok(Round::Same(serial)) => (Some(serial.0), Some(serial.0), None),
        Ok(Round::Taken { before, after }) => (before.map(|serial| serial.0), Some(after.0), None),
        Err(error) => (None, None, Some(error)),
    };
    api::Retried { zone, before, after, error }
}
