//! One server for each data folder, kept by a file lock that ends with the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::{Holder, StartError, files};

const NAME: &str = "lock";

/// An adopter that asks who holds the lock has to hold it for a moment itself; a start must outlast that.
const RETRY_FOR: Duration = Duration::from_millis(400);

/// The lock, for as long as this lives. The file itself is never removed: whoever opened it before the removal
/// and whoever makes it anew would both hold "the" lock.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub fn take(data_dir: &Path) -> Result<Self, StartError> {
        let path = data_dir.join(NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(files("open", &path))?;
        let deadline = Instant::now() + RETRY_FOR;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(files("lock", &path)(source)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StartError::InUse { data_dir: data_dir.to_owned(), holder: read_holder(&mut file) });
                }
            }
        }
        write_holder(&mut file).map_err(files("write", &path))?;
        Ok(Self { _file: file })
    }

    /// Who holds the lock now, if anyone does.
    pub fn holder(data_dir: &Path) -> Result<Option<Holder>, StartError> {
        let path = data_dir.join(NAME);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(files("open", &path)(source)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&mut file))),
            Err(TryLockError::Error(source)) => Err(files("lock", &path)(source)),
        }
    }
}

/// The program's name alone: its arguments may hold secrets.
fn write_holder(file: &mut File) -> std::io::Result<()> {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(Path::file_name).unwrap_or_default();
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{} {}", std::process::id(), program.to_string_lossy())
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    // The holder's name only serves a message; one that cannot be read must not hide that the folder is in use.
    if file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).is_err() {
        return Holder::default();
    }
    let (pid, program) = text.trim_end().split_once(' ').unwrap_or_default();
    Holder { pid: pid.parse().unwrap_or_default(), program: program.to_owned() }
}
