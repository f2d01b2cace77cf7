//! Asks the witnesses: addresses that should always answer, so that their silence speaks against our own network.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::failure::Deadline;
use super::tcp;
use crate::health::{Belief, Testimony};

/// The witnesses, and when they are asked next.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    addresses: Vec<SocketAddr>,
    last: Option<Testimony>,
    /// The connections under way, and when they were begun.
    asking: Option<(Instant, JoinSet<bool>)>,
}

/// A witness that takes longer has not answered.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The least time from one question to the next while something waits for it: after an answer, and after none.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// The time from one question to the next while nothing does. So it is known in peace that they answer.
const PEACE: Duration = Duration::from_secs(60);

impl Witnesses {
    /// Follows the settings; says whether there are any witnesses.
    pub(super) fn follow(&mut self, addresses: &[SocketAddr]) -> bool {
        if self.addresses != addresses {
            *self = Self { addresses: addresses.to_vec(), ..Self::default() };
        }
        !addresses.is_empty()
    }

    /// What the witnesses say next. To be asked again after every change of `belief`; nothing is lost when it is dropped.
    pub(super) async fn next(&mut self, belief: Belief) -> Testimony {
        if self.addresses.is_empty() {
            std::future::pending::<()>().await;
        }
        let (asked, asking) = match &mut self.asking {
            Some(asking) => asking,
            None => {
                sleep_until(self.due(belief)).await;
                self.asking.insert((Instant::now(), connect_to_all(&self.addresses)))
            }
        };
        let (asked, mut answered) = (asked.into_std(), false);
        while let Some(connected) = asking.join_next().await {
            answered = connected.unwrap_or(false);
            if answered {
                break;
            }
        }
        self.asking = None;
        *self.last.insert(Testimony { answered, asked })
    }

    fn due(&self, belief: Belief) -> Instant {
        let Some(Testimony { answered, asked }) = self.last else { return Instant::now() };
        let pause = match (belief.needs_testimony(), answered) {
            (true, true) => PAUSES.0,
            (true, false) => PAUSES.1,
            (false, _) => PEACE,
        };
        Instant::from_std(asked + pause)
    }
}

/// Each tells whether its connection was made; dropping the set ends those under way.
fn connect_to_all(addresses: &[SocketAddr]) -> JoinSet<bool> {
    let deadline = Deadline::after(TIMEOUT);
    let connect = |address: &SocketAddr| {
        let address = *address;
        async move { tcp::connect(address, deadline).await.is_ok() }
    };
    addresses.iter().map(connect).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn closed_port() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address")
    }

    #[tokio::test]
    async fn one_that_answers_is_enough() {
        let witness = TcpListener::bind("127.0.0.1:0").await.expect("a witness");
        let mut witnesses = Witnesses::default();
        assert!(witnesses.follow(&[closed_port().await, witness.local_addr().expect("its address")]));
        assert!(witnesses.next(Belief::default()).await.answered);
    }

    #[tokio::test]
    async fn those_that_refuse_do_not_answer_and_are_asked_again_when_it_matters() {
        let mut witnesses = Witnesses::default();
        witnesses.follow(&[closed_port().await]);
        let first = witnesses.next(Belief::default()).await;
        assert!(!first.answered);
        let waiting = Belief { guarded: true, withheld: 1, ..Belief::default() };
        assert_eq!(witnesses.due(waiting).into_std(), first.asked + Duration::from_secs(1));
        assert_eq!(witnesses.due(Belief::default()).into_std(), first.asked + Duration::from_secs(60));
    }

    #[tokio::test]
    async fn a_question_under_way_survives_whoever_waits_for_it() {
        let witness = TcpListener::bind("127.0.0.1:0").await.expect("a witness");
        let mut witnesses = Witnesses::default();
        witnesses.follow(&[witness.local_addr().expect("its address")]);
        while witnesses.asking.is_none() {
            tokio::select! {
                biased;
                _ = witnesses.next(Belief::default()) => panic!("an answer at once"),
                () = tokio::task::yield_now() => {}
            }
        }
        let asked = witnesses.asking.as_ref().expect("a question under way").0.into_std();
        assert_eq!(witnesses.next(Belief::default()).await, Testimony { answered: true, asked });
    }
}
