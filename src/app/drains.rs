//! Drains between the control socket, which speaks JSON, and the task that keeps them.

use crate::admin::{DrainKeeper, Reply, api};
use crate::config;
use crate::drain::Drain;
use crate::net::Prefix;
use crate::reload::drains::{Ask, DrainHandle, Listing, Place, Standing};
use crate::wire::Name;

/// Passes on what is asked.
pub(super) struct Keeper(pub(super) DrainHandle);

impl DrainKeeper for Keeper {
    fn list(&self) -> Reply<api::Drains> {
        let handle = self.0.clone();
        Box::pin(async move { handle.list().await.map(as_json) })
    }

    fn drain(&self, ask: api::DrainAsk) -> Reply<Result<api::Drains, String>> {
        let handle = self.0.clone();
        Box::pin(async move {
            let ask = match read_ask(ask) {
                Ok(ask) => ask,
                Err(fault) => return Some(Err(fault)),
            };
            let done = handle.drain(ask).await?;
            Some(done.map(as_json).map_err(|refusal| refusal.to_string()))
        })
    }

    fn undrain(&self, ask: api::UndrainAsk) -> Reply<Result<api::Drains, String>> {
        let handle = self.0.clone();
        Box::pin(async move {
            let (addr, pool) = match (read_prefix(&ask.addr), read_pool(ask.pool.as_deref())) {
                (Ok(addr), Ok(pool)) => (addr, pool),
                (Err(fault), _) | (_, Err(fault)) => return Some(Err(fault)),
            };
            let done = handle.undrain(addr, pool).await?;
            Some(done.map(as_json).map_err(|refusal| refusal.to_string()))
        })
    }
}

fn read_ask(ask: api::DrainAsk) -> Result<Ask, String> {
    if let Some(lasts) = ask.lasts.as_deref().filter(|lasts| config::read_duration(lasts).is_none()) {
        return Err(format!("`{lasts}` is no duration, such as 2h or 1h30m"));
    }
    let (addr, pool) = (read_prefix(&ask.addr)?, read_pool(ask.pool.as_deref())?);
    Ok(Ask { addr, pool, lasts: ask.lasts, reason: ask.reason, force: ask.force })
}

fn read_prefix(text: &str) -> Result<Prefix, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn read_pool(text: Option<&str>) -> Result<Option<Name>, String> {
    let read = |text: &str| Name::from_text(text.as_bytes()).map(|name| name.to_lower());
    text.map(read).transpose().map_err(|error| error.to_string())
}

fn as_json(listing: Listing) -> api::Drains {
    let Listing { faults, drains, members } = listing;
    api::Drains {
        faults,
        drains: drains.iter().map(drain_as_json).collect(),
        members: members.iter().map(member_as_json).collect(),
    }
}

fn drain_as_json(drain: &Drain) -> api::Drain {
    api::Drain {
        addr: drain.addr.to_string(),
        pool: drain.pool.as_ref().map(Name::to_string),
        since: drain.since,
        until: drain.until(),
        reason: drain.reason.clone(),
    }
}

fn member_as_json(member: &Standing) -> api::DrainedMember {
    api::DrainedMember {
        pool: member.pool.to_string(),
        address: member.address,
        place: match member.place {
            Place::Served => api::Place::Served,
            Place::Cached => api::Place::Cached,
            Place::Gone => api::Place::Gone,
        },
        by: member.by.iter().map(Prefix::to_string).collect(),
        removed: member.removed,
        last_handed_out: member.last,
        largest_ttl: member.ttl,
        gone: member.gone,
        gone_in: member.gone_in,
    }
}
