//! The control socket: `control.sock` in the state folder, for the one who runs the server and nobody else.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// The file name of the socket in the state folder.
pub const SOCKET: &str = "control.sock";

/// Who may connect: the user that the server runs as.
const MODE: u32 = 0o600;
/// Of a state folder that is made here.
const PRIVATE: u32 = 0o700;
/// Whoever holds the lock on this file owns the state folder; the system lets go of it when the process ends, however.
const LOCK: &str = "lock";
const BACKLOG: i32 = 16;

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another process holds the lock.
    #[error("{}: another kofn runs on this state folder; stop it, or give this one its own with --state", .0.display())]
    InUse(PathBuf),
    /// The folder, the lock or the socket cannot be made.
    #[error("{}: {error}; the state folder must be writable (--state names another)", path.display())]
    Io {
        /// What could not be made.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The socket, bound, and the state folder, owned.
#[derive(Debug)]
pub struct Control {
    /// Where the commands connect.
    pub listener: UnixListener,
    /// To be kept until the end.
    pub ownership: Ownership,
}

impl Control {
    /// Makes the state folder where there is none, owns it and listens in it. A socket that a crash left behind is
    /// replaced: the lock says that nobody listens on it.
    ///
    /// # Errors
    /// When another server owns the folder, or it cannot be written.
    pub fn bind(state: &Path) -> Result<Self, ControlError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| ControlError::Io { path, error }
        };
        DirBuilder::new().recursive(true).mode(PRIVATE).create(state).map_err(at(state))?;
        let lock_path = state.join(LOCK);
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(MODE)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        lock.try_lock().map_err(|refusal| match refusal {
            TryLockError::WouldBlock => ControlError::InUse(state.to_owned()),
            TryLockError::Error(error) => ControlError::Io { path: lock_path, error },
        })?;
        let path = state.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path)(error)),
            _ => {}
        }
        let listener = listen(&path).map_err(at(&path))?;
        Ok(Self { listener, ownership: Ownership { path, lock, ours: true } })
    }

    /// What another process has made, and holds until this one says that it is its own.
    ///
    /// # Errors
    /// When the listener cannot be waited for.
    pub fn inherit(state: &Path, listener: OwnedFd, lock: OwnedFd) -> io::Result<Self> {
        let listener = UnixListener::from(listener);
        listener.set_nonblocking(true)?;
        Ok(Self { listener, ownership: Ownership { path: state.join(SOCKET), lock: lock.into(), ours: false } })
    }
}

/// The ownership of the state folder. Dropping it removes the socket.
#[derive(Debug)]
pub struct Ownership {
    path: PathBuf,
    /// As long as any process has it open, the folder is owned.
    lock: File,
    ours: bool,
}

impl Ownership {
    /// A copy of the lock, for the process that will own the folder.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        Ok(self.lock.try_clone()?.into())
    }

    /// Whether the socket ends with this process.
    pub fn set_ours(&mut self, ours: bool) {
        self.ours = ours;
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        // Best effort: the next server replaces what stays.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The mode is set between bind and listen: before it, nobody can connect.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_folder_has_one_owner_and_a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path();
        drop(UnixListener::bind(state.join(SOCKET)).expect("what a crash leaves"));

        let first = Control::bind(state).expect("the first server");
        let second = Control::bind(state).expect_err("the second server");
        assert!(matches!(second, ControlError::InUse(_)), "{second}");
        let mode = std::fs::metadata(state.join(SOCKET)).expect("the socket").permissions().mode();
        assert_eq!(mode & 0o777, MODE);

        drop(first);
        assert!(!state.join(SOCKET).exists(), "a stop takes the socket away");
        // A process that another test starts at this moment has the lock until it is the program that it starts.
        while let Err(refusal) = Control::bind(state) {
            assert!(matches!(refusal, ControlError::InUse(_)), "{refusal}");
            std::thread::yield_now();
        }
    }
}
