//! The certificates of the encrypted doors: read with the zones, and shown with the status.

use crate::admin::api;
use crate::config::Settings;
use crate::reload::Beside;
use crate::server::Bound;
#[cfg(feature = "encrypted")]
use {
    crate::reload::{Fault, Severity},
    jiff::Timestamp,
    std::path::PathBuf,
    std::sync::Arc,
    tracing::info,
};

/// Says what is shown now.
pub(super) type List = Box<dyn Fn() -> Vec<api::Certificate> + Send + Sync>;

/// Has the certificates read with the zones.
#[cfg(feature = "encrypted")]
pub(super) fn followed(bound: &Bound) -> Option<Beside> {
    let certificates = Arc::clone(bound.certificates());
    let read = move |paths: &[PathBuf]| {
        let refreshed = certificates.refresh(paths, Timestamp::now());
        if refreshed.changed {
            for certificate in certificates.list() {
                let (file, names) = (certificate.file.display(), certificate.names.join(" "));
                info!(%file, names, ends = %certificate.ends, "certificate");
            }
        }
        let faults = refreshed.faults.into_iter();
        faults.map(|fault| Fault::whole(Severity::Error, &fault.file, fault.problem)).collect()
    };
    Some(Beside { paths: |settings| &settings.encrypted.certificates, read: Box::new(read) })
}

/// Reads the certificates while this is root still: the server's user may not be allowed to, and then these are shown until a
/// restart, and a fault says so.
#[cfg(feature = "encrypted")]
pub(super) fn read_ahead(bound: &Bound, settings: &Settings) {
    // What is wrong with them is told when they are read with the zones.
    let _ = bound.certificates().refresh(&settings.encrypted.certificates, Timestamp::now());
}

/// The certificates that are shown, for whoever asks.
#[cfg(feature = "encrypted")]
pub(super) fn shown(bound: &Bound) -> List {
    let certificates = Arc::clone(bound.certificates());
    Box::new(move || {
        let now = Timestamp::now();
        let shown = certificates.list().into_iter().map(|certificate| api::Certificate {
            names: certificate.names,
            file: certificate.file.display().to_string(),
            ends: certificate.ends,
            days_left: days_left(certificate.ends, now),
        });
        shown.collect()
    })
}

/// Whole days until then; -1 from that moment on.
#[cfg(feature = "encrypted")]
fn days_left(ends: Timestamp, now: Timestamp) -> i64 {
    ends.duration_since(now).as_secs().div_euclid(24 * 60 * 60)
}

#[cfg(not(feature = "encrypted"))]
pub(super) fn shown(_: &Bound) -> List {
    Box::new(Vec::new)
}

#[cfg(not(feature = "encrypted"))]
pub(super) const fn read_ahead(_: &Bound, _: &Settings) {}

#[cfg(not(feature = "encrypted"))]
pub(super) const fn followed(_: &Bound) -> Option<Beside> {
    None
}

#[cfg(all(test, feature = "encrypted"))]
mod tests {
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn what_has_ended_has_no_day_left() {
        let now = Timestamp::UNIX_EPOCH;
        let left = |ends: jiff::Span| days_left(now + ends, now);
        assert_eq!((left(47.hours()), left(23.hours()), left(1.minute())), (1, 0, 0));
        assert_eq!((left(-3.minutes()), left(-23.hours()), left(-25.hours())), (-1, -1, -2));
    }
}
