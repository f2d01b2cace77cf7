//! The `exec` check: a command is run, without a shell, and passes by ending with 0.

use std::net::IpAddr;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::failure::{Deadline, Failure, Phase};
use crate::config::ExecCheck;

/// Octets of what a command says that are kept: its first line becomes the reason of a failure.
const SAID_LIMIT: usize = 200;

/// How long what a command has said may take to be read after its end.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Runs the command about the member at `address`.
///
/// It has the search path of this process and what is set here, nothing else: what else stands in the environment of a
/// server is none of its business. It leads a process group, and no process of that group outlives the probe.
pub(super) async fn probe(address: IpAddr, exec: &ExecCheck, limit: Duration) -> Result<(), Failure> {
    let mut command = Command::new(&exec.program);
    command
        .args(&exec.arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("KOFN_ADDRESS", address.to_string())
        .env("KOFN_POOL", &exec.pool)
        .envs(exec.port.map(|port| ("KOFN_PORT", port.to_string())))
        .env("KOFN_TIMEOUT", limit.as_secs_f64().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let not_run = |error| Failure::NotRun { program: exec.program.clone(), error };
    let mut running = Running::of(command.spawn().map_err(not_run)?);
    let (ending, said) = Deadline::after(limit).bound(Phase::Command, running.end()).await?.map_err(not_run)?;
    match ending.success() {
        true => Ok(()),
        false => Err(Failure::Command { ending, said }),
    }
}

/// A command under way. When it is dropped its whole group is killed.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn of(child: Child) -> Self {
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Self { child, group }
    }

    /// Waits for the end of the command itself; returns how it ended and the first line that it said.
    async fn end(&mut self) -> std::io::Result<(ExitStatus, Option<String>)> {
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        let (mut heard, mut complained) = (Vec::new(), Vec::new());
        let status = {
            let mut listen = pin!(async { tokio::join!(hear(out, &mut heard), hear(err, &mut complained)) });
            tokio::select! {
                status = self.child.wait() => {
                    // What it said last may still be on its way. Its children may keep its output open for as long as they
                    // like: the command's own end is what counts.
                    let _ = timeout(LAST_WORDS, listen).await;
                    status?
                }
                _ = &mut listen => self.child.wait().await?,
            }
        };
        Ok((status, first_line(&complained).or_else(|| first_line(&heard))))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(group) = self.group else { return };
        match kill_process_group(group, Signal::KILL) {
            // Nobody is left.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => tracing::error!(%error, "the processes of a command could not be killed"),
        }
    }
}

/// Keeps the start of what comes, and takes the rest so that the command is not held up.
async fn hear(pipe: Option<impl AsyncRead + Unpin>, heard: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 1024];
    while let Ok(octets @ 1..) = pipe.read(&mut buffer).await {
        let room = SAID_LIMIT.saturating_sub(heard.len()).min(octets);
        heard.extend_from_slice(&buffer[..room]);
    }
}

/// The first line that is not empty, without what would move the cursor of a terminal.
fn first_line(heard: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(heard);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|character| !character.is_control()).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn script(text: &str) -> ExecCheck {
        let arguments = vec!["-c".to_owned(), text.to_owned()];
        ExecCheck { program: PathBuf::from("sh"), arguments, pool: "www.example.test".to_owned(), port: Some(8080) }
    }

    async fn run(text: &str, timeout: Duration) -> Result<(), String> {
        let address = IpAddr::from([192, 0, 2, 1]);
        probe(address, &script(text), timeout).await.map_err(|failure| failure.to_string())
    }

    #[tokio::test]
    async fn the_exit_status_decides_and_the_first_line_says_why() {
        for (text, result) in [
            ("exit 0", Ok(())),
            ("echo fine; exit 0", Ok(())),
            ("exit 3", Err("exit status: 3")),
            ("echo; echo ' the disk is full'; echo more; exit 1", Err("exit status: 1: the disk is full")),
            ("echo out; echo err >&2; exit 2", Err("exit status: 2: err")),
            ("printf 'a\\033[31mb'; exit 1", Err("exit status: 1: a[31mb")),
            ("kill -9 $$", Err("signal: 9 (SIGKILL)")),
        ] {
            assert_eq!(run(text, LONG).await, result.map_err(str::to_owned), "{text}");
        }
    }

    #[tokio::test]
    async fn the_command_knows_the_member_and_nothing_else() {
        let known =
            "test \"$KOFN_ADDRESS $KOFN_POOL $KOFN_PORT\" = '192.0.2.1 www.example.test 8080' && test -z \"$HOME\"";
        assert_eq!(run(known, LONG).await, Ok(()));
        let none = ExecCheck { program: "/nonexistent/alive".into(), ..script("") };
        let failure = probe(IpAddr::from([192, 0, 2, 1]), &none, LONG).await.expect_err("there is none");
        assert_eq!(failure.to_string(), "/nonexistent/alive cannot be run: no such file or directory");
        assert!(!failure.is_ours());
    }

    #[tokio::test]
    async fn a_million_octets_are_swallowed() {
        assert_eq!(run("head -c 1000000 /dev/zero | tr '\\0' x; exit 0", LONG).await, Ok(()));
        let failure = run("head -c 1000000 /dev/zero | tr '\\0' x; exit 1", LONG).await.expect_err("it fails");
        assert_eq!(failure.len(), "exit status: 1: ".len() + SAID_LIMIT);
    }

    #[tokio::test]
    async fn the_timeout_kills_the_command_and_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        // The child has the group of the command, and would live for an hour.
        let text = format!("sleep 3600 & echo $! > {}; wait", file.display());
        let begun = Instant::now();
        // Long enough for the child to be there.
        let failure = run(&text, Duration::from_secs(1)).await;
        assert_eq!(failure, Err("timed out after 1s waiting for the command".to_owned()));
        assert!(begun.elapsed() < LONG);
        gone(fs::read_to_string(&file).unwrap().trim()).await;
    }

    #[tokio::test]
    async fn a_child_that_stays_behind_holds_nothing_up_and_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        assert_eq!(run(&format!("sleep 3600 & echo $! > {}; exit 0", file.display()), LONG).await, Ok(()));
        gone(fs::read_to_string(&file).unwrap().trim()).await;
    }

    /// Waits until a process has ended, or waits for its parent to notice.
    async fn gone(pid: &str) {
        let state = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit(')').next()?.split_whitespace().next().map(str::to_owned)
        };
        let ended = async {
            while state().is_some_and(|state| state != "Z") {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, ended).await.expect("the child is killed");
    }
}
