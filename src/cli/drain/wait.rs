//! Waiting until the last lawful copy is gone.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Target, list};
use crate::admin::api::{self, Place};
use crate::cli::Failure;

/// How often the server is asked.
const LOOK: Duration = Duration::from_millis(500);
/// A server that is restarted meanwhile goes on counting where it was.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns when no old answer that may still live names any of the members.
///
/// # Errors
/// When the drain has ended before, or the server is gone for good.
pub(super) fn until_gone(state: &Path, target: &Target, first: api::Drains) -> Result<api::Drains, Failure> {
    let bar = ProgressBar::new(0).with_style(style());
    let (mut now, mut silent_since) = (first, None);
    loop {
        if !now.drains.iter().any(|drain| target.is_drain(drain)) {
            bar.finish_and_clear();
            return Err(Failure::refuted(format!("{} is drained no more, and may be handed out", target.addr)));
        }
        let members: Vec<&api::DrainedMember> = now.members.iter().filter(|member| target.is_member(member)).collect();
        if members.iter().all(|member| member.place == Place::Gone) {
            bar.finish_and_clear();
            return Ok(now);
        }
        show(&bar, &members);
        thread::sleep(LOOK);
        match list(state) {
            Ok(listing) => (now, silent_since) = (listing, None),
            Err(failure) if silent_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE => {
                bar.finish_and_clear();
                return Err(failure);
            }
            Err(_) => bar.set_message("the server does not answer"),
        }
    }
}

fn show(bar: &ProgressBar, members: &[&api::DrainedMember]) {
    let served = members.iter().filter(|member| member.place == Place::Served).count();
    let left = members.iter().filter_map(|member| member.gone_in).max().unwrap_or(0);
    if bar.length().unwrap_or(0) < left {
        bar.set_length(left);
    }
    bar.set_position(bar.length().unwrap_or(0) - left);
    bar.set_message(match served {
        0 => format!("the last copy is gone in {left}s"),
        served => format!("{served} still handed out, for want of others"),
    });
}

/// On a terminal only; elsewhere it draws nothing.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {msg}").expect("a template of constants")
}
