//! The state of the program as the admin listener and the control socket show it.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::{alerts, certificates, server_name, transfers};
use crate::admin::{self, api};
use crate::announce;
use crate::health::Table;
use crate::metrics::{Registry, Transport};
use crate::reload::{Change, Extent, Fault, Handle, Look, Looks, Overview, Pass, Severity, Standing};
use crate::replicate::{Standings, Watches};
use crate::server::Bound;
use crate::snapshot::Publisher;

/// How zones come from others and go to them.
pub(super) type Others = (Standings, Watches, Arc<announce::Standings>);
/// What does not change while the process runs, and the certificates that it shows.
pub(super) type Process = (certificates::List, Vec<api::Listening>, api::Privileges, Timestamp);

/// What the admin listener and the control socket show.
pub(super) fn watched(
    publisher: &Arc<Publisher>,
    (table, registry): (Arc<Table>, Arc<Registry>),
    overview: watch::Receiver<Arc<Overview>>,
    (standings, watches, told): Others,
    (certificates, listen, privileges, started): Process,
) -> admin::Sources {
    let (of_zones, naming) = (standings.clone(), publisher.reader());
    admin::Sources {
        reader: publisher.reader(),
        table,
        registry,
        files: Box::new(move |wanted| files_as_json(&overview.borrow(), &of_zones, wanted)),
        transfers: Box::new(move || transfers::as_json(&standings, &watches, &told)),
        certificates,
        listen,
        privileges,
        alerts: alerts::list(),
        name: Box::new(move || server_name(&naming.load().settings)),
        recent: admin::Recent::default(),
        started,
    }
}

/// Where DNS is answered.
pub(super) fn listening(bound: &Bound) -> Vec<api::Listening> {
    let at = |transport: Transport, address: &SocketAddr| api::Listening {
        transport: transport.label().to_owned(),
        address: *address,
    };
    let plain = bound.addresses().iter();
    let all = plain.flat_map(|address| [at(Transport::Udp, address), at(Transport::Tcp, address)]);
    #[cfg(feature = "encrypted")]
    let all = all.chain(bound.encrypted_addresses().iter().map(|(transport, address)| at(*transport, address)));
    all.collect()
}

pub(super) fn reload_by(handle: Handle) -> admin::Reload {
    Box::new(move |force| {
        let (handle, look) = (handle.clone(), if force { Look::Forced } else { Look::All });
        Box::pin(async move { handle.reload(look).await.map(pass_as_json) })
    })
}

fn pass_as_json(pass: Pass) -> api::Reloaded {
    let (errors, warnings): (Vec<_>, Vec<_>) = pass.faults.iter().partition(|fault| fault.severity == Severity::Error);
    let (errors, warnings) = (texts(errors), texts(warnings));
    api::Reloaded {
        zones: pass.served,
        changed: pass.changed.into_iter().map(change_as_json).collect(),
        errors,
        warnings,
    }
}

fn change_as_json(change: Change) -> api::Change {
    let extent = |Extent { serial, records }| api::Extent { serial: serial.0, records };
    let pools = change.pools.into_iter().map(|pool| api::PoolChange {
        pool: pool.pool.to_string(),
        rtype: pool.rtype.to_string(),
        members: pool.members,
        added: pool.added,
        removed: pool.removed,
    });
    api::Change {
        zone: change.zone.to_string(),
        before: change.before.map(extent),
        after: change.after.map(extent),
        pools: pools.collect(),
    }
}

fn files_as_json(overview: &Overview, standings: &Standings, wanted: admin::Zones) -> admin::Files {
    let wanted = |zone: &Standing| wanted == admin::Zones::All || !zone.is_current();
    let Looks { good, faulty, last, took, taken } = overview.looks.clone();
    let (taken, changed) = taken.unzip();
    let changed = changed.into_iter().flatten().map(change_as_json).collect();
    admin::Files {
        faults: texts(&overview.faults),
        zones: transfers::zones(&overview.zones, standings, wanted),
        reloads: api::Reloads { good, faulty, last, took: took.as_secs_f64(), taken, changed },
    }
}

pub(super) fn zone_as_json(standing: &Standing) -> api::Zone {
    let Standing { source, has_file: _, served, errors, held, warnings } = standing;
    api::Zone {
        name: source.apex.to_string(),
        file: source.zone.display().to_string(),
        state: match served {
            None => api::ZoneState::Broken,
            Some(_) if !held.is_empty() => api::ZoneState::Held,
            Some(_) if errors.is_empty() => api::ZoneState::Current,
            Some(_) => api::ZoneState::Stale,
        },
        serial: served.map(|served| served.serial.0),
        records: served.map_or(0, |served| served.records),
        loaded: served.map(|served| served.loaded),
        errors: texts(errors),
        held: texts(held),
        warnings: texts(warnings),
    }
}

pub(super) fn texts<'a>(faults: impl IntoIterator<Item = &'a Fault>) -> Vec<String> {
    faults.into_iter().map(Fault::to_string).collect()
}
