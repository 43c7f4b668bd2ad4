//! SQL over what others know holders by, and over where one person is known.

use diesel::{ExpressionMethods, QueryDsl, delete, insert_into};

use crate::platform::fault::Fault;
use crate::schema::{holder_identities, holders, persons};
use crate::tenancy::model::{EnterpriseId, HolderId};
use crate::tenancy::scope::{PersonKey, PersonTx, TenantTx};
use crate::wallets::model::IdentityKind;

/// Somebody else's name for a holder, hashed to be found and sealed to be told.
#[derive(Clone, Debug)]
pub struct Identity {
    pub kind: IdentityKind,
    pub hash: Vec<u8>,
    pub sealed: Vec<u8>,
}

pub async fn find(tx: &TenantTx, kind: IdentityKind, hash: &[u8]) -> Result<Option<HolderId>, Fault> {
    tx.optional(
        holder_identities::table
            .filter(holder_identities::tenant_id.eq(tx.tenant()))
            .filter(holder_identities::kind.eq(kind))
            .filter(holder_identities::key_hash.eq(hash.to_vec()))
            .select(holder_identities::holder_id),
    )
    .await
}

/// Whether the holder is known by something of this kind.
pub async fn has(tx: &TenantTx, holder: HolderId, kind: IdentityKind) -> Result<bool, Fault> {
    tx.one(diesel::select(diesel::dsl::exists(
        holder_identities::table
            .filter(holder_identities::tenant_id.eq(tx.tenant()))
            .filter(holder_identities::holder_id.eq(holder))
            .filter(holder_identities::kind.eq(kind)),
    )))
    .await
}

/// Somebody else's name for a holder, sealed.
pub async fn sealed_name(tx: &TenantTx, holder: HolderId, kind: IdentityKind) -> Result<Option<Vec<u8>>, Fault> {
    tx.optional(
        holder_identities::table
            .filter(holder_identities::tenant_id.eq(tx.tenant()))
            .filter(holder_identities::holder_id.eq(holder))
            .filter(holder_identities::kind.eq(kind))
            .order(holder_identities::key_hash)
            .select(holder_identities::key_sealed)
            .limit(1),
    )
    .await
}

/// Ties an identity to a holder. One that somebody else has tied meanwhile is contention: the next try finds it.
pub async fn insert_in(tx: &TenantTx, holder: HolderId, identity: &Identity) -> Result<(), Fault> {
    let row = (
        holder_identities::tenant_id.eq(tx.tenant()),
        holder_identities::kind.eq(identity.kind),
        holder_identities::key_hash.eq(identity.hash.clone()),
        holder_identities::key_sealed.eq(identity.sealed.clone()),
        holder_identities::holder_id.eq(holder),
    );
    match tx.execute(insert_into(holder_identities::table).values(row).on_conflict_do_nothing()).await? {
        1 => Ok(()),
        _ => Err(Fault::Contended(anyhow::anyhow!("an identity was tied to a holder by somebody else"))),
    }
}

pub async fn delete_of_in(tx: &TenantTx, holder: HolderId) -> Result<(), Fault> {
    let statement = delete(holder_identities::table)
        .filter(holder_identities::tenant_id.eq(tx.tenant()))
        .filter(holder_identities::holder_id.eq(holder));
    tx.execute(statement).await.map(drop)
}

/// Notes that a person is this holder here. A tenant may add and not look, so no conflict's place is named.
pub async fn insert_person_in(tx: &TenantTx, person: PersonKey, holder: HolderId) -> Result<(), Fault> {
    let row =
        (persons::person_key.eq(person.0.to_vec()), persons::tenant_id.eq(tx.tenant()), persons::holder_id.eq(holder));
    tx.execute(insert_into(persons::table).values(row).on_conflict_do_nothing()).await.map(drop)
}

pub async fn delete_person_in(tx: &TenantTx, holder: HolderId) -> Result<(), Fault> {
    let statement =
        delete(persons::table).filter(persons::tenant_id.eq(tx.tenant())).filter(persons::holder_id.eq(holder));
    tx.execute(statement).await.map(drop)
}

/// Where the person is known, in the order in which the enterprises came into being.
pub async fn memberships(tx: &PersonTx, person: PersonKey, limit: i64) -> Result<Vec<(EnterpriseId, HolderId)>, Fault> {
    tx.load(
        persons::table
            .filter(persons::person_key.eq(person.0.to_vec()))
            .order(persons::tenant_id)
            .limit(limit)
            .select((persons::tenant_id, persons::holder_id)),
    )
    .await
}

/// A holder whom nothing is known of but what will be tied to them.
pub async fn insert_holder_in(tx: &TenantTx, id: HolderId, nickname: &str) -> Result<(), Fault> {
    let row = (holders::tenant_id.eq(tx.tenant()), holders::id.eq(id), holders::nickname.eq(nickname.to_owned()));
    tx.execute_exactly(1, insert_into(holders::table).values(row)).await
}
