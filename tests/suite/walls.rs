//! The walls of the house: which module may use which. They are read from the source, so that a wall that somebody
//! climbs over is a failing test and not a matter of taste.

use std::fs;
use std::path::{Path, PathBuf};

const CAPABILITIES: [&str; 7] = ["activities", "catalog", "events", "ledger", "sales", "tenancy", "wallets"];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The module at the top level that the file belongs to.
    fn capability(&self) -> &str {
        self.path.components().next().and_then(|first| first.as_os_str().to_str()).expect("a path below src")
    }

    /// Its name, or its folder's where the module is a folder.
    fn is(&self, module: &str) -> bool {
        self.path.components().any(|part| {
            let name = part.as_os_str().to_str().expect("names are text");
            name == module || name.strip_suffix(".rs") == Some(module)
        })
    }

    /// Its code lines: comments tell of other modules without using them.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src can be read").map(|entry| entry.expect("src can be read").path())
        {
            if entry.is_dir() {
                walk(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                found.push(entry);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 40, "the sources are found");
    files
        .into_iter()
        .map(|file| Source {
            text: fs::read_to_string(&file).expect("sources are text"),
            path: file.strip_prefix(&root).expect("below src").to_owned(),
        })
        .collect()
}

/// Collects every line that breaks a rule; an empty list is the only good answer.
fn offenders(breaks: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources() {
        for line in source.lines().filter(|line| breaks(&source, line)) {
            found.push(format!("{}: {line}", source.path.display()));
        }
    }
    found
}

#[test]
fn the_platform_knows_no_business() {
    let found = offenders(|source, line| {
        source.capability() == "platform"
            && CAPABILITIES
                .iter()
                .chain(&["api", "app", "bridges", "commands"])
                .any(|module| line.contains(&format!("crate::{module}")))
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn bridges_know_the_platform_alone() {
    let found = offenders(|source, line| {
        // What may be named is listed, so that a new module is out of reach until somebody decides otherwise.
        let strange = line
            .split("crate::")
            .skip(1)
            .any(|path| !["bridges", "platform"].iter().any(|module| path.starts_with(&format!("{module}::"))));
        let database = line.contains("diesel") || line.contains("platform::db") || line.contains("async_graphql");
        source.capability() == "bridges" && (strange || database)
    });
    assert_eq!(found, Vec::<String>::new());
    assert!(
        sources().iter().any(|source| source.capability() == "bridges"),
        "the bridges are where they are looked for"
    );
}

#[test]
fn a_capability_uses_no_other_capabilitys_store() {
    let found = offenders(|source, line| {
        CAPABILITIES.iter().any(|other| {
            let own = source.capability() == *other;
            // The edge and the commands stand above the capabilities and use their public functions too; what tenancy
            // shows of the directory is its public face.
            !own && *other != "tenancy"
                && CAPABILITIES.contains(&source.capability())
                && (line.contains(&format!("crate::{other}::store")) || line.contains(&format!("{other}::store::")))
        })
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn sql_and_graphql_live_in_separate_rooms() {
    let found = offenders(|source, line| {
        let graphql = line.contains("async_graphql") && CAPABILITIES.contains(&source.capability());
        let sql = line.contains("diesel") && !source.is("migrate") && !source.is("inspect");
        (source.is("store") && graphql) || (source.is("graphql") && sql) || (source.is("subscription") && sql)
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn models_do_no_work_outside_themselves() {
    let found = offenders(|source, line| {
        source.is("model") && (line.contains("async fn") || line.contains("TenantTx") || line.contains("tokio::"))
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn only_the_transaction_talks_to_diesel_async() {
    let found = offenders(|source, line| line.contains("diesel_async") && !source.path.starts_with("platform/db"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn files_stay_rooms_that_one_can_overlook() {
    let found: Vec<String> = sources()
        .into_iter()
        .filter(|source| !source.is("schema") || source.capability() == "api")
        .filter_map(|source| {
            let lines = source.text.lines().count();
            (lines > 700).then(|| format!("{}: {lines} lines", source.path.display()))
        })
        .collect();
    assert_eq!(found, Vec::<String>::new());
}
