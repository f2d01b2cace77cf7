//! The task that brings members back to their whole weight, step by step.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use crate::processor;
use crate::snapshot::Publisher;

/// Lets `publisher` give members that have come back more weight whenever it is due. It ends only when it is dropped.
pub async fn warm(publisher: Arc<Publisher>) {
    let mut generations = publisher.generations();
    loop {
        generations.mark_unchanged();
        let due = publisher.next_step().map(Instant::from_std);
        tokio::select! {
            changed = generations.changed() => if changed.is_err() {
                return;
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let publisher = Arc::clone(&publisher);
                if processor::aside(move || publisher.warm()).await.is_err() {
                    tracing::error!("the weights of members that have come back could not be raised");
                }
            }
        }
    }
}
