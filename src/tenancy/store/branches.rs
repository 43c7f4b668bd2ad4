//! SQL over a partner's branches: which there are, in the partner's own room, and what they amount to, side by side.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, insert_into};

use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Sort;
use crate::schema::{branches, enterprises, event_sequences};
use crate::tenancy::model::{BranchTotals, Enterprise, EnterpriseId, EnterpriseKind, EnterpriseState};
use crate::tenancy::scope::{PartnerTx, TenantTx};

/// Keeps an ID for the partner's name of a branch; gives the one that is kept, and whether it is new.
pub async fn reserve_in(tx: &TenantTx, corp_open_id: &str) -> Result<(EnterpriseId, bool), Fault> {
    let row = (
        branches::tenant_id.eq(tx.tenant()),
        branches::branch_id.eq(EnterpriseId::generate()),
        branches::corp_open_id.eq(corp_open_id.to_owned()),
    );
    let statement = insert_into(branches::table).values(row).on_conflict_do_nothing().returning(branches::branch_id);
    if let Some(id) = tx.optional(statement).await? {
        return Ok((id, true));
    }
    let kept = find(tx, corp_open_id).await?;
    kept.map(|id| (id, false)).ok_or_else(|| Fault::internal(anyhow::anyhow!("a branch was there and is not")))
}

/// The branch that the partner calls so.
pub async fn find(tx: &TenantTx, corp_open_id: &str) -> Result<Option<EnterpriseId>, Fault> {
    tx.optional(
        branches::table
            .filter(branches::tenant_id.eq(tx.tenant()))
            .filter(branches::corp_open_id.eq(corp_open_id.to_owned()))
            .select(branches::branch_id),
    )
    .await
}

/// Whether an enterprise is one of the partner's branches.
pub async fn is_branch(tx: &TenantTx, id: EnterpriseId) -> Result<bool, Fault> {
    let found: Option<EnterpriseId> = tx
        .optional(
            branches::table
                .filter(branches::tenant_id.eq(tx.tenant()))
                .filter(branches::branch_id.eq(id))
                .select(branches::branch_id),
        )
        .await?;
    Ok(found.is_some())
}

/// Some of the partner's branches, in the order of their IDs.
pub async fn ids(
    tx: &TenantTx,
    sort: Sort,
    above: Option<EnterpriseId>,
    below: Option<EnterpriseId>,
    limit: i64,
) -> Result<Vec<EnterpriseId>, Fault> {
    let mut query = branches::table
        .filter(branches::tenant_id.eq(tx.tenant()))
        .select(branches::branch_id)
        .limit(limit)
        .into_boxed();
    query = match sort {
        Sort::Ascending => query.order(branches::branch_id.asc()),
        Sort::Descending => query.order(branches::branch_id.desc()),
    };
    if let Some(key) = above {
        query = query.filter(branches::branch_id.gt(key));
    }
    if let Some(key) = below {
        query = query.filter(branches::branch_id.lt(key));
    }
    tx.load(query).await
}

pub struct NewBranch<'a> {
    pub slug: &'a str,
    pub names: (&'a str, &'a str),
    pub partner: EnterpriseId,
    pub corp_open_id: &'a str,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Writes the branch's own row; `false` where it is there already. Of two who come at once, the second waits for the
/// first.
pub async fn insert_in(tx: &TenantTx, new: &NewBranch<'_>) -> Result<bool, Fault> {
    let row = (
        enterprises::tenant_id.eq(tx.tenant()),
        enterprises::slug.eq(new.slug.to_owned()),
        enterprises::name_chinese.eq(new.names.0.to_owned()),
        enterprises::name_english.eq(new.names.1.to_owned()),
        enterprises::kind.eq(EnterpriseKind::Standard),
        enterprises::state.eq(EnterpriseState::Active),
        enterprises::partner_id.eq(Some(new.partner)),
        enterprises::corp_open_id.eq(Some(new.corp_open_id.to_owned())),
        enterprises::expires_at.eq(new.expires_at),
    );
    if tx.execute(insert_into(enterprises::table).values(row).on_conflict_do_nothing()).await? == 0 {
        return Ok(false);
    }
    tx.execute_exactly(1, insert_into(event_sequences::table).values(event_sequences::tenant_id.eq(tx.tenant())))
        .await?;
    Ok(true)
}

/// The branches that the transaction names, side by side.
pub async fn enterprises(tx: &PartnerTx, ids: &[EnterpriseId]) -> Result<HashMap<EnterpriseId, Enterprise>, Fault> {
    let rows: Vec<Enterprise> = tx
        .load(enterprises::table.filter(enterprises::tenant_id.eq_any(ids.to_vec())).select(Enterprise::as_select()))
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: EnterpriseId,
    #[diesel(sql_type = Text)]
    what: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = BigInt)]
    minor: i64,
}

/// What each of these branches amounts to, in one statement however many they are. A branch that has nothing is left
/// out.
pub async fn totals(tx: &PartnerTx, ids: &[EnterpriseId]) -> Result<HashMap<EnterpriseId, BranchTotals>, Fault> {
    let statement = statement(
        "SELECT tenant_id, 'holders' AS what, '' AS currency, count(*) AS count, 0::bigint AS minor
           FROM holders WHERE tenant_id = ANY ($1) AND erased_at IS NULL GROUP BY tenant_id
         UNION ALL
         SELECT tenant_id, 'items', '', count(*), 0::bigint
           FROM items WHERE tenant_id = ANY ($1) AND holder_id IS NOT NULL GROUP BY tenant_id
         UNION ALL
         SELECT tenant_id, 'orders', currency, count(*), sum(total_minor)::bigint
           FROM orders WHERE tenant_id = ANY ($1) AND state IN ('PAID', 'FULFILLING', 'COMPLETED') GROUP BY tenant_id, currency
         UNION ALL
         SELECT tenant_id, 'activities', '', count(*), 0::bigint
           FROM activities WHERE tenant_id = ANY ($1) AND state = 'PUBLISHED' AND opens_at <= now() AND now() < closes_at
          GROUP BY tenant_id
         UNION ALL
         SELECT tenant_id, 'collectibles', '', count(*), 0::bigint
           FROM collectibles WHERE tenant_id = ANY ($1) AND state = 'ISSUED' GROUP BY tenant_id",
    )
    .bind::<Array<SqlUuid>, _>(ids.to_vec());
    let rows: Vec<Counted> = tx.load(statement).await?;
    let mut totals: HashMap<EnterpriseId, BranchTotals> = HashMap::new();
    for row in rows {
        let branch = totals.entry(row.tenant_id).or_default();
        match row.what.as_str() {
            "holders" => branch.holders = row.count,
            "items" => branch.items = row.count,
            "orders" => {
                branch.paid_orders += row.count;
                branch.add_paid(&row.currency, row.minor);
            }
            "activities" => branch.running_activities = row.count,
            _ => branch.issued_collectibles = row.count,
        }
    }
    Ok(totals)
}
