//! The stream of what changes on a page: events as the browser's own reader of them takes them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::interval;

use super::super::reading::Shown;
use super::super::refusal::{malformed, refuse};
use super::frame;
use super::view::{View, Words};
use crate::admin::api::Status;

/// Streams at once. A page is for a few people, and each stream has its HTML made every second.
const MOST: usize = 16;
const PACE: Duration = Duration::from_secs(1);
/// A stream that had nothing to say so often says that it is there: whose reader has gone to another page is noticed then,
/// and gives its place back.
const SILENCE: u32 = 2;

/// All streams.
#[derive(Clone)]
pub(super) struct Streams {
    shown: Shown,
    places: Arc<Semaphore>,
    /// All streams of a second show the same status.
    latest: Arc<Mutex<Option<Latest>>>,
}

/// When it was made, and what it says.
type Latest = (Instant, Arc<Status>);

impl Streams {
    pub(super) fn new(shown: Shown) -> Self {
        Self { shown, places: Arc::new(Semaphore::new(MOST)), latest: Arc::default() }
    }

    async fn status(&self) -> Option<Arc<Status>> {
        let known = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, status)) = known
            && at.elapsed() < PACE / 2
        {
            return Some(status);
        }
        let status = Arc::new(self.shown.status().await?);
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&status)));
        Some(status)
    }

    /// Sends what has changed until nobody reads, or there is nothing to tell any more.
    async fn run(self, view: View, mut sender: Sender<Bytes>, _place: OwnedSemaphorePermit) {
        let (mut sent, mut silent, mut beats) = (HashMap::new(), 0, interval(PACE));
        loop {
            beats.tick().await;
            let Some(status) = self.status().await else { return };
            let Some(sections) = view.sections(&status) else { return };
            let changed: HashMap<&str, &String> =
                sections.iter().filter(|(id, html)| sent.get(id) != Some(html)).map(|(id, html)| (*id, html)).collect();
            let event = match changed.is_empty() {
                true if silent < SILENCE => {
                    silent += 1;
                    continue;
                }
                true => ": still here\n\n".to_owned(),
                false => {
                    let said = json!({
                        "facts": frame::facts(&status),
                        "alerts": status.alerts.len(),
                        "sections": changed,
                    });
                    format!("data: {said}\n\n")
                }
            };
            silent = 0;
            if sender.send_data(Bytes::from(event)).await.is_err() {
                return;
            }
            sent = sections.into_iter().collect();
        }
    }
}

pub(super) async fn events(State(streams): State<Streams>, words: Result<Query<Words>, QueryRejection>) -> Response {
    let Query(words) = match words {
        Ok(words) => words,
        Err(fault) => return malformed(&fault),
    };
    let Ok(place) = Arc::clone(&streams.places).try_acquire_owned() else {
        let text = format!("{MOST} pages are followed already; this one shows what was when it was read");
        return refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let name = words.view.clone().unwrap_or_default();
    let (sender, body) = Channel::new(1);
    tokio::spawn(streams.run(View::new(&name, words), sender, place));
    ([(CONTENT_TYPE, "text/event-stream")], Body::new(body)).into_response()
}
