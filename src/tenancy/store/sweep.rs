//! SQL that takes away what is of no use any more, a bounded batch at a time.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};

use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantTx};
use crate::tenancy::throttle::NO_TENANT;

/// Where something is due: a statement whose `$1` is the moment before which a row is old, and `$2` the tenant of what
/// is counted before one is known.
pub struct Due(&'static str);

/// One kind of leavings: where they are due, and how a batch of them goes. `delete` takes the tenant, the moment before
/// which a row is old, and the most that may go.
pub struct Leavings {
    pub due: Due,
    delete: &'static str,
}

/// For a table whose age stands in one of its own columns. What is found by its age is deleted by its key, since a
/// DELETE takes no LIMIT.
macro_rules! aged {
    ($table:literal, $key:literal, $age:literal) => {
        Leavings {
            due: Due(concat!(
                "SELECT tenant_id FROM (SELECT tenant_id FROM enterprises UNION ALL SELECT $2) AS known WHERE EXISTS (SELECT FROM ",
                $table, " AS old WHERE old.tenant_id = known.tenant_id AND old.", $age, " < $1)"
            )),
            delete: concat!(
                "DELETE FROM ", $table, " WHERE tenant_id = $1 AND (", $key, ") IN (SELECT ", $key, " FROM ", $table,
                " WHERE tenant_id = $1 AND ", $age, " < $2 ORDER BY ", $age, " LIMIT $3)"
            ),
        }
    };
}

pub const IDEMPOTENCY_KEYS: Leavings = aged!("idempotency_keys", "principal, operation, key", "created_at");
pub const SSO_ATTEMPTS: Leavings = aged!("sso_attempts", "state_hash", "expires_at");
pub const SSO_TICKETS: Leavings = aged!("sso_tickets", "ticket_hash", "expires_at");
pub const USED_ASSERTIONS: Leavings = aged!("used_assertions", "assertion_hash", "expires_at");
pub const VERIFICATION_CODES: Leavings = aged!("verification_codes", "id", "expires_at");
pub const THROTTLES: Leavings = aged!("throttles", "kind, key", "last_at");

/// A refresh token is worth something for as long as its session could still be told of a theft by it: one that was used
/// stays while its session lives. Where work is due is told by the token's own age; whether it goes, by its session.
pub const REFRESH_TOKENS: Leavings = Leavings {
    delete: "DELETE FROM refresh_tokens WHERE tenant_id = $1 AND token_hash IN (
         SELECT token.token_hash FROM refresh_tokens AS token
           JOIN sessions AS session ON session.tenant_id = token.tenant_id AND session.id = token.session_id
          WHERE token.tenant_id = $1 AND session.tenant_id = $1 AND token.created_at < $2
            AND (session.expires_at < $2 OR session.revoked_at < $2) LIMIT $3)",
    ..aged!("refresh_tokens", "token_hash", "created_at")
};

/// Documents that were announced and never completed. Their files go before their rows: see `tenancy::document`.
pub const AWAITED_DOCUMENTS: Due =
    Due("SELECT tenant_id FROM enterprises AS known WHERE tenant_id <> $2 AND EXISTS (SELECT FROM documents AS old
      WHERE old.tenant_id = known.tenant_id AND old.state = 'AWAITED' AND old.created_at < $1)");

#[derive(QueryableByName)]
struct Tenant {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: EnterpriseId,
}

impl Due {
    /// The tenants that have something as old as that, and whoever is counted before a tenant is known.
    pub async fn tenants(&self, tx: &HouseTx, before: DateTime<Utc>) -> Result<Vec<EnterpriseId>, Fault> {
        let statement = statement(self.0).bind::<Timestamptz, _>(before).bind::<SqlUuid, _>(NO_TENANT);
        Ok(tx.load::<Tenant, _, _>(statement).await?.into_iter().map(|tenant| tenant.tenant_id).collect())
    }
}

impl Leavings {
    /// Deletes at most `limit`, and says how many there were.
    pub async fn delete_in(&self, tx: &TenantTx, before: DateTime<Utc>, limit: i64) -> Result<usize, Fault> {
        let statement = statement(self.delete)
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<Timestamptz, _>(before)
            .bind::<BigInt, _>(limit);
        tx.execute(statement).await
    }
}
