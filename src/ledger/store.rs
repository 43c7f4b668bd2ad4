//! SQL over the embedded ledger.

pub mod chain;

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, Queryable, QueryableByName, Selectable, SelectableHelper};

use crate::catalog::model::CollectibleId;
use crate::ledger::judge::Holding;
use crate::ledger::merkle::Hash;
use crate::ledger::model::{Content, Operation, OperationId, OperationKind, Owner, Piece, Place, Receipt};
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::schema::ledger_operations;
use crate::tenancy::model::{EnterpriseId, HolderId};
use crate::tenancy::scope::{HouseTx, TenantTx};

/// An operation as its columns tell it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = ledger_operations)]
pub struct OperationRow {
    pub operation_id: OperationId,
    pub kind: OperationKind,
    pub collectible_id: Option<CollectibleId>,
    pub first_serial: Option<i32>,
    pub piece_count: Option<i32>,
    pub from_holder_id: Option<HolderId>,
    pub to_holder_id: Option<HolderId>,
    pub digest: Option<Vec<u8>>,
}

impl OperationRow {
    fn of(operation: &Operation) -> Self {
        let none = Self {
            operation_id: operation.id,
            kind: operation.content.kind(),
            collectible_id: operation.content.collectible(),
            first_serial: None,
            piece_count: None,
            from_holder_id: None,
            to_holder_id: None,
            digest: None,
        };
        match operation.content {
            Content::Issue { first_serial, count, .. } => {
                Self { first_serial: Some(first_serial), piece_count: Some(count), ..none }
            }
            Content::Transfer { serial, from, to, .. } => Self {
                first_serial: Some(serial),
                piece_count: Some(1),
                from_holder_id: from,
                to_holder_id: Some(to),
                ..none
            },
            Content::Anchor { digest } => Self { digest: Some(digest.to_vec()), ..none },
        }
    }

    pub fn operation(&self) -> Result<Operation, Fault> {
        // The table's CHECKs do not let it in.
        let incomplete = || Fault::internal(anyhow::anyhow!("operation {} lacks something", self.operation_id));
        let content = self.content().ok_or_else(incomplete)?;
        Ok(Operation { id: self.operation_id, content })
    }

    fn content(&self) -> Option<Content> {
        Some(match self.kind {
            OperationKind::Issue => Content::Issue {
                collectible_id: self.collectible_id?,
                first_serial: self.first_serial?,
                count: self.piece_count?,
            },
            OperationKind::Transfer => Content::Transfer {
                collectible_id: self.collectible_id?,
                serial: self.first_serial?,
                from: self.from_holder_id,
                to: self.to_holder_id?,
            },
            OperationKind::Anchor => Content::Anchor { digest: Hash::try_from(self.digest.as_deref()?).ok()? },
        })
    }
}

pub async fn insert_operations_in(tx: &TenantTx, operations: &[Operation]) -> Result<(), Fault> {
    let rows: Vec<OperationRow> = operations.iter().map(OperationRow::of).collect();
    let statement = statement(
        "INSERT INTO ledger_operations
                (tenant_id, operation_id, kind, collectible_id, first_serial, piece_count, from_holder_id, to_holder_id, digest, ordinal)
         SELECT $1, operation.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10) AS operation ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.operation_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.kind).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.collectible_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(rows.iter().map(|row| row.first_serial).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(rows.iter().map(|row| row.piece_count).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.from_holder_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.to_holder_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(rows.iter().map(|row| row.digest.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>((0..rows.len() as i32).collect::<Vec<_>>());
    tx.execute(statement).await?;
    Ok(())
}

pub async fn receipts(tx: &TenantTx, ids: &[OperationId]) -> Result<HashMap<OperationId, Receipt>, Fault> {
    type Row = (OperationId, Option<i64>, Option<i32>, Option<String>);
    let rows: Vec<Row> = tx
        .load(
            ledger_operations::table
                .filter(ledger_operations::tenant_id.eq(tx.tenant()))
                .filter(ledger_operations::operation_id.eq_any(ids.to_vec()))
                .select((
                    ledger_operations::operation_id,
                    ledger_operations::block_number,
                    ledger_operations::position,
                    ledger_operations::refusal,
                )),
        )
        .await?;
    let receipt = |(id, block, position, refusal): Row| {
        let receipt = match (block, position, refusal) {
            (_, _, Some(reason)) => Receipt::Refused { reason },
            (Some(block), Some(position), None) => Receipt::Confirmed(Place { block, position, transaction: None }),
            _ => Receipt::Pending,
        };
        (id, receipt)
    };
    Ok(rows.into_iter().map(receipt).collect())
}

/// What is known of a piece.
#[derive(Clone, Debug)]
pub struct Known {
    /// The last run that begins at the piece or before it: first serial and count. The piece may lie beyond its end.
    pub run: Option<(i32, i32)>,
    /// None while it has not left the treasury.
    pub held: Option<Holding>,
}

impl Known {
    /// To whom the piece belongs, if it was issued.
    pub fn holding(&self, piece: Piece) -> Option<Holding> {
        let (first, count) = self.run?;
        (i64::from(piece.serial) < i64::from(first) + i64::from(count)).then(|| self.held.unwrap_or(Holding::TREASURY))
    }
}

/// What stands confirmed about pieces.
pub async fn known(tx: &TenantTx, pieces: &[Piece]) -> Result<HashMap<Piece, Known>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        collectible: CollectibleId,
        #[diesel(sql_type = Integer)]
        serial: i32,
        #[diesel(sql_type = Nullable<Integer>)]
        run_first: Option<i32>,
        #[diesel(sql_type = Nullable<Integer>)]
        run_count: Option<i32>,
        #[diesel(sql_type = Nullable<SqlUuid>)]
        since: Option<OperationId>,
        #[diesel(sql_type = Nullable<SqlUuid>)]
        holder: Option<HolderId>,
    }
    let statement = statement(
        "SELECT piece.collectible, piece.serial, run.first_serial AS run_first, run.piece_count AS run_count,
                last.operation_id AS since, last.to_holder_id AS holder
           FROM unnest($2, $3) AS piece (collectible, serial)
           LEFT JOIN LATERAL (
                SELECT first_serial, piece_count FROM ledger_operations
                 WHERE tenant_id = $1 AND kind = 'ISSUE' AND state = 'CONFIRMED'
                   AND collectible_id = piece.collectible AND first_serial <= piece.serial
                 ORDER BY first_serial DESC LIMIT 1) AS run ON true
           LEFT JOIN LATERAL (
                SELECT operation_id, to_holder_id FROM ledger_operations
                 WHERE tenant_id = $1 AND kind = 'TRANSFER' AND state = 'CONFIRMED'
                   AND collectible_id = piece.collectible AND first_serial = piece.serial
                 ORDER BY block_number DESC, position DESC LIMIT 1) AS last ON true",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(pieces.iter().map(|piece| piece.collectible).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(pieces.iter().map(|piece| piece.serial).collect::<Vec<_>>());
    let rows: Vec<Row> = tx.load(statement).await?;
    let known = |row: Row| {
        let piece = Piece { collectible: row.collectible, serial: row.serial };
        let held = row.holder.map(|holder| Holding { owner: Owner::Holder(holder), since: row.since });
        (piece, Known { run: row.run_first.zip(row.run_count), held })
    };
    Ok(rows.into_iter().map(known).collect())
}

/// The tenants whose operations wait for a block.
pub async fn tenants_pending(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(
        ledger_operations::table
            .filter(ledger_operations::state.eq("PENDING"))
            .select(ledger_operations::tenant_id)
            .distinct(),
    )
    .await
}

/// Operations that wait, in the order in which they were handed over.
pub async fn pending(tx: &TenantTx, limit: i64) -> Result<Vec<OperationRow>, Fault> {
    tx.load(
        ledger_operations::table
            .filter(ledger_operations::tenant_id.eq(tx.tenant()))
            .filter(ledger_operations::state.eq("PENDING"))
            .order((ledger_operations::submitted_at, ledger_operations::ordinal, ledger_operations::operation_id))
            .limit(limit)
            .select(OperationRow::as_select()),
    )
    .await
}

/// An operation in its place, with the text and the hash of its record.
pub struct Sealed {
    pub id: OperationId,
    pub text: String,
    pub leaf: Hash,
}

/// Puts operations into their block, in this order.
pub async fn confirm_in(tx: &TenantTx, block: i64, sealed: &[Sealed]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE ledger_operations AS operation
            SET state = 'CONFIRMED', block_number = $2, position = sealed.position, payload = sealed.payload, leaf = sealed.leaf
           FROM unnest($3, $4, $5, $6) AS sealed (id, position, payload, leaf)
          WHERE operation.tenant_id = $1 AND operation.operation_id = sealed.id AND operation.state = 'PENDING'",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<BigInt, _>(block)
    .bind::<Array<SqlUuid>, _>(sealed.iter().map(|sealed| sealed.id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>((0..sealed.len() as i32).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(sealed.iter().map(|sealed| sealed.text.as_str()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(sealed.iter().map(|sealed| &sealed.leaf[..]).collect::<Vec<_>>());
    tx.execute_exactly(sealed.len(), statement).await
}

/// Refuses operations for good.
pub async fn refuse_in(tx: &TenantTx, refused: &[(OperationId, String)]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE ledger_operations AS operation SET state = 'REFUSED', refusal = refused.reason
           FROM unnest($2, $3) AS refused (id, reason)
          WHERE operation.tenant_id = $1 AND operation.operation_id = refused.id AND operation.state = 'PENDING'",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(refused.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(refused.iter().map(|(_, reason)| reason.as_str()).collect::<Vec<_>>());
    tx.execute_exactly(refused.len(), statement).await
}

/// One operation of a piece's history.
#[derive(Clone, Debug, Queryable, QueryableByName)]
pub struct Event {
    #[diesel(sql_type = SqlUuid)]
    pub operation_id: OperationId,
    #[diesel(sql_type = BigInt)]
    pub block_number: i64,
    #[diesel(sql_type = Integer)]
    pub position: i32,
    #[diesel(sql_type = Text)]
    pub payload: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub to_holder_id: Option<HolderId>,
}

/// What has happened to a piece in the first blocks: its issue, and each transfer in order.
pub async fn history(tx: &TenantTx, piece: Piece, blocks: i64) -> Result<Vec<Event>, Fault> {
    let statement = statement(
        "(SELECT operation_id, block_number, position, payload, to_holder_id FROM ledger_operations
           WHERE tenant_id = $1 AND kind = 'ISSUE' AND state = 'CONFIRMED'
             AND collectible_id = $2 AND first_serial <= $3 AND first_serial::bigint + piece_count > $3
             AND block_number <= $4
           ORDER BY first_serial DESC LIMIT 1)
         UNION ALL
         (SELECT operation_id, block_number, position, payload, to_holder_id FROM ledger_operations
           WHERE tenant_id = $1 AND kind = 'TRANSFER' AND state = 'CONFIRMED'
             AND collectible_id = $2 AND first_serial = $3 AND block_number <= $4
           ORDER BY block_number, position)",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(piece.collectible)
    .bind::<Integer, _>(piece.serial)
    .bind::<BigInt, _>(blocks);
    tx.load(statement).await
}

/// One operation as it stands in the first blocks, if it does.
pub async fn sealed(tx: &TenantTx, id: OperationId, blocks: i64) -> Result<Option<Event>, Fault> {
    let statement = statement(
        "SELECT operation_id, block_number, position, payload, to_holder_id FROM ledger_operations
          WHERE tenant_id = $1 AND operation_id = $2 AND state = 'CONFIRMED' AND block_number <= $3",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(id)
    .bind::<BigInt, _>(blocks);
    tx.optional(statement).await
}
