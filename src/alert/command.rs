//! The command: a process for each delivery, and none that outlives its time.

use std::io;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{self, Child};

use super::outlet::DeliveryError;

/// A program and its arguments.
#[derive(Debug)]
pub(super) struct Command(pub(super) Vec<String>);

/// Kills the command and all that it has started, unless it has ended.
struct Leash(Option<Pid>);

impl Command {
    pub(super) async fn run(&self, text: &str, json: &str) -> Result<(), DeliveryError> {
        let [program, arguments @ ..] = &self.0[..] else { return Ok(()) };
        let mut command = process::Command::new(program);
        command.args(arguments).env("KOFN_ALERT", text).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let passing = |error: io::Error| DeliveryError::Passing(format!("{program}: {error}"));
        let mut child = command.spawn().map_err(passing)?;
        let mut leash = Leash(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        feed(&mut child, json).await;
        let status = child.wait().await.map_err(passing)?;
        leash.0 = None;
        if status.success() { Ok(()) } else { Err(DeliveryError::Passing(format!("{program}: {status}"))) }
    }
}

/// A command that does not read is told by its environment all the same.
async fn feed(child: &mut Child, json: &str) {
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(json.as_bytes()).await;
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // The group may have ended at this very moment.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command(["/bin/sh", "-c", script].map(str::to_owned).into())
    }

    #[tokio::test]
    async fn it_reads_the_document_and_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let command = shell(&format!("cat > {at}/json; printf %s \"$KOFN_ALERT\" > {at}/text"));
        command.run("down: www", "{}").await.unwrap();
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!((read("json"), read("text")), ("{}".to_owned(), "down: www".to_owned()));
    }

    #[tokio::test]
    async fn what_fails_is_told() {
        let error = shell("exit 3").run("", &"x".repeat(1 << 20)).await.expect_err("3");
        assert_eq!(error.to_string(), "/bin/sh: exit status: 3");
        let error = Command(vec!["/no/such".to_owned()]).run("", "").await.expect_err("nothing there");
        assert_eq!(error.to_string(), "/no/such: No such file or directory (os error 2)");
    }

    #[tokio::test]
    async fn what_does_not_end_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let alive = folder.path().join("alive");
        // The grandchild holds the pipe open: its end is the end of all who could write to it.
        assert!(std::process::Command::new("mkfifo").arg(&alive).status().unwrap().success());
        let script = format!("(sleep 1000 > {0}) & echo up > {0}; wait", alive.display());
        let pipe = alive.clone();
        let reader = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe));
        let command = shell(&script);
        let run = command.run("", "");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(300), run).await.is_err());
        assert_eq!(reader.await.unwrap().unwrap(), "up\n");
    }
}
