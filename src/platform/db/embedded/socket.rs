//! Where the server is reached: a Unix socket in a folder that only its user and root can enter.
//!
//! The cluster trusts every connection, so this folder is the whole access control.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::account::{self, Account};
use super::error::StartError;

/// The socket's file carries PostgreSQL's usual port number; the folder tells servers apart.
const SOCKET: &str = ".s.PGSQL.5432";
/// What fits into a socket address, without the closing zero.
const LONGEST_PATH: usize = 107;

#[derive(Clone, Debug)]
pub(super) struct Address {
    folder: PathBuf,
}

impl Address {
    /// The folder of a server that runs already, from its own records.
    pub fn of(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes the folder. Its name is a hash of the data folder's path, which alone may be longer than an address.
    pub fn prepare(data_dir: &Path, account: &Account) -> Result<Self, StartError> {
        let mut refusals = Vec::new();
        for base in bases() {
            let folder = base.join(short_name(data_dir));
            if folder.join(SOCKET).as_os_str().len() > LONGEST_PATH {
                refusals.push(format!("{} is too long", folder.display()));
                continue;
            }
            match make_private(&base, &folder, account) {
                Ok(()) => return Ok(Self { folder }),
                Err(error) => refusals.push(format!("{}: {error}", folder.display())),
            }
        }
        Err(StartError::NoSocketFolder { detail: refusals.join("; ") })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn url(&self, user: &str, database: &str) -> String {
        let [user, database] = [user, database].map(|text| percent_encode(text.as_bytes()));
        let host = percent_encode(self.folder.as_os_str().as_bytes());
        format!("postgres://{user}@/{database}?host={host}")
    }

    /// Removes what a killed server left: a new one refuses to start over another's socket lock.
    pub fn clear(&self) {
        for name in [SOCKET.to_owned(), format!("{SOCKET}.lock")] {
            // Absence is the usual case; anything else PostgreSQL will name when it cannot make the file itself.
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    /// After a stop. A folder that is not empty or not there is no one's loss.
    pub fn remove(&self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// The folders that may hold ours, best first. /tmp by name, as `TMPDIR` is often long.
fn bases() -> Vec<PathBuf> {
    let uid = account::our_uid();
    let last = PathBuf::from(format!("/tmp/minthouse-{uid}"));
    let first = match uid {
        0 => Some(PathBuf::from("/run/minthouse")),
        _ => std::env::var_os("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("minthouse")),
    };
    first.into_iter().chain([last]).collect()
}

/// The base is ours and open to walk, the folder in it the server's and closed. Someone else's base, which anyone
/// could have laid out in /tmp, would let them swap the folder under us.
fn make_private(base: &Path, folder: &Path, account: &Account) -> io::Result<()> {
    make_dir(base, 0o755)?;
    let found = base.symlink_metadata()?;
    if !found.is_dir() || found.uid() != account::our_uid() || found.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!("{} belongs to someone else or is open to others", base.display())));
    }
    make_dir(folder, 0o700)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    account.give(folder).map_err(io::Error::other)?;
    match account.closed_ancestor(folder) {
        None => Ok(()),
        Some(closed) => Err(io::Error::other(format!("{} is closed to {}", closed.display(), account.name))),
    }
}

fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        // Again, as the umask may have taken bits that the server's user needs.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sixteen hexadecimal digits that stand for a path, the same in every version of Minthouse (64-bit FNV-1a).
pub(super) fn short_name(path: &Path) -> String {
    let hash =
        path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("{hash:016x}")
}

fn percent_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_survives_awkward_names() {
        let address = Address::of("/run/mint house/数据".into());
        let url = address.url("a b@c", "d/e?f=g&h");
        let parsed: tokio_postgres::Config = url.parse().expect("the URL is valid");
        assert_eq!(parsed.get_user(), Some("a b@c"));
        assert_eq!(parsed.get_dbname(), Some("d/e?f=g&h"));
        assert_eq!(parsed.get_hosts(), [tokio_postgres::config::Host::Unix("/run/mint house/数据".into())]);
    }

    #[test]
    fn names_are_short_and_never_change() {
        assert_eq!(short_name(Path::new("/srv/minthouse/data")).len(), 16);
        // The published test vectors of 64-bit FNV-1a.
        assert_eq!(short_name(Path::new("")), "cbf29ce484222325");
        assert_eq!(short_name(Path::new("foobar")), "85944171f73967e8");
    }
}
