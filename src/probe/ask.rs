//! What the probes of one check share, and how one of them goes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::dns::Question;
use super::failure::{Deadline, Failure};
use super::hold::Kept;
use super::http::{Page, Sender};
use super::{exec, tcp};
#[cfg(feature = "encrypted")]
use crate::config::Trust;
use crate::config::{Check, CheckKind, ExecCheck, HttpCheck, TcpCheck};
use crate::health::{CheckId, Notice};
#[cfg(feature = "encrypted")]
use crate::tls::{Client, ClientError};

/// How a probe ended.
pub(super) struct Ended {
    /// What it leaves open, or why it did not pass.
    pub(super) result: Result<Kept, Failure>,
    /// What the answer said beside that.
    pub(super) notice: Notice,
}

/// A check, with what is made for it once.
#[derive(Debug)]
pub(super) struct Asker {
    timeout: Duration,
    means: Means,
}

#[derive(Debug)]
enum Means {
    Tcp(TcpCheck),
    Http(HttpCheck),
    #[cfg(feature = "encrypted")]
    Https(HttpCheck, Result<Client, ClientError>),
    Dns(Question),
    Exec(ExecCheck),
}

impl Asker {
    /// Asks `address` and judges the answer; first on `held`, the connection of the probe before.
    pub(super) async fn probe(&self, address: IpAddr, held: Option<Sender>) -> Ended {
        let mut notice = Notice::default();
        let result = self.ask(address, held, &mut notice).await;
        Ended { result, notice }
    }

    async fn ask(&self, address: IpAddr, held: Option<Sender>, notice: &mut Notice) -> Result<Kept, Failure> {
        let deadline = Deadline::after(self.timeout);
        match &self.means {
            Means::Tcp(tcp) => tcp::probe(address, tcp, deadline).await,
            #[cfg(feature = "encrypted")]
            Means::Https(check, client) => {
                let client = client.as_ref().map_err(|error| Failure::NoTrust(error.clone()))?;
                Page { check, tls: Some(client), deadline }.probe(address, held, notice).await
            }
            Means::Http(check) => {
                let page = Page {
                    check,
                    #[cfg(feature = "encrypted")]
                    tls: None,
                    deadline,
                };
                page.probe(address, held, notice).await
            }
            Means::Dns(question) => question.probe(address, self.timeout).await.map(|()| Kept::Nothing),
            Means::Exec(exec) => exec::probe(address, exec, self.timeout).await.map(|()| Kept::Nothing),
        }
    }
}

/// The askers of all checks in use.
#[derive(Debug, Default)]
pub(super) struct Askers {
    known: HashMap<CheckId, Arc<Asker>>,
    /// One for each trust, as the system's roots are many.
    #[cfg(feature = "encrypted")]
    clients: HashMap<Trust, Result<Client, ClientError>>,
}

impl Askers {
    /// Makes what `checks` need, and forgets all else.
    pub(super) fn follow<'a>(&mut self, checks: impl Iterator<Item = &'a Check>) {
        let mut before = std::mem::take(&mut self.known);
        for check in checks {
            if !self.known.contains_key(&check.id) {
                let asker = before.remove(&check.id).unwrap_or_else(|| Arc::new(self.asker(check)));
                self.known.insert(check.id.clone(), asker);
            }
        }
    }

    /// The asker of a check that is followed.
    pub(super) fn of(&self, check: &Check) -> Arc<Asker> {
        Arc::clone(self.known.get(&check.id).expect("whoever is probed is followed"))
    }

    fn asker(&mut self, check: &Check) -> Asker {
        let means = match &check.kind {
            CheckKind::Tcp(tcp) => Means::Tcp(tcp.clone()),
            CheckKind::Http(http) => self.page(http),
            CheckKind::Dns(dns) => Means::Dns(Question::of(dns)),
            CheckKind::Exec(exec) => Means::Exec(exec.clone()),
        };
        Asker { timeout: check.rules().timeout, means }
    }

    #[cfg(feature = "encrypted")]
    fn page(&mut self, http: &HttpCheck) -> Means {
        let Some(trust) = &http.tls else { return Means::Http(http.clone()) };
        let client = self.clients.entry(trust.clone()).or_insert_with(|| Client::new(trust, &[b"http/1.1"]));
        Means::Https(http.clone(), client.clone())
    }

    #[cfg(not(feature = "encrypted"))]
    #[expect(clippy::unused_self, reason = "there are no clients to share without TLS")]
    fn page(&mut self, http: &HttpCheck) -> Means {
        Means::Http(http.clone())
    }
}
