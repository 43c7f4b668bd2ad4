//! The user that PostgreSQL runs as. It refuses root, and it refuses a user without a name.

use std::ffi::{CStr, CString};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{StartError, files};
use super::folder::Cluster;

/// Tried in this order when we are root: the system's own, one that an operator made for us, and what is always there.
const CANDIDATES: [&str; 3] = ["postgres", "minthouse", "nobody"];

#[derive(Debug)]
pub(super) struct Account {
    pub name: String,
    pub uid: u32,
    gid: u32,
    /// Whether we are root and have to become this user; otherwise we are it.
    switch: bool,
}

impl Account {
    /// An existing cluster's owner, as PostgreSQL starts under no other user; else ourselves; else, as root, the
    /// first of the candidates.
    pub fn choose(cluster: Option<&Cluster>) -> Result<Self, StartError> {
        let uid = our_uid();
        let owner = cluster.map(|cluster| (cluster, cluster.owner));
        if uid != 0 {
            if let Some((cluster, owner)) = owner
                && owner != uid
            {
                return Err(StartError::ForeignCluster { cluster: cluster.path.clone(), owner, uid });
            }
            return by_uid(uid, false).ok_or(StartError::NamelessUser { uid });
        }
        let candidate = CANDIDATES.iter().find_map(|name| by_name(name));
        match (owner, candidate) {
            (Some((_, owner)), _) if owner != 0 => by_uid(owner, true).ok_or(StartError::NamelessUser { uid: owner }),
            (_, None) => Err(StartError::NoAccount { tried: CANDIDATES.join(", ") }),
            (None, Some(candidate)) => Ok(candidate),
            // Copied or restored by root. Not ours to hand over: it may be on its way somewhere else.
            (Some((cluster, owner)), Some(candidate)) => {
                Err(StartError::ForeignCluster { cluster: cluster.path.clone(), owner, uid: candidate.uid })
            }
        }
    }

    /// A command that runs as this user, from a folder that every user can stand in, and that no `PG…` variable
    /// of ours can bend.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").current_dir("/");
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Hands a file or folder of ours to this user.
    pub fn give(&self, path: &Path) -> Result<(), StartError> {
        if !self.switch {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(files("change the owner of", path))
    }

    /// The outermost folder on the way to `path`, itself included, that this user may not walk through. Access
    /// lists are not read, which can only make this stricter than it need be. What we made without a change of
    /// user needs no check, and our further groups would spoil it.
    pub fn closed_ancestor(&self, path: &Path) -> Option<PathBuf> {
        if !self.switch {
            return None;
        }
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        ancestors
            .into_iter()
            .find(|folder| !folder.metadata().is_ok_and(|metadata| self.may_walk(&metadata)))
            .map(Path::to_owned)
    }

    fn may_walk(&self, folder: &Metadata) -> bool {
        let bit = match () {
            () if folder.uid() == self.uid => 0o100,
            () if folder.gid() == self.gid => 0o010,
            () => 0o001,
        };
        folder.mode() & bit != 0
    }
}

pub(super) fn our_uid() -> u32 {
    // SAFETY: geteuid cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

fn by_name(name: &str) -> Option<Account> {
    let name = CString::new(name).ok()?;
    look_up(true, |entry, buffer, length, found| {
        // SAFETY: every pointer is valid for the call, and `length` is the buffer's.
        unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer, length, found) }
    })
}

fn by_uid(uid: u32, switch: bool) -> Option<Account> {
    look_up(switch, |entry, buffer, length, found| {
        // SAFETY: every pointer is valid for the call, and `length` is the buffer's.
        unsafe { libc::getpwuid_r(uid, entry, buffer, length, found) }
    })
}

type Entry = libc::passwd;

/// Through the C library, not /etc/passwd: that is where PostgreSQL looks too, and it knows of directory services.
fn look_up(
    switch: bool,
    call: impl FnOnce(*mut Entry, *mut libc::c_char, libc::size_t, *mut *mut Entry) -> libc::c_int,
) -> Option<Account> {
    let mut buffer = vec![0; 16 * 1024];
    let mut found: *mut Entry = std::ptr::null_mut();
    // SAFETY: passwd is a plain C struct, for which all zeros is a valid value.
    let mut entry: Entry = unsafe { std::mem::zeroed() };
    if call(&mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the call succeeded, so pw_name points to a terminated string inside `buffer`, which is still alive.
    let name = unsafe { CStr::from_ptr(entry.pw_name) };
    Some(Account { name: name.to_string_lossy().into_owned(), uid: entry.pw_uid, gid: entry.pw_gid, switch })
}
