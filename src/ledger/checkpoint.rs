//! Checkpoints: the house's signed word on how long an enterprise's chain is, and what it holds.
//!
//! They are signed notes as C2SP describes them (<https://c2sp.org/signed-note>, <https://c2sp.org/tlog-checkpoint>), so
//! that tools for transparency logs read them: the log's origin, the size and the root of the tree over its blocks, and
//! one line of our own with the time; an empty line; a signature.

use std::cmp::Ordering;
use std::sync::Arc;

use anyhow::{Context, Result};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::ledger::merkle::Hash;
use crate::platform::vault::{SealingKey, hex, sha256};
use crate::tenancy::model::EnterpriseId;

/// The name that the house signs under. Two houses differ in their keys.
const SIGNER: &str = "minthouse-ledger";
/// Ed25519 among the kinds of signatures that a note may bear.
const ED25519_KIND: u8 = 1;

/// A log's name.
fn origin(tenant: EnterpriseId) -> String {
    format!("minthouse-ledger/{tenant}")
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub tenant: EnterpriseId,
    /// How many blocks it covers.
    pub size: u64,
    /// Of the Merkle tree over their hashes.
    pub root: Hash,
    pub signed_at: DateTime<Utc>,
}

/// Why a text is no checkpoint that a key vouches for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCheckpoint {
    #[error("it does not have the form of a checkpoint")]
    Malformed,
    #[error("no key of the house that is known here has signed it")]
    UnknownKey,
    #[error("its signature is wrong: it was changed, or never signed by the key that it names")]
    Forged,
}

impl Checkpoint {
    /// What is signed.
    fn body(&self) -> String {
        let (origin, size, root) = (origin(self.tenant), self.size, STANDARD.encode(self.root));
        format!("{origin}\n{size}\n{root}\ntime {}\n", self.signed_at.timestamp_micros())
    }

    fn parse(body: &str) -> Option<Self> {
        let mut lines = body.strip_suffix('\n')?.split('\n');
        let read = Self {
            tenant: lines.next()?.strip_prefix("minthouse-ledger/")?.parse().ok()?,
            size: lines.next()?.parse().ok()?,
            root: STANDARD.decode(lines.next()?).ok()?.try_into().ok()?,
            signed_at: DateTime::from_timestamp_micros(lines.next()?.strip_prefix("time ")?.parse().ok()?)?,
        };
        // There is one way to write it.
        (read.body() == body).then_some(read)
    }
}

/// A public key of the house, as whoever checks proofs has it: `name+hash+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    key: Vec<u8>,
}

impl Verifier {
    /// The key's ID: 4 bytes that tell keys apart and prove nothing.
    pub fn id(&self) -> String {
        hex(&self.id_bytes())
    }

    fn id_bytes(&self) -> [u8; 4] {
        let hash = sha256(&[SIGNER.as_bytes(), &[b'\n', ED25519_KIND], &self.key].concat());
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Reads a note, and believes it if this key has signed it.
    pub fn open(&self, note: &str) -> Result<Checkpoint, BadCheckpoint> {
        let (body, signatures) = note.split_once("\n\n").ok_or(BadCheckpoint::Malformed)?;
        let body = format!("{body}\n");
        let checkpoint = Checkpoint::parse(&body).ok_or(BadCheckpoint::Malformed)?;
        let mut unknown = true;
        for line in signatures.strip_suffix('\n').ok_or(BadCheckpoint::Malformed)?.split('\n') {
            let (name, bytes) =
                line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(BadCheckpoint::Malformed)?;
            let bytes = STANDARD.decode(bytes).map_err(|_| BadCheckpoint::Malformed)?;
            let (id, signature) = bytes.split_first_chunk::<4>().ok_or(BadCheckpoint::Malformed)?;
            if name != SIGNER || *id != self.id_bytes() {
                continue; // a witness's, or another key's of the house
            }
            unknown = false;
            if UnparsedPublicKey::new(&ED25519, &self.key).verify(body.as_bytes(), signature).is_ok() {
                return Ok(checkpoint);
            }
        }
        Err(if unknown { BadCheckpoint::UnknownKey } else { BadCheckpoint::Forged })
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = STANDARD.encode([&[ED25519_KIND], &self.key[..]].concat());
        write!(formatter, "{SIGNER}+{}+{key}", self.id())
    }
}

impl std::str::FromStr for Verifier {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let form = "a key of the ledger looks like minthouse-ledger+1f2e3d4c+AQID…; `minthouse keys ledger` prints it";
        let (name, rest) = text.trim().split_once('+').context(form)?;
        let (id, key) = rest.split_once('+').context(form)?;
        let bytes = STANDARD.decode(key).context(form)?;
        let (kind, key) = bytes.split_first().context(form)?;
        let verifier = Self { key: key.to_vec() };
        anyhow::ensure!(name == SIGNER && *kind == ED25519_KIND && key.len() == 32, form);
        anyhow::ensure!(verifier.id() == id, "the key does not belong to its ID {id}; was it copied whole?");
        Ok(verifier)
    }
}

/// The house's keys for checkpoints, oldest first: the last but one signs, all are known.
///
/// Each is derived from the master key by its number, so that none can get lost, and what one generation signed can be
/// checked as long as there is a house. The one after the present is known already: while servers are started again with
/// it one by one, the others read what it has signed.
#[derive(Clone)]
pub struct LedgerKeys {
    signing: Arc<Ed25519KeyPair>,
    verifiers: Arc<[Verifier]>,
}

/// What a key of the house is for at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has signed before.
    Past,
    Signs,
    /// It will sign after the next rotation.
    Next,
}

impl LedgerKeys {
    pub fn new(master_key: &SealingKey, generation: u32) -> Result<Self> {
        anyhow::ensure!((1..=10_000).contains(&generation), "`ledger_key_generation` lies between 1 and 10000");
        let pair = |number: u32| {
            let seed = master_key.derive(&format!("ledger checkpoints/{number}"));
            Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok().context("no Ed25519 key can be made of a seed")
        };
        let verifiers = (1..=generation + 1).map(|number| Ok(verifier(&pair(number)?)));
        Ok(Self { signing: Arc::new(pair(generation)?), verifiers: verifiers.collect::<Result<_>>()? })
    }

    /// The public keys, oldest first, each with what it is for.
    pub fn verifiers(&self) -> impl Iterator<Item = (&Verifier, Turn)> {
        let signs = self.verifiers.len() - 2;
        self.verifiers.iter().enumerate().map(move |(place, verifier)| match place.cmp(&signs) {
            Ordering::Less => (verifier, Turn::Past),
            Ordering::Equal => (verifier, Turn::Signs),
            Ordering::Greater => (verifier, Turn::Next),
        })
    }

    /// The public key of what is signed now.
    pub fn verifier(&self) -> Verifier {
        verifier(&self.signing)
    }

    /// The checkpoint as a signed note.
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let (body, pair) = (checkpoint.body(), &self.signing);
        let signature = pair.sign(body.as_bytes());
        let bytes = [&verifier(pair).id_bytes()[..], signature.as_ref()].concat();
        format!("{body}\n— {SIGNER} {}\n", STANDARD.encode(bytes))
    }

    /// Reads a note, and believes it if one of the keys has signed it; says which.
    pub fn open(&self, note: &str) -> Result<(Checkpoint, Verifier), BadCheckpoint> {
        let mut refused = BadCheckpoint::UnknownKey;
        for verifier in self.verifiers.iter() {
            match verifier.open(note) {
                Ok(checkpoint) => return Ok((checkpoint, verifier.clone())),
                Err(BadCheckpoint::UnknownKey) => {}
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }

    /// As `/.well-known/ledger-keys.json` shows them.
    pub fn published(&self) -> Value {
        let keys: Vec<Value> = self
            .verifiers()
            .map(|(key, turn)| json!({ "id": key.id(), "key": key.to_string(), "signs": turn == Turn::Signs }))
            .collect();
        json!({ "keys": keys })
    }
}

fn verifier(pair: &Ed25519KeyPair) -> Verifier {
    Verifier { key: pair.public_key().as_ref().to_vec() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            tenant: EnterpriseId::from_uuid(Uuid::from_u128(1)),
            size: 12,
            root: [9; 32],
            signed_at: DateTime::from_timestamp_micros(1_790_000_000_000_001).unwrap(),
        }
    }

    fn keys(generation: u32) -> LedgerKeys {
        LedgerKeys::new(&SealingKey::new([7; 32]), generation).unwrap()
    }

    #[test]
    fn what_an_older_key_signed_still_holds_and_the_present_one_alone_signs() {
        let (old, new) = (keys(1), keys(3));
        let note = old.sign(&checkpoint());
        let (read, by) = new.open(&note).unwrap();
        assert_eq!((read, by), (checkpoint(), old.verifier()));
        assert_eq!(new.open(&new.sign(&checkpoint())).unwrap().1, new.verifier());
        assert_eq!(old.open(&new.sign(&checkpoint())), Err(BadCheckpoint::UnknownKey));
        let ids: std::collections::HashSet<String> = new.verifiers().map(|(key, _)| key.id()).collect();
        assert_eq!(ids.len(), 4);
        let signs = |keys: &LedgerKeys| {
            keys.published()["keys"].as_array().unwrap().iter().map(|key| key["signs"] == true).collect::<Vec<_>>()
        };
        assert_eq!(signs(&new), [false, false, true, false]);
    }

    #[test]
    fn a_server_that_has_not_started_again_reads_what_the_next_key_has_signed_and_does_not_sign_with_it() {
        let (before, after) = (keys(1), keys(2));
        let (read, by) = before.open(&after.sign(&checkpoint())).unwrap();
        assert_eq!((read, by), (checkpoint(), after.verifier()));
        assert_eq!(after.open(&before.sign(&checkpoint())).unwrap().1, before.verifier());
        assert_eq!(before.verifiers().map(|(_, turn)| turn).collect::<Vec<_>>(), [Turn::Signs, Turn::Next]);
    }

    #[test]
    fn a_note_with_a_witnesss_signature_beside_ours_is_read() {
        let keys = keys(1);
        let note = format!("{}— witness.example AAAAAAAA\n", keys.sign(&checkpoint()));
        assert!(keys.open(&note).is_ok());
    }

    #[test]
    fn a_public_key_is_copied_whole_or_not_at_all() {
        let key = keys(1).verifier();
        let text = key.to_string();
        assert_eq!(text.parse::<Verifier>().unwrap(), key);
        for cut in 0..text.len() {
            assert!(text[..cut].parse::<Verifier>().is_err(), "{}", &text[..cut]);
        }
        let (other, id) = (keys(2).verifier().to_string(), key.id());
        assert!(text.replace(&id, "00000000").parse::<Verifier>().is_err());
        assert!(other.replacen(other.split('+').nth(1).unwrap(), &id, 1).parse::<Verifier>().is_err());
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(place in any::<usize>(), with in any::<u8>()) {
            let (keys, mut note) = (keys(2), keys(2).sign(&checkpoint()).into_bytes());
            let place = place % note.len();
            prop_assume!(note[place] != with);
            note[place] = with;
            if let Ok(note) = String::from_utf8(note) {
                prop_assert!(keys.open(&note).is_err(), "{}", note);
            }
        }
    }
}
