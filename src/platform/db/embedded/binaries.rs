//! Where PostgreSQL's server programs are. Debian puts neither of the two on PATH.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::error::StartError;
use super::folder::Cluster;

/// The oldest major version that the schema runs on (`UNIQUE NULLS NOT DISTINCT`, `CREATE DATABASE … STRATEGY`).
const OLDEST: u32 = 15;

#[derive(Debug)]
pub(super) struct Binaries {
    pub initdb: PathBuf,
    pub postgres: PathBuf,
    pub major: u32,
}

/// The places to look in; apart from the environment so that a test can lay them out.
struct Places {
    named: Option<PathBuf>,
    path: Option<OsString>,
    /// Folders whose entries are versions, and what stands between a version and its programs.
    versioned: Vec<(PathBuf, &'static str)>,
}

impl Places {
    fn from_environment() -> Self {
        Self {
            named: std::env::var_os("PG_BIN_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from),
            path: std::env::var_os("PATH"),
            // Debian and its kin, then Red Hat's.
            versioned: vec![("/usr/lib/postgresql".into(), "bin"), ("/usr".into(), "bin")],
        }
    }

    fn described(&self) -> String {
        let versioned = self.versioned.first().map(|(root, below)| format!("{}/*/{below}", root.display()));
        format!("PG_BIN_DIR, PATH and {}", versioned.unwrap_or_default())
    }
}

impl Binaries {
    /// An existing cluster's major version decides; a new one gets the first that is new enough.
    pub fn find(cluster: Option<&Cluster>, account: &Account) -> Result<Self, StartError> {
        Self::find_in(&Places::from_environment(), cluster, account)
    }

    fn find_in(places: &Places, cluster: Option<&Cluster>, account: &Account) -> Result<Self, StartError> {
        let fits = |found: &Self| match cluster {
            Some(cluster) => found.major == cluster.major,
            None => found.major >= OLDEST,
        };
        let mut misfits = Vec::new();
        let mut refused = None;
        let folders = match &places.named {
            Some(named) => vec![named.clone()],
            None => unnamed(places),
        };
        for folder in folders {
            match Self::in_folder(&folder, account) {
                Ok(Some(found)) if fits(&found) => return Ok(found),
                Ok(Some(found)) => misfits.push(found.major),
                Ok(None) => {}
                // Such as one in another user's home, on our PATH; a later folder may still do.
                Err(error) => refused = Some(error),
            }
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        if misfits.is_empty() {
            return Err(match &places.named {
                Some(named) => StartError::WrongBinDir { folder: named.clone() },
                None => StartError::NoBinaries {
                    looked_in: places.described(),
                    install: match cluster {
                        Some(cluster) => format!("apt-get install postgresql-{}", cluster.major),
                        None => "apt-get install postgresql".to_owned(),
                    },
                },
            });
        }
        misfits.dedup();
        let found = misfits.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        Err(match cluster {
            Some(cluster) => StartError::WrongVersion { cluster: cluster.path.clone(), wanted: cluster.major, found },
            None => StartError::TooOld { found, needed: OLDEST },
        })
    }

    /// Both programs, resolved: PostgreSQL looks for its own files beside the real one.
    fn in_folder(folder: &Path, account: &Account) -> Result<Option<Self>, StartError> {
        let [Ok(initdb), Ok(postgres)] = ["initdb", "postgres"].map(|name| folder.join(name).canonicalize()) else {
            return Ok(None);
        };
        let output = account.command(&postgres).arg("--version").output().map_err(|source| StartError::NotRun {
            program: postgres.clone(),
            user: account.name.clone(),
            source,
        })?;
        let major = major_in(&String::from_utf8_lossy(&output.stdout));
        Ok(major.map(|major| Self { initdb, postgres, major }))
    }
}

/// PATH's folders in its order, then the versioned ones, newest first.
fn unnamed(places: &Places) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        places.path.iter().flat_map(std::env::split_paths).filter(|folder| folder.is_absolute()).collect();
    for (root, below) in &places.versioned {
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let name = name.to_str()?;
                let version = name.strip_prefix("pgsql-").unwrap_or(name).parse().ok()?;
                Some((version, entry.path().join(below)))
            })
            .collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        folders.extend(versions.into_iter().map(|(_, folder)| folder));
    }
    folders
}

/// From `postgres (PostgreSQL) 15.18 (Debian …)`; a beta is `18beta1`.
fn major_in(version: &str) -> Option<u32> {
    let number = version.strip_prefix("postgres (PostgreSQL) ")?;
    let end = number.find(|character: char| !character.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder of pretended installations, gone at the end.
    struct Installed(PathBuf);

    impl Installed {
        fn new(test: &str, versions: &[u32]) -> Self {
            let root = std::env::temp_dir().join(format!("minthouse-binaries-{test}-{}", std::process::id()));
            for version in versions {
                let bin = root.join(version.to_string()).join("bin");
                std::fs::create_dir_all(&bin).expect("the temporary folder is writable");
                for program in ["initdb", "postgres"] {
                    let text = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}.3 (pretended)'\n");
                    std::fs::write(bin.join(program), text).expect("the temporary folder is writable");
                    std::fs::set_permissions(bin.join(program), PermissionsExt::from_mode(0o755))
                        .expect("the file is ours");
                }
            }
            Self(root)
        }

        fn places(&self) -> Places {
            Places { named: None, path: None, versioned: vec![(self.0.clone(), "bin")] }
        }
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn find(places: &Places, cluster: Option<u32>) -> Result<u32, String> {
        let account = Account::choose(None).expect("there is a user to run as");
        let cluster = cluster.map(|major| Cluster { path: "/srv/data/pg".into(), major, owner: account.uid });
        Binaries::find_in(places, cluster.as_ref(), &account)
            .map(|found| found.major)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_newest_serves_a_new_cluster_and_the_same_an_old_one() {
        let installed = Installed::new("newest", &[9, 15, 16, 100]);
        assert_eq!(find(&installed.places(), None), Ok(100));
        assert_eq!(find(&installed.places(), Some(15)), Ok(15));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_remedy() {
        let installed = Installed::new("misfit", &[13, 16]);
        let wrong = find(&installed.places(), Some(15)).expect_err("15 is not installed");
        assert!(wrong.contains("16, 13 is installed") && wrong.contains("apt-get install postgresql-15"), "{wrong}");

        let old = Installed::new("old", &[13]);
        let refused = find(&old.places(), None).expect_err("13 is too old");
        assert!(refused.contains("apt-get install postgresql-15"), "{refused}");
    }

    #[test]
    fn nothing_found_names_the_command_that_installs_it() {
        let installed = Installed::new("nothing", &[]);
        let missing = find(&installed.places(), None).expect_err("nothing is installed");
        assert!(missing.contains("`apt-get install postgresql`") && missing.contains("PG_BIN_DIR"), "{missing}");
        let missing = find(&installed.places(), Some(15)).expect_err("nothing is installed");
        assert!(missing.contains("`apt-get install postgresql-15`"), "{missing}");
    }

    #[test]
    fn a_folder_that_was_named_is_not_passed_over() {
        let installed = Installed::new("named", &[16]);
        let places = Places { named: Some("/nonexistent".into()), ..installed.places() };
        let wrong = find(&places, None).expect_err("the named folder is empty");
        assert!(
            wrong.contains("PG_BIN_DIR is /nonexistent") && wrong.contains("apt-get install postgresql"),
            "{wrong}"
        );
        let places = Places { path: Some(installed.0.join("16/bin").into()), versioned: vec![], ..places };
        assert_eq!(find(&Places { named: None, ..places }, None), Ok(16));
    }

    #[test]
    fn versions_are_read_from_what_the_server_says() {
        assert_eq!(major_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_in("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_in("something else"), None);
    }
}
