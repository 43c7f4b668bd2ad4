//! The chain over an enterprise's audit records: the bytes, the hash, and whether a chain is whole. Pure.
//!
//! Each link's hash covers the link before, so that a record which was changed, taken out, put in or moved breaks the
//! chain at its place. `hash = SHA-256(previous | bytes)`, where `previous` is the 32 bytes of the link before, or 32
//! zero bytes for the first, and `bytes` are these, one after the other (numbers are big-endian; a *text* is its length
//! in bytes as 4 bytes and then its UTF-8; times are microseconds since 1970-01-01T00:00:00Z as 8 bytes, signed):
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the layout's version, 1 |
//! | 16 | the enterprise's UUID |
//! | 8 | the sequence number; the first is 1 |
//! | 8 | when the record was linked |
//! | 16 | the record's UUID |
//! | 8 | when the record was written |
//! | text | the kind of actor: `OPERATOR`, `HOLDER`, … |
//! | 16 | the actor's UUID |
//! | text | the action |
//! | 16 | the subject's UUID |
//! | 1 or 1 + text | 0 where there was nothing before; else 1 and the digest of what was before, as a text of its raw bytes |
//! | text | the digest of what came after, its raw bytes |
//! | text | the request's ID |
//!
//! A change of the layout gets another version; what was linked under an older one keeps it. `docs/audit.md` tells the
//! same to whoever wants to check an export with a program of their own.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::platform::vault::{hex, sha256, unhex};
use crate::tenancy::model::audit::AuditRecord;
use crate::tenancy::model::{AuditRecordId, EnterpriseId};
use crate::tenancy::scope::ActorKind;

const VERSION: u8 = 1;

pub type Hash = [u8; 32];

/// What the first link follows.
pub const BEGINNING: Hash = [0; 32];

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub tenant: EnterpriseId,
    pub sequence: i64,
    pub linked_at: DateTime<Utc>,
}

pub fn link(previous: &Hash, place: &Place, record: &AuditRecord) -> Hash {
    let mut bytes = previous.to_vec();
    let text = |bytes: &mut Vec<u8>, text: &[u8]| {
        let length = u32::try_from(text.len()).expect("no column holds four gigabytes");
        bytes.extend(length.to_be_bytes());
        bytes.extend(text);
    };
    bytes.push(VERSION);
    bytes.extend(place.tenant.uuid().as_bytes());
    bytes.extend(place.sequence.to_be_bytes());
    bytes.extend(place.linked_at.timestamp_micros().to_be_bytes());
    bytes.extend(record.id.uuid().as_bytes());
    bytes.extend(record.created_at.timestamp_micros().to_be_bytes());
    text(&mut bytes, record.actor_kind.as_str().as_bytes());
    bytes.extend(record.actor_id.as_bytes());
    text(&mut bytes, record.action.as_bytes());
    bytes.extend(record.subject_id.as_bytes());
    match &record.before_digest {
        None => bytes.push(0),
        Some(digest) => {
            bytes.push(1);
            text(&mut bytes, digest);
        }
    }
    text(&mut bytes, &record.after_digest);
    text(&mut bytes, record.request_id.as_bytes());
    sha256(&bytes)
}

/// One record as it is exported: a line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    pub enterprise: EnterpriseId,
    pub sequence: i64,
    pub linked_at: DateTime<Utc>,
    pub id: AuditRecordId,
    pub created_at: DateTime<Utc>,
    pub actor_kind: ActorKind,
    pub actor_id: Uuid,
    pub action: String,
    pub subject_id: Uuid,
    /// Digests and hashes in hexadecimal.
    pub before: Option<String>,
    pub after: String,
    pub request_id: String,
    pub previous: String,
    pub hash: String,
}

impl Line {
    pub fn new(place: Place, record: AuditRecord, previous: &[u8], hash: &[u8]) -> Self {
        Self {
            enterprise: place.tenant,
            sequence: place.sequence,
            linked_at: place.linked_at,
            id: record.id,
            created_at: record.created_at,
            actor_kind: record.actor_kind,
            actor_id: record.actor_id,
            action: record.action,
            subject_id: record.subject_id,
            before: record.before_digest.as_deref().map(hex),
            after: hex(&record.after_digest),
            request_id: record.request_id,
            previous: hex(previous),
            hash: hex(hash),
        }
    }
}

/// Why a chain is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("it is not a line of an export: {0}")]
    Unreadable(String),
    #[error("it belongs to {0}, and the lines before to another enterprise")]
    OtherEnterprise(EnterpriseId),
    #[error("its sequence number is {found} where {due} is due")]
    Gap { due: i64, found: i64 },
    #[error("record {0} is gone")]
    Missing(AuditRecordId),
    #[error("it does not follow the one before: the hash that it names as the previous one is another")]
    NotNext,
    #[error("record {0} is not what was linked: its hash is another")]
    Changed(AuditRecordId),
}

/// Follows a chain, link by link, from wherever it is picked up.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    last: Option<(EnterpriseId, i64, Hash)>,
}

impl Follower {
    /// A chain that must begin at its beginning.
    pub fn from_the_beginning(tenant: EnterpriseId) -> Self {
        Self { last: Some((tenant, 0, BEGINNING)) }
    }

    /// The number of the last link that was whole.
    pub fn sequence(&self) -> i64 {
        self.last.map_or(0, |(_, sequence, _)| sequence)
    }

    /// The next link, of which the hash is given as it was stored.
    pub fn follow(&mut self, place: &Place, record: &AuditRecord, hash: &[u8]) -> Result<(), Broken> {
        let (tenant, sequence, previous) = self.last.unwrap_or((place.tenant, place.sequence - 1, BEGINNING));
        if tenant != place.tenant {
            return Err(Broken::OtherEnterprise(place.tenant));
        }
        if sequence + 1 != place.sequence {
            return Err(Broken::Gap { due: sequence + 1, found: place.sequence });
        }
        let due = link(&previous, place, record);
        if due[..] != *hash {
            return Err(Broken::Changed(record.id));
        }
        self.last = Some((tenant, place.sequence, due));
        Ok(())
    }

    /// The next line of an export, which may begin anywhere: what comes before its first line is taken on trust.
    pub fn read(&mut self, text: &str) -> Result<Line, Broken> {
        let unreadable = |what: &str| Broken::Unreadable(what.to_owned());
        let line: Line = serde_json::from_str(text).map_err(|error| Broken::Unreadable(error.to_string()))?;
        let digest = |text: &str| unhex(text).ok_or_else(|| unreadable("a digest is not hexadecimal"));
        let hash_of = |text: &str| -> Result<Hash, Broken> {
            digest(text)?.try_into().map_err(|_| unreadable("a hash does not have 32 bytes"))
        };
        if line.sequence < 1 {
            return Err(unreadable("sequence numbers begin with 1"));
        }
        let previous = hash_of(&line.previous)?;
        match self.last {
            Some((_, sequence, hash)) if sequence + 1 == line.sequence && hash != previous => {
                return Err(Broken::NotNext);
            }
            Some(_) => {}
            None if line.sequence == 1 && previous != BEGINNING => return Err(Broken::NotNext),
            None => self.last = Some((line.enterprise, line.sequence - 1, previous)),
        }
        let record = AuditRecord {
            id: line.id,
            actor_kind: line.actor_kind,
            actor_id: line.actor_id,
            action: line.action.clone(),
            subject_id: line.subject_id,
            before_digest: line.before.as_deref().map(digest).transpose()?,
            after_digest: digest(&line.after)?,
            request_id: line.request_id.clone(),
            created_at: line.created_at,
        };
        let place = Place { tenant: line.enterprise, sequence: line.sequence, linked_at: line.linked_at };
        self.follow(&place, &record, &hash_of(&line.hash)?)?;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u128) -> AuditRecord {
        AuditRecord {
            id: AuditRecordId::from_uuid(Uuid::from_u128(number)),
            actor_kind: ActorKind::Operator,
            actor_id: Uuid::from_u128(7),
            action: "seriesCreate".into(),
            subject_id: Uuid::from_u128(8),
            before_digest: None,
            after_digest: vec![9; 32],
            request_id: "request".into(),
            created_at: DateTime::from_timestamp_micros(1_790_000_000_000_001).unwrap(),
        }
    }

    fn export(count: i64) -> Vec<Line> {
        let tenant = EnterpriseId::from_uuid(Uuid::from_u128(1));
        let mut previous = BEGINNING;
        (1..=count)
            .map(|sequence| {
                let linked_at = DateTime::from_timestamp_micros(1_790_000_001_000_000 + sequence).unwrap();
                let (place, record) = (Place { tenant, sequence, linked_at }, record(sequence as u128));
                let hash = link(&previous, &place, &record);
                let line = Line::new(place, record, &previous, &hash);
                previous = hash;
                line
            })
            .collect()
    }

    /// The first line that is bad, counted from 1, and why.
    fn first_bad(lines: &[Line]) -> Option<(usize, Broken)> {
        let mut follower = Follower::default();
        lines.iter().enumerate().find_map(|(place, line)| {
            follower.read(&serde_json::to_string(line).unwrap()).err().map(|broken| (place + 1, broken))
        })
    }

    // Put together from the table above by a program of its own, in another language.
    #[test]
    fn the_layout_is_the_one_that_is_written_down() {
        let line = &export(1)[0];
        assert_eq!(line.hash, "84e5e0cd980a09c24036cf0afbb3b083bd7c2ca05db5f3f1fda3fa921e7d7084");
    }

    #[test]
    fn a_whole_export_is_whole_wherever_it_begins() {
        let lines = export(6);
        for from in 0..6 {
            assert_eq!(first_bad(&lines[from..]), None, "from line {from}");
        }
    }

    #[test]
    fn every_field_of_every_line_counts() {
        type Change = fn(&mut Line);
        let changes: [(&str, Change); 13] = [
            ("enterprise", |line| line.enterprise = EnterpriseId::from_uuid(Uuid::from_u128(2))),
            ("linkedAt", |line| line.linked_at += chrono::TimeDelta::microseconds(1)),
            ("id", |line| line.id = AuditRecordId::from_uuid(Uuid::from_u128(99))),
            ("createdAt", |line| line.created_at += chrono::TimeDelta::microseconds(1)),
            ("actorKind", |line| line.actor_kind = ActorKind::House),
            ("actorId", |line| line.actor_id = Uuid::from_u128(99)),
            ("action", |line| line.action.push('x')),
            ("subjectId", |line| line.subject_id = Uuid::from_u128(99)),
            ("before", |line| line.before = Some(line.after.clone())),
            ("after", |line| line.after = hex(&[8; 32])),
            ("requestId", |line| line.request_id.clear()),
            ("previous", |line| line.previous = hex(&[8; 32])),
            ("hash", |line| line.hash = hex(&[8; 32])),
        ];
        for (field, change) in changes {
            for place in 0..5 {
                let mut lines = export(5);
                change(&mut lines[place]);
                let (bad, why) = first_bad(&lines).unwrap_or_else(|| panic!("{field} of line {place} does not count"));
                // Where the whole first line is of another enterprise the hash tells it; nothing is let pass.
                assert_eq!(bad, place + 1, "{field}: {why}");
            }
        }
    }

    #[test]
    fn what_is_left_out_put_in_or_moved_is_found_at_its_place() {
        let lines = export(5);
        let mut without = lines.clone();
        without.remove(2);
        assert_eq!(first_bad(&without), Some((3, Broken::Gap { due: 3, found: 4 })));
        let mut twice = lines.clone();
        twice.insert(2, lines[1].clone());
        assert_eq!(first_bad(&twice), Some((3, Broken::Gap { due: 3, found: 2 })));
        let mut moved = lines.clone();
        moved.swap(1, 2);
        assert_eq!(first_bad(&moved), Some((2, Broken::Gap { due: 2, found: 3 })));
        let mut renumbered = without;
        renumbered[2].sequence = 3;
        assert_eq!(first_bad(&renumbered).map(|(line, _)| line), Some(3));
    }

    #[test]
    fn what_is_no_line_is_named() {
        let good = serde_json::to_string(&export(1)[0]).unwrap();
        for bad in [
            "",
            "{}",
            "[]",
            &good[1..],
            &good.replace("\"sequence\":1", "\"sequence\":0"),
            &good.replace("\"action\"", "\"also\":1,\"action\""),
        ] {
            assert!(matches!(Follower::default().read(bad), Err(Broken::Unreadable(_))), "{bad}");
        }
    }
}
