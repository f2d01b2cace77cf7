//! Layer 3: sockets and the state folder pass from a running process to the one that replaces it.
//!
//! ```text
//! old process                     handover.sock in the state folder                     new process
//!   from now on nothing is kept  ◄───────────────── connects ─────────────────  with all that its start may do
//!   copies of every descriptor   ─────────────────────────────────────────────►  reads settings, zones, state; probes
//!   still answers …                                                               answers, too
//!   takes no more                ◄───────────────── "serving" ────────────────
//!   ends its connections         ───────────────── "released" ────────────────►  keeps the state from now on
//! ```
//!
//! * A socket and what waits at it lives for as long as any process has it: between the two no query is lost.
//! * Until "serving" the new one changes nothing, and the old one can go on: if the connection ends before, it does.
//! * Who connects is the server's own user or root, by the file's mode and by what the kernel says of the peer.
//!
//! Not here: what the descriptors are for (`server`, `admin`), and what each process does meanwhile (`app`).

use std::fs::Permissions;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use rustix::process::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::sync::mpsc;
use tracing::warn;

/// The file name of the socket in the state folder.
pub const SOCKET: &str = "handover.sock";

/// A descriptor and what it is for.
pub type Passed = (String, OwnedFd);

/// Everything that is passed.
#[derive(Debug, Default)]
pub struct Offer {
    /// Descriptors.
    pub passed: Vec<Passed>,
    /// How often the service manager wants to hear that all is well; it tells only the first process.
    pub watchdog: Option<Duration>,
}

/// What the new process asks for, step by step.
#[derive(Debug)]
pub enum Step {
    /// Everything that is to be passed.
    Asked(SyncSender<Offer>),
    /// It has gone: all is as it was.
    Abandoned,
    /// It answers. When this process takes no more and keeps nothing more, it is to be told.
    Serving {
        /// The process.
        pid: u32,
        /// To be told then.
        released: SyncSender<()>,
    },
}

/// Listens where the process after this one will ask.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(state: &Path) -> io::Result<Socket> {
    let path = state.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(&path)?)?;
    // Before `listen` nobody can connect.
    std::fs::set_permissions(&path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Serves those who ask, one after the other, until one of them has taken over. What they ask goes to `steps`.
///
/// # Errors
/// When the system gives no thread.
pub fn offer(listener: Socket, steps: mpsc::UnboundedSender<Step>) -> io::Result<()> {
    let serve = move || {
        loop {
            match listener.accept() {
                Ok((peer, _)) => match give(&peer, &steps) {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => warn!("a process that wanted to take over did not: {error}"),
                },
                Err(error) => {
                    warn!("no process can take over: {error}");
                    return;
                }
            }
        }
    };
    thread::Builder::new().name("handover".into()).spawn(serve).map(drop)
}

/// Says whether the peer has taken over.
fn give(peer: &Socket, steps: &mpsc::UnboundedSender<Step>) -> io::Result<bool> {
    let user = user_of(peer)?;
    if user != geteuid().as_raw() && user != ROOT {
        return Err(io::Error::other(format!("it runs as user {user}")));
    }
    let gone = |_| io::Error::other("this process is about to end");
    let (reply, passed) = sync_channel(1);
    steps.send(Step::Asked(reply)).map_err(gone)?;
    let offer = passed.recv().map_err(|_| io::Error::other("this process is about to end"))?;
    let taken = pass(peer, &offer);
    drop(offer);
    match taken {
        Ok(pid) => {
            let (released, done) = sync_channel(1);
            steps.send(Step::Serving { pid, released }).map_err(gone)?;
            // Whoever serves must not wait for ever for a process that has ended in between.
            let _ = done.recv();
            let _ = send(peer, RELEASED, None);
            Ok(true)
        }
        Err(error) => {
            steps.send(Step::Abandoned).map_err(gone)?;
            Err(error)
        }
    }
}

/// The user who has connected, as the kernel knows it.
#[cfg(target_os = "linux")]
fn user_of(peer: &Socket) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(peer)?.uid.as_raw())
}

/// The user who has connected, as the kernel knows it.
#[cfg(not(target_os = "linux"))]
fn user_of(peer: &Socket) -> io::Result<u32> {
    Ok(nix::unistd::getpeereid(peer)?.0.as_raw())
}

/// Sends everything, and waits until the peer serves; returns its process id.
fn pass(peer: &Socket, Offer { passed, watchdog }: &Offer) -> io::Result<u32> {
    peer.set_write_timeout(Some(PATIENCE))?;
    peer.set_read_timeout(Some(PREPARATION))?;
    for (name, descriptor) in passed {
        send(peer, name, Some(descriptor))?;
    }
    let microseconds = watchdog.map_or(0, |granted| granted.as_micros());
    send(peer, &format!("{THAT_IS_ALL}{microseconds}"), None)?;
    let (word, _) = receive(peer)?;
    if word.is_empty() {
        return Err(io::Error::other("it has ended before it served"));
    }
    let pid = word.strip_prefix(SERVING).and_then(|pid| pid.parse().ok());
    pid.ok_or_else(|| io::Error::other("it says what nobody understands"))
}

/// The new process's end of the connection.
#[derive(Debug)]
pub struct Heir(Socket);

/// Asks the process that runs on `state` for everything that it has.
///
/// # Errors
/// When none runs there, or it passes nothing.
pub fn ask(state: &Path) -> io::Result<(Offer, Heir)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.connect(&SockAddr::unix(state.join(SOCKET))?)?;
    // It may have to end another handover first.
    socket.set_read_timeout(Some(PREPARATION))?;
    let mut passed = Vec::new();
    loop {
        let (word, descriptor) = receive(&socket)?;
        match (word.strip_prefix(THAT_IS_ALL).and_then(|rest| rest.parse().ok()), descriptor) {
            (Some(microseconds), None) => {
                let watchdog = Some(Duration::from_micros(microseconds)).filter(|granted| !granted.is_zero());
                return Ok((Offer { passed, watchdog }, Heir(socket)));
            }
            (_, Some(descriptor)) => passed.push((word, descriptor)),
            _ => return Err(io::Error::other("the running server does not pass its sockets on; its log says why")),
        }
    }
}

impl Heir {
    /// Tells that this process answers; returns when the other takes no more, and keeps nothing more. Blocks.
    ///
    /// # Errors
    /// When the other has gone before: this process has what it had, but nobody let go of it.
    pub fn serving(&self) -> io::Result<()> {
        send(&self.0, &format!("{SERVING}{}", process::id()), None)?;
        self.0.set_read_timeout(Some(PATIENCE))?;
        // One that ends instead has let go as well.
        let _ = receive(&self.0);
        Ok(())
    }
}

fn send(socket: &Socket, word: &str, descriptor: Option<&OwnedFd>) -> io::Result<()> {
    let descriptors = descriptor.map(AsFd::as_fd);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.as_slice().is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors.as_slice()));
    }
    let mut message = [0; MESSAGE];
    message[..word.len()].copy_from_slice(word.as_bytes());
    // The descriptor goes with the first octet, whatever becomes of the others.
    let sent = sendmsg(socket, &[IoSlice::new(&message)], &mut control, SendFlags::empty())?;
    (&*socket).write_all(&message[sent..])
}

/// One message, and the descriptor that came with it; an empty one is the end.
fn receive(socket: &Socket) -> io::Result<(String, Option<OwnedFd>)> {
    let mut message = [0; MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut message)], &mut control, RecvFlags::empty())?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    if let Some(descriptor) = &descriptor {
        // Not every system does so on receipt. Only a process that starts gets one, and it runs nothing yet.
        fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
    }
    if received.bytes > 0 {
        (&*socket).read_exact(&mut message[received.bytes..])?;
    }
    let word = message.split(|octet| *octet == 0).next().unwrap_or_default();
    Ok((String::from_utf8_lossy(word).into_owned(), descriptor))
}

/// And the microseconds of the watchdog.
const THAT_IS_ALL: &str = "that is all, watchdog ";
/// And the process id.
const SERVING: &str = "serving ";
const RELEASED: &str = "released";
/// Octets of a message: a word, and zeros behind it.
const MESSAGE: usize = 64;
/// The user id that may do everything.
const ROOT: u32 = 0;
/// Who may connect: the user that the server runs as, and root.
const MODE: u32 = 0o600;
const BACKLOG: i32 = 4;
/// How long the other may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to read its zones. While it does, this process keeps nothing of what changes.
const PREPARATION: Duration = Duration::from_mins(15);

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_pass_and_who_goes_away_takes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (sender, mut steps) = mpsc::unbounded_channel();
        offer(listen(folder.path()).expect("a socket"), sender).expect("a thread");
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        let theirs = OwnedFd::from(theirs);
        for attempt in 0..2 {
            let asking = {
                let state = folder.path().to_owned();
                thread::spawn(move || ask(&state).expect("it is offered"))
            };
            let Some(Step::Asked(reply)) = steps.blocking_recv() else { panic!("it asks") };
            let pair = ("pair".to_owned(), theirs.try_clone().expect("a descriptor"));
            let passed = vec![("a".into(), theirs.try_clone().expect("a descriptor")), pair];
            let watchdog = Some(Duration::from_secs(30));
            reply.send(Offer { passed, watchdog }).expect("it waits");
            let (Offer { passed, watchdog }, heir) = asking.join().expect("no panic");
            assert_eq!(watchdog, Some(Duration::from_secs(30)));
            assert_eq!(passed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "pair"]);
            if attempt == 0 {
                drop(heir);
                assert!(matches!(steps.blocking_recv(), Some(Step::Abandoned)));
                continue;
            }
            let serving = thread::spawn(move || heir.serving());
            let Some(Step::Serving { pid, released }) = steps.blocking_recv() else { panic!("it serves") };
            assert_eq!(pid, process::id());
            released.send(()).expect("it waits");
            serving.join().expect("no panic").expect("released");
            let mut stream = UnixStream::from(passed.into_iter().next_back().expect("two").1);
            stream.write_all(b"by the new process").expect("a stream");
            let mut octets = [0; 18];
            ours.read_exact(&mut octets).expect("what was written");
            assert_eq!(&octets, b"by the new process");
        }
    }
}
