//! Verdicts over restarts: a file in the state folder, written after flips and at the end of the program.
//!
//! ```text
//! state/health.json ──open──► Table, until each probe has a first result
//!         ▲                     │
//!         └──── a second after a flip, every hour, at the end
//! ```

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep};
use tracing::{error, info, warn};

use crate::drain::Moment;
use crate::health::{Finding, Table, Verdict};
use crate::processor;
use crate::reload::keep;

/// The file, in the state folder. Nobody is to edit it.
const FILE: &str = "health.json";
/// After a flip the file may lag so long: flips of a large pool come many at a time.
const LAG: Duration = Duration::from_secs(1);
/// So often it is written though nothing has flipped, so that its date tells how old the verdicts are even when the
/// program had no time to write at its end.
const AT_LEAST: Duration = Duration::from_hours(1);
/// Who was down so long ago may have come back many times since.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);

/// The file and whose verdicts are in it.
#[derive(Debug)]
pub(super) struct Memory {
    file: PathBuf,
    table: Arc<Table>,
    written: Mutex<Written>,
    /// Whether the file is this process's to write.
    ours: watch::Receiver<bool>,
}

/// What was written last.
#[derive(Debug, Default)]
struct Written {
    findings: Vec<Finding>,
    /// Whether the last attempt failed, which has been told then.
    failing: bool,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    written: Timestamp,
    verdicts: Vec<KeptVerdict>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptVerdict {
    address: IpAddr,
    check: String,
    verdict: KeptWord,
    since: Timestamp,
}

/// A verdict that is worth keeping.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptWord {
    Up,
    Down,
}

impl Memory {
    /// Lets `table` recall what the file in the folder `state` says, before anything is probed. Whatever is wrong with the
    /// file is told, and nothing is recalled then.
    pub(super) fn open(state: &Path, table: &Arc<Table>, ours: watch::Receiver<bool>) -> Arc<Self> {
        let file = state.join(FILE);
        match read(&file) {
            Ok(Some(kept)) => recall(&kept, table, &now(), &file),
            Ok(None) => {}
            Err(error) => warn!("{}: {error}; verdicts begin anew", file.display()),
        }
        Arc::new(Self { file, table: Arc::clone(table), written: Mutex::default(), ours })
    }

    /// Keeps the file up to date, until it is dropped or there will be no more snapshots.
    pub(super) async fn run(self: Arc<Self>, mut generations: watch::Receiver<u64>) {
        let mut hours = interval_at(Instant::now() + AT_LEAST, AT_LEAST);
        loop {
            let is_due = tokio::select! {
                biased;
                _ = hours.tick() => true,
                // A flip makes a generation; so do other things, and then nothing is written.
                changed = generations.changed() => match changed {
                    Ok(()) => {
                        sleep(LAG).await;
                        false
                    }
                    Err(_) => return,
                },
            };
            let memory = Arc::clone(&self);
            let write = move || memory.write(|before, findings| is_due || before != findings);
            if let Err(panic) = processor::aside(write).await {
                error!("verdicts could not be written: {panic}");
            }
        }
    }

    /// Writes the file as it is to be when the program ends.
    pub(super) fn keep(&self) {
        self.write(|_, _| true);
    }

    /// Writes what is found if that is `wanted` after what was written last; says whether it has been written.
    fn write(&self, wanted: impl Fn(&[Finding], &[Finding]) -> bool) -> bool {
        // Held throughout: two at a time would write the same file.
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let findings = self.table.findings();
        if !*self.ours.borrow() || !wanted(&written.findings, &findings) {
            return false;
        }
        let text = serde_json::to_string_pretty(&as_kept(&findings, &now())).expect("plain fields");
        match keep::replace(&self.file, &(text + "\n")) {
            Ok(()) => *written = Written { findings, failing: false },
            Err(error) if !written.failing => {
                written.failing = true;
                warn!("{}: {error}; verdicts would not survive a restart", self.file.display());
            }
            Err(_) => {}
        }
        !written.failing
    }
}

/// `None` when there is no file.
fn read(file: &Path) -> Result<Option<Kept>, String> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| error.to_string()),
    }
}

fn recall(kept: &Kept, table: &Table, now: &Moment, file: &Path) {
    if now.wall.duration_since(kept.written) > OLDEST {
        return info!("{}: written {}, more than a day ago; verdicts begin anew", file.display(), kept.written);
    }
    table.recall(kept.verdicts.iter().map(|kept| Finding {
        address: kept.address,
        target: kept.check.as_str().into(),
        verdict: match kept.verdict {
            KeptWord::Up => Verdict::Up,
            KeptWord::Down => Verdict::Down,
        },
        // The clock of people may have been set back meanwhile, and no verdict is of tomorrow.
        since: now.steady_at(kept.since, Duration::ZERO),
    }));
}

fn as_kept(findings: &[Finding], now: &Moment) -> Kept {
    let verdicts = findings.iter().filter_map(|found| {
        let verdict = match found.verdict {
            Verdict::Unknown => return None,
            Verdict::Up => KeptWord::Up,
            Verdict::Down => KeptWord::Down,
        };
        let since = now.wall_at(found.since);
        Some(KeptVerdict { address: found.address, check: found.target.to_string(), verdict, since })
    });
    Kept { written: now.wall, verdicts: verdicts.collect() }
}

/// By the runtime's clock, which probes count by, and by that of people.
fn now() -> Moment {
    Moment { steady: Instant::now().into_std(), wall: Timestamp::now() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::health::{CheckId, ProbeKey, Reason, Rules};

    fn key(host: u8) -> ProbeKey {
        let second = Duration::from_secs(1);
        let rules =
            Rules { interval: second, timeout: second, fast_interval: second, rise: 2, fall: 2, jitter_percent: 0 };
        ProbeKey { address: [192, 0, 2, host].into(), check: CheckId::new("tcp port=80", rules) }
    }

    /// Of three members the first is up, the second is down, and the third was not heard of.
    fn table(since: std::time::Instant) -> Arc<Table> {
        let table = Arc::new(Table::default());
        table.follow(&[key(1), key(2), key(3)], since);
        table.observe(&key(1), Ok(()), since);
        table.observe(&key(2), Err(Reason::new("refused")), since);
        table
    }

    fn verdicts(table: &Table) -> [Verdict; 3] {
        [1, 2, 3].map(|host| table.known(&key(host)).verdict)
    }

    const HEARD: [Verdict; 3] = [Verdict::Up, Verdict::Down, Verdict::Unknown];

    /// The table of the next process.
    fn next(state: &Path) -> Arc<Table> {
        let table = Arc::new(Table::default());
        open(state, &table);
        table
    }

    fn open(state: &Path, table: &Arc<Table>) -> Arc<Memory> {
        Memory::open(state, table, watch::channel(true).1)
    }

    fn hours_ago(hours: i64) -> Timestamp {
        Timestamp::now() - SignedDuration::from_hours(hours)
    }

    #[test]
    fn the_next_process_knows_who_is_down_and_since_when() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = table(std::time::Instant::now() - Duration::from_secs(100));
        open(folder.path(), &before).keep();
        let file = folder.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
        let table = next(folder.path());
        assert_eq!(verdicts(&table), HEARD, "before anything is followed");
        table.follow(&[key(2), key(3)], std::time::Instant::now());
        assert_eq!(verdicts(&table), [Verdict::Unknown, Verdict::Down, Verdict::Unknown]);
        let seconds = || table.report(&key(2)).expect("it is followed").since.elapsed().as_secs();
        assert!((100..110).contains(&seconds()), "{}", seconds());
        table.observe(&key(2), Err(Reason::new("refused")), std::time::Instant::now());
        assert!((100..110).contains(&seconds()), "it is what it was");
        table.observe(&key(2), Ok(()), std::time::Instant::now());
        assert_eq!(verdicts(&table)[1], Verdict::Down, "a result of its own has come, and rise counts");
        table.follow(&[key(1), key(2)], std::time::Instant::now());
        assert_eq!(verdicts(&table)[0], Verdict::Unknown, "who was not there at the start is new");
    }

    #[test]
    fn the_first_result_outweighs_what_was_recalled() {
        let folder = tempfile::tempdir().expect("a folder");
        open(folder.path(), &table(std::time::Instant::now())).keep();
        let table = next(folder.path());
        let now = std::time::Instant::now();
        table.follow(&[key(1), key(2)], now);
        table.observe(&key(1), Err(Reason::new("refused")), now);
        table.observe(&key(2), Ok(()), now);
        assert_eq!(verdicts(&table)[..2], [Verdict::Down, Verdict::Up]);
        assert_eq!(table.known(&key(2)).recovered, None, "a start is no recovery");
    }

    #[test]
    fn what_cannot_be_read_or_is_too_old_is_not_recalled() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, before) = (folder.path().join(FILE), table(std::time::Instant::now()));
        let with_date = |written| serde_json::to_string(&Kept { written, ..as_kept(&before.findings(), &now()) });
        let whole = with_date(Timestamp::now()).expect("JSON");
        for (text, recalled) in [
            (whole.clone(), true),
            (whole[..whole.len() / 2].to_owned(), false),
            (String::new(), false),
            (whole.replace("down", "asleep"), false),
            (with_date(hours_ago(23)).expect("JSON"), true),
            (with_date(hours_ago(25)).expect("JSON"), false),
            (with_date(hours_ago(-25)).expect("JSON"), true),
        ] {
            std::fs::write(&file, &text).expect("the file");
            let expected = if recalled { HEARD } else { [Verdict::Unknown; 3] };
            assert_eq!(verdicts(&next(folder.path())), expected, "{text}");
        }
    }

    #[test]
    fn nothing_is_written_while_the_folder_is_another_processs() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ours, receiver) = watch::channel(false);
        let memory = Memory::open(folder.path(), &table(std::time::Instant::now()), receiver);
        memory.keep();
        assert!(!folder.path().join(FILE).exists());
        ours.send_replace(true);
        memory.keep();
        assert!(folder.path().join(FILE).exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_costs_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let memory = open(&state, &table(std::time::Instant::now()));
        assert!(!memory.write(|_, _| true) && !memory.write(|_, _| true));
        assert!(memory.written.lock().expect("no panic").failing);
        std::fs::create_dir(&state).expect("a folder");
        assert!(memory.write(|before, findings| before != findings));
        assert!(!memory.write(|before, findings| before != findings), "nothing has changed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flip_is_written_a_second_later_and_the_date_every_hour() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, table) = (folder.path().join(FILE), table(Instant::now().into_std()));
        let memory = open(folder.path(), &table);
        let (generations, generation) = watch::channel(1);
        let task = tokio::spawn(Arc::clone(&memory).run(generation));
        let text = || std::fs::read_to_string(&file).unwrap_or_default();
        let start = Instant::now();
        generations.send_replace(2);
        while text().is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
        assert!(start.elapsed() >= LAG, "{:?}", start.elapsed());
        std::fs::remove_file(&file).expect("the file");
        while text().is_empty() {
            sleep(Duration::from_secs(10)).await;
        }
        assert!((AT_LEAST..AT_LEAST + Duration::from_mins(1)).contains(&start.elapsed()), "{:?}", start.elapsed());
        drop(generations);
        task.await.expect("it ends");
    }
}
