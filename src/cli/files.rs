//! Zones as a server would have them, from the files alone.

use std::sync::Arc;

use super::Failure;
use super::settings::Zones;
use crate::reload::{self, Load, Source};
use crate::snapshot::{Facts, Publisher, ZoneSource};
use crate::wire::Name;

/// Publishes the zones in whose answer `name` may stand: its own and those above, of which one may hold the DS records.
///
/// # Errors
/// Settings, folder or a zone among them cannot be taken.
pub(super) fn publish(zones: &Zones, name: &Name) -> Result<Arc<Publisher>, Failure> {
    let settings = zones.settings()?;
    let folder = settings.zones.clone();
    let listing = reload::list(&folder).map_err(|error| Failure::no_input(format!("{}: {error}", folder.display())))?;
    let is_above = |source: &Source| name.borrow().is_within(source.apex.borrow());
    let sources: Vec<Source> = listing.sources.into_values().filter(is_above).collect();
    let loads = reload::load_all(&sources).into_iter();
    let is_zone = |load: &Load| load.good.as_ref().is_none_or(|good| !good.is_waiting());
    let zones: Result<Vec<ZoneSource>, Failure> = loads.filter(is_zone).map(zone_source).collect();
    let publisher = Publisher::new(Arc::new(settings), Facts::default());
    publisher.replace_zones(zones?);
    Ok(publisher)
}

fn zone_source(load: Load) -> Result<ZoneSource, Failure> {
    match load.good {
        Some(good) => Ok(ZoneSource { apex: load.source.apex, zone: good.zone, policy: good.policy }),
        None => {
            let lines: Vec<String> = load.errors().map(ToString::to_string).collect();
            Err(Failure::data(lines.join("\n       ")))
        }
    }
}
