//! SQL over the tags of holders.

use std::collections::HashMap;

use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, delete};

use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::schema::{holder_tags, holders};
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::{Holder, HolderId};

/// Locked in the order of their IDs: nobody of them is erased meanwhile.
pub async fn lock_holders_in(tx: &TenantTx, ids: &[HolderId]) -> Result<HashMap<HolderId, Holder>, Fault> {
    let rows: Vec<Holder> = tx
        .load(
            holders::table
                .filter(holders::tenant_id.eq(tx.tenant()))
                .filter(holders::id.eq_any(ids.to_vec()))
                .order(holders::id)
                .select(Holder::as_select())
                .for_no_key_update(),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// In the order of the alphabet. Who has none is left out.
pub async fn tags_of(tx: &TenantTx, holders: &[HolderId]) -> Result<HashMap<HolderId, Vec<String>>, Fault> {
    let rows: Vec<(HolderId, String)> = tx
        .load(
            holder_tags::table
                .filter(holder_tags::tenant_id.eq(tx.tenant()))
                .filter(holder_tags::holder_id.eq_any(holders.to_vec()))
                .order((holder_tags::holder_id, holder_tags::tag))
                .select((holder_tags::holder_id, holder_tags::tag)),
        )
        .await?;
    let mut tags: HashMap<HolderId, Vec<String>> = HashMap::new();
    for (holder, tag) in rows {
        tags.entry(holder).or_default().push(tag);
    }
    Ok(tags)
}

/// Gives each of these holders each of these tags; who has one keeps it.
pub async fn add_in(tx: &TenantTx, holders: &[HolderId], tags: &[String]) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO holder_tags (tenant_id, holder_id, tag)
         SELECT $1, holder, tag FROM unnest($2) AS holder CROSS JOIN unnest($3) AS tag
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(holders.to_vec())
    .bind::<Array<Text>, _>(tags.to_vec());
    tx.execute(statement).await.map(drop)
}

/// Takes each of these tags off each of these holders.
pub async fn remove_in(tx: &TenantTx, holders: &[HolderId], tags: &[String]) -> Result<(), Fault> {
    let statement = delete(holder_tags::table)
        .filter(holder_tags::tenant_id.eq(tx.tenant()))
        .filter(holder_tags::holder_id.eq_any(holders.to_vec()))
        .filter(holder_tags::tag.eq_any(tags.to_vec()));
    tx.execute(statement).await.map(drop)
}

/// Takes all tags off a holder.
pub async fn delete_of_in(tx: &TenantTx, holder: HolderId) -> Result<(), Fault> {
    let statement = delete(holder_tags::table)
        .filter(holder_tags::tenant_id.eq(tx.tenant()))
        .filter(holder_tags::holder_id.eq(holder));
    tx.execute(statement).await.map(drop)
}
