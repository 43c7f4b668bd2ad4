//! SQL over claim codes.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{Array, Binary, Integer, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl};
use uuid::Uuid;

use crate::activities::model::PrizeId;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::schema::{prize_claim_codes, published_claim_codes};
use crate::tenancy::scope::TenantTx;

/// A code before it is written.
#[derive(Clone, Debug)]
pub struct NewCode {
    pub id: Uuid,
    /// Which piece of the prize it belongs to, from 1.
    pub position: i32,
    pub hash: Vec<u8>,
    pub sealed: Vec<u8>,
}

pub async fn insert_codes_in(tx: &TenantTx, prize: PrizeId, new: &[NewCode]) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO prize_claim_codes (tenant_id, prize_id, id, position, code_hash, sealed_code)
         SELECT $1, $2, code.* FROM unnest($3, $4, $5, $6) AS code
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(prize)
    .bind::<Array<SqlUuid>, _>(new.iter().map(|code| code.id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(new.iter().map(|code| code.position).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(new.iter().map(|code| code.hash.clone()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(new.iter().map(|code| code.sealed.clone()).collect::<Vec<_>>());
    tx.execute_exactly(new.len(), statement).await
}

/// How many codes each of these prizes has. Those without any are left out.
pub async fn counts(tx: &TenantTx, prizes: &[PrizeId]) -> Result<HashMap<PrizeId, i64>, Fault> {
    let rows: Vec<(PrizeId, i64)> = tx
        .load(
            prize_claim_codes::table
                .filter(prize_claim_codes::tenant_id.eq(tx.tenant()))
                .filter(prize_claim_codes::prize_id.eq_any(prizes.to_vec()))
                .group_by(prize_claim_codes::prize_id)
                .select((prize_claim_codes::prize_id, diesel::dsl::count_star())),
        )
        .await?;
    Ok(rows.into_iter().collect())
}

/// Which of these hashes the prize has.
pub async fn known(tx: &TenantTx, prize: PrizeId, hashes: &[Vec<u8>]) -> Result<HashSet<Vec<u8>>, Fault> {
    let rows: Vec<Vec<u8>> = tx
        .load(
            prize_claim_codes::table
                .filter(prize_claim_codes::tenant_id.eq(tx.tenant()))
                .filter(prize_claim_codes::prize_id.eq(prize))
                .filter(prize_claim_codes::code_hash.eq_any(hashes.to_vec()))
                .select(prize_claim_codes::code_hash),
        )
        .await?;
    Ok(rows.into_iter().collect())
}

/// Which of these hashes stand under a prize that is public.
pub async fn published(tx: &TenantTx, hashes: &[Vec<u8>]) -> Result<HashSet<Vec<u8>>, Fault> {
    let rows: Vec<Vec<u8>> = tx
        .load(
            published_claim_codes::table
                .filter(published_claim_codes::tenant_id.eq(tx.tenant()))
                .filter(published_claim_codes::code_hash.eq_any(hashes.to_vec()))
                .select(published_claim_codes::code_hash),
        )
        .await?;
    Ok(rows.into_iter().collect())
}

/// Makes the codes of a prize public; how many of them no other public prize has.
pub async fn publish_in(tx: &TenantTx, prize: PrizeId) -> Result<usize, Fault> {
    let statement = statement(
        "INSERT INTO published_claim_codes (tenant_id, code_hash)
         SELECT $1, code_hash FROM prize_claim_codes WHERE tenant_id = $1 AND prize_id = $2 ORDER BY code_hash
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(prize);
    tx.execute(statement).await
}

/// The code that belongs to a piece of a prize, sealed for its own ID.
pub async fn of_piece(tx: &TenantTx, prize: PrizeId, serial: i32) -> Result<Option<(Uuid, Vec<u8>)>, Fault> {
    tx.optional(
        prize_claim_codes::table
            .filter(prize_claim_codes::tenant_id.eq(tx.tenant()))
            .filter(prize_claim_codes::prize_id.eq(prize))
            .filter(prize_claim_codes::position.eq(serial))
            .select((prize_claim_codes::id, prize_claim_codes::sealed_code)),
    )
    .await
}
