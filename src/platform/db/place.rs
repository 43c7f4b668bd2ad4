//! Where the database is: an embedded child of ours, another process's, or a service that a URL names.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;
use url::Url;

use crate::platform::db::Role;
use crate::platform::db::embedded::{self, Adopted, Durability, Embedded, OWNER};
use crate::platform::db::{inspect, migrate};
use crate::platform::vault::{SealingKey, hex};

/// The database within an embedded cluster.
pub const DATABASE: &str = "minthouse";

/// A database that can be reached.
pub enum Place {
    /// A child of this process.
    Child(Embedded),
    /// The child of another process that serves the same data folder.
    Neighbour(Adopted),
    /// A PostgreSQL that somebody else runs. Its login roles have passwords derived from the master key.
    Service { url: Url, master_key: SealingKey },
}

impl Place {
    /// The service that `database_url` names, or the data folder's own cluster, started if nobody runs it.
    pub async fn open(
        database_url: Option<&str>,
        data_dir: &Path,
        master_key: &SealingKey,
        adopt: bool,
    ) -> Result<Self> {
        if let Some(text) = database_url {
            let url: Url =
                text.parse().context("DATABASE_URL is no URL; it looks like postgres://user:password@host/database")?;
            if !matches!(url.scheme(), "postgres" | "postgresql") {
                bail!("DATABASE_URL begins with {}://; it must begin with postgres://", url.scheme());
            }
            return Ok(Self::Service { url, master_key: master_key.clone() });
        }
        let data_dir = data_dir.to_owned();
        let place = tokio::task::spawn_blocking(move || -> Result<Self> {
            if adopt && let Some(neighbour) = embedded::adopt(&data_dir)? {
                return Ok(Self::Neighbour(neighbour));
            }
            Ok(Self::Child(embedded::start(embedded::Settings { data_dir, durability: Durability::Durable })?))
        });
        let place = place.await??;
        migrate::ensure_database(&place.url_of(OWNER, "postgres"), DATABASE).await?;
        Ok(place)
    }

    /// The connection string of whoever owns the schema.
    pub fn owner_url(&self) -> String {
        match self {
            Self::Service { url, .. } => url.to_string(),
            _ => self.url_of(OWNER, DATABASE),
        }
    }

    /// The connection string of a login role.
    pub fn role_url(&self, role: Role) -> String {
        match self {
            Self::Service { url, master_key } => {
                let mut url = url.clone();
                // A `user` or `password` parameter would override what is set here. Whatever else may be odd about a
                // URL, `let_roles_in` asks the database as whom it signs in.
                let kept: Vec<(String, String)> = url
                    .query_pairs()
                    .filter(|(name, _)| name != "user" && name != "password")
                    .map(|(name, value)| (name.into_owned(), value.into_owned()))
                    .collect();
                url.query_pairs_mut().clear().extend_pairs(kept);
                let _ = url.set_username(role.name());
                let _ = url.set_password(Some(&password(master_key, role)));
                url.to_string()
            }
            _ => self.url_of(role.name(), DATABASE),
        }
    }

    /// Lets the login roles in, with a password where they need one, and makes sure that it is they who come in.
    pub async fn let_roles_in(&self) -> Result<()> {
        for role in Role::ALL {
            let url = self.role_url(role);
            if let Self::Service { master_key, .. } = self
                && inspect::who(&url).await.is_err()
            {
                migrate::set_password(&self.owner_url(), role.name(), &password(master_key, role)).await?;
            }
            let who = inspect::who(&url).await.with_context(|| format!("the role {} cannot sign in", role.name()))?;
            if who != role.name() {
                bail!(
                    "{} signs in as {who}; give DATABASE_URL the form postgres://user:password@host/database",
                    role.name()
                );
            }
        }
        Ok(())
    }

    /// How long the child took to start, if there is one.
    pub fn started_in(&self) -> Option<Duration> {
        match self {
            Self::Child(child) => Some(child.started_in()),
            _ => None,
        }
    }

    /// Becomes true when the child ends.
    pub fn exited(&self) -> Option<watch::Receiver<bool>> {
        match self {
            Self::Child(child) => Some(child.exited()),
            _ => None,
        }
    }

    /// Stops the child. Close the pools first.
    pub async fn close(self) -> Result<()> {
        if let Self::Child(child) = self {
            tokio::task::spawn_blocking(move || child.stop()).await??;
        }
        Ok(())
    }

    fn url_of(&self, user: &str, database: &str) -> String {
        match self {
            Self::Child(child) => child.url(user, database),
            Self::Neighbour(neighbour) => neighbour.url(user, database),
            Self::Service { url, .. } => url.to_string(),
        }
    }
}

// Every server that shares the master key arrives at the same password, and no one else does.
fn password(master_key: &SealingKey, role: Role) -> String {
    hex(master_key.derive(&format!("database role {}", role.name())).expose())
}
