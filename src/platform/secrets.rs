//! The server's own secrets: the master key and the keys that sign tokens. Other keys are derived from the master key.
//!
//! They lie in `secrets.json` in the data folder, mode 0600, made at first start. Where several servers share a
//! database they must share this file too (or `MINTHOUSE_SECRETS`, which holds its text, from a secret manager).

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::platform::randomness::Randomness;
use crate::platform::vault::{SealingKey, hex, sha256};

pub const FILE_NAME: &str = "secrets.json";

/// One Ed25519 key. The first of the list signs; all of them verify, so that a key can be exchanged without a gap.
#[derive(Clone, Serialize, Deserialize)]
pub struct SigningKey {
    pub kid: String,
    /// PKCS #8, base 64.
    pkcs8: String,
}

impl SigningKey {
    pub fn pkcs8(&self) -> Result<Vec<u8>> {
        STANDARD.decode(&self.pkcs8).context("a signing key in the secrets is not base 64")
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// 32 bytes, base 64.
    master_key: String,
    pub signing_keys: Vec<SigningKey>,
    /// How many keys there have been that sign the ledger's checkpoints. Each is derived from the master key.
    #[serde(default = "first_generation")]
    pub ledger_key_generation: u32,
}

fn first_generation() -> u32 {
    1
}

impl Secrets {
    pub fn generate(randomness: &dyn Randomness) -> Result<Self> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new())
            .map_err(|_| anyhow::anyhow!("the machine's random generator does not answer"))?;
        let kid = hex(&sha256(pkcs8.as_ref())[..8]);
        Ok(Self {
            master_key: STANDARD.encode(randomness.bytes::<32>()),
            signing_keys: vec![SigningKey { kid, pkcs8: STANDARD.encode(pkcs8.as_ref()) }],
            ledger_key_generation: first_generation(),
        })
    }

    pub fn parse(text: &str) -> Result<Self> {
        let secrets: Secrets =
            serde_json::from_str(text).context("the secrets are not the JSON that `minthouse` wrote")?;
        secrets.master_key()?;
        if secrets.signing_keys.is_empty() {
            bail!("the secrets hold no signing key; restore the file from its backup");
        }
        Ok(secrets)
    }

    /// Reads `folder/secrets.json`, or makes it. Two first starts at once agree on one file.
    pub fn load_or_create(folder: &Path, randomness: &dyn Randomness) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        let text = serde_json::to_string_pretty(&Self::generate(randomness)?)?;
        let fresh = folder.join(format!("{FILE_NAME}.{}", std::process::id()));
        match std::fs::metadata(&path) {
            Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
                bail!("{} may be read by others; run `chmod 600 {}`", path.display(), path.display())
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                write(&fresh, &text)?;
                // A link fails where the name exists: whoever came first has made the secrets.
                let linked = std::fs::hard_link(&fresh, &path);
                std::fs::remove_file(&fresh)?;
                if let Err(error) = linked
                    && error.kind() != ErrorKind::AlreadyExists
                {
                    return Err(error).with_context(|| format!("cannot create {}", path.display()));
                }
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Reads `folder/secrets.json`, which must be there.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}; name its folder with --data-dir", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Puts these in the place of what lies in `folder`. A reader meanwhile sees the old ones or the new ones.
    pub fn replace(&self, folder: &Path) -> Result<()> {
        let (path, fresh) = (folder.join(FILE_NAME), folder.join(format!("{FILE_NAME}.{}", std::process::id())));
        write(&fresh, &serde_json::to_string_pretty(self)?)?;
        std::fs::rename(&fresh, &path).with_context(|| format!("cannot replace {}", path.display()))
    }

    pub fn master_key(&self) -> Result<SealingKey> {
        let bytes = STANDARD.decode(&self.master_key).context("the master key is not base 64")?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| anyhow::anyhow!("the master key is not 32 bytes long"))?;
        Ok(SealingKey::new(key))
    }
}

/// A file for our own eyes.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}; is the folder writable?", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}
