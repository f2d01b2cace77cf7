//! The user that the server becomes.

#[cfg(not(target_vendor = "apple"))]
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User, geteuid};
#[cfg(not(target_vendor = "apple"))]
use nix::unistd::{getgrouplist, setgroups, setresgid, setresuid};
use tracing::warn;

/// Why the process cannot become the user that the settings name.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nobody is called that.
    #[error("user: this system has no user {0:?}; `adduser --system --group {0}` makes one")]
    Unknown(String),
    /// The system's list of users cannot be read.
    #[error("user: {0:?} cannot be looked up: {1}")]
    LookUp(String, Errno),
    /// Only root becomes somebody else.
    #[error("user: only root becomes {0:?}, and this is {1:?}; start kofn as either of them, or leave `user` out")]
    NotRoot(String, String),
    /// The kernel refuses.
    #[error("user: {what} of {user:?}: {error}")]
    Refused {
        /// Which step.
        what: &'static str,
        /// Who was to be become.
        user: String,
        /// What the system says.
        error: Errno,
    },
    /// The system cannot put its groups aside.
    #[error("user: on this system nothing becomes {0:?} while it runs; start kofn as that user, and leave `user` out")]
    NotHere(String),
    /// A capability stays.
    #[error("user: capabilities cannot be given up: {0}")]
    Capabilities(io::Error),
    /// The state folder.
    #[error("{}: {error}; the state folder must be writable (--state names another)", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// A user of this system.
#[derive(Clone, Debug)]
pub struct Account(User);

impl Account {
    /// Who the settings name, if somebody is to be become: root becomes anybody, and everybody else is who they are.
    ///
    /// # Errors
    /// When there is no such user, or it is another one and we are not root.
    pub fn wanted(name: Option<&str>) -> Result<Option<Self>, UserError> {
        let Some(name) = name else {
            if geteuid().is_root() {
                warn!("runs as root; `user` in kofn.toml, or --user, names whom to become after the sockets are bound");
            }
            return Ok(None);
        };
        let found = User::from_name(name).map_err(|error| UserError::LookUp(name.to_owned(), error))?;
        let user = found.ok_or_else(|| UserError::Unknown(name.to_owned()))?;
        match geteuid() {
            own if own == user.uid => Ok(None),
            // What setgroups promises elsewhere, macOS does not: the groups of root could stay.
            own if own.is_root() && cfg!(target_vendor = "apple") => Err(UserError::NotHere(name.to_owned())),
            own if own.is_root() => Ok(Some(Self(user))),
            own => Err(UserError::NotRoot(name.to_owned(), name_of(own))),
        }
    }

    /// Gives the state folder to the user, and what is in it if it was root's until now. Into a folder that is the user's
    /// already root does not reach: whoever owns it could have made links there.
    ///
    /// # Errors
    /// When it cannot be made or given away.
    pub fn own(&self, state: &Path) -> Result<(), UserError> {
        let given = make_private(state).and_then(|()| match fs::symlink_metadata(state)?.uid() {
            0 => give(state, &self.0),
            _ => Ok(()),
        });
        given.map_err(|error| UserError::State { path: state.to_owned(), error })
    }

    /// Becomes the user, in all threads and for good. Its own groups are taken, and nobody else's kept.
    ///
    /// # Errors
    /// With the step that the kernel refuses; then the process must end.
    #[cfg(not(target_vendor = "apple"))]
    pub fn become_it(&self) -> Result<(), UserError> {
        let Self(User { name, uid, gid, .. }) = self;
        let refused = |what| move |error| UserError::Refused { what, user: name.clone(), error };
        let c_name = CString::new(name.as_str()).expect("a name that the system knows has no NUL");
        let groups = getgrouplist(&c_name, *gid).map_err(refused("the groups"))?;
        // First of all, for it takes a capability itself.
        capabilities::give_up_for_all_programs();
        setgroups(&groups).map_err(refused("the groups"))?;
        setresgid(*gid, *gid, *gid).map_err(refused("the group"))?;
        setresuid(*uid, *uid, *uid).map_err(refused("the id"))?;
        // Whoever could go back has not gone.
        match setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)) {
            Ok(()) => Err(refused("the id")(Errno::EPERM)),
            Err(_) => Ok(()),
        }
    }

    /// Never: [`Account::wanted`] finds nobody to become.
    ///
    /// # Errors
    /// Always.
    #[cfg(target_vendor = "apple")]
    pub fn become_it(&self) -> Result<(), UserError> {
        Err(UserError::NotHere(self.0.name.clone()))
    }
}

/// Gives up every capability, unless this is root and stays it.
///
/// # Errors
/// When the kernel keeps one.
pub fn drop_capabilities() -> Result<(), UserError> {
    if geteuid().is_root() {
        return Ok(());
    }
    capabilities::give_up().map_err(UserError::Capabilities)
}

#[cfg(target_os = "linux")]
mod capabilities {
    use std::io;

    use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set};
    use rustix::thread::{remove_capability_from_bounding_set, set_capabilities};

    /// No program that is run from here will get one.
    pub(super) fn give_up_for_all_programs() {
        for capability in CapabilitySet::all().iter() {
            // A kernel that does not know one has nothing to take away.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }

    pub(super) fn give_up() -> io::Result<()> {
        // Before Linux 4.3 there is no such set.
        let _ = clear_ambient_capability_set();
        let none = CapabilitySet::empty();
        Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
    }
}

/// A system without any.
#[cfg(not(target_os = "linux"))]
mod capabilities {
    #[cfg(not(target_vendor = "apple"))]
    pub(super) fn give_up_for_all_programs() {}

    pub(super) fn give_up() -> std::io::Result<()> {
        Ok(())
    }
}

/// Who this process is now.
pub fn own_name() -> String {
    name_of(geteuid())
}

fn name_of(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// Makes the state folder where there is none, for nobody else to look into.
fn make_private(state: &Path) -> io::Result<()> {
    if state.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(state)?;
    fs::set_permissions(state, fs::Permissions::from_mode(PRIVATE))
}

/// The folder last: until then only root may change what is in it.
fn give(path: &Path, user: &User) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    let (User { uid, .. }, gid): (_, Gid) = (user, user.gid);
    lchown(path, Some(uid.as_raw()), Some(gid.as_raw()))
}

/// The mode of a folder that only its owner enters.
const PRIVATE: u32 = 0o700;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_to_become_is_looked_up() {
        let unknown = Account::wanted(Some("nobody-of-that-name")).expect_err("nobody");
        assert!(unknown.to_string().contains("no user \"nobody-of-that-name\""), "{unknown}");
        assert!(Account::wanted(None).expect("nobody is to be become").is_none());
        let own = own_name();
        assert!(Account::wanted(Some(&own)).expect("oneself").is_none());
        if !geteuid().is_root() {
            let refused = Account::wanted(Some("root")).expect_err("not by us");
            assert!(refused.to_string().contains("only root becomes \"root\""), "{refused}");
        }
    }

    #[test]
    fn a_state_folder_that_is_made_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("a/state");
        make_private(&state).expect("made");
        assert_eq!(fs::metadata(&state).expect("the folder").permissions().mode() & 0o777, PRIVATE);
        assert_eq!(fs::metadata(folder.path().join("a")).expect("its parent").mode() & 0o700, 0o700);
        make_private(&state).expect("it is there");
    }
}
