//! A transaction that begins with its first statement and gives its connection back only when it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use diesel::deserialize::FromSqlRow;
use diesel::expression::QueryMetadata;
use diesel::pg::Pg;
use diesel::query_builder::{AsQuery, QueryFragment, QueryId};
use diesel::query_dsl::CompatibleType;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::pooled_connection::deadpool::Object;
// `RunQueryDsl` stays out of scope: its blanket methods would take over `load` on everything, atomics included.
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::try_join;
use tokio::sync::watch;
use uuid::Uuid;

use crate::platform::fault::Fault;
use crate::platform::vault::hex;

/// The login roles of migrations 0008 and 0009; what each may see is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Tenant,
    Holder,
    House,
    Partner,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Tenant, Role::Holder, Role::House, Role::Partner];

    pub fn name(self) -> &'static str {
        match self {
            Role::Tenant => "minthouse_tenant",
            Role::Holder => "minthouse_holder",
            Role::House => "minthouse_house",
            Role::Partner => "minthouse_partner",
        }
    }
}

/// Under which role a transaction runs, and the settings that row security reads.
#[derive(Clone, Debug)]
pub enum Session {
    Tenant {
        tenant: Uuid,
    },
    Holder {
        tenant: Uuid,
        holder: Uuid,
    },
    House,
    /// A partner, looking at these branches side by side.
    Partner {
        branches: Vec<Uuid>,
    },
    /// One person, wherever they are known.
    Person {
        key: [u8; 32],
    },
}

impl Session {
    pub fn role(&self) -> Role {
        match self {
            Session::Tenant { .. } => Role::Tenant,
            Session::Holder { .. } | Session::Person { .. } => Role::Holder,
            Session::House => Role::House,
            Session::Partner { .. } => Role::Partner,
        }
    }

    // SET LOCAL, never set_config: Citus forwards only the former. The values are UUIDs and hexadecimal
    // digits, so nothing needs quoting.
    fn settings(&self) -> String {
        match self {
            Session::Tenant { tenant } => format!("; SET LOCAL app.tenant_id = '{tenant}'"),
            Session::Holder { tenant, holder } => {
                format!("; SET LOCAL app.tenant_id = '{tenant}'; SET LOCAL app.holder_id = '{holder}'")
            }
            Session::House => String::new(),
            Session::Partner { branches } => {
                let list: Vec<String> = branches.iter().map(Uuid::to_string).collect();
                format!("; SET LOCAL app.branches = '{{{}}}'", list.join(","))
            }
            Session::Person { key } => format!("; SET LOCAL app.person_key = '{}'", hex(key)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
    /// The same with [`STEADY`] plans.
    Steady,
}

/// For statements that run thousands of times over tables that grow meanwhile: each is planned once, and by its keys
/// alone. Left to itself the planner reads whole tables as soon as it believes them to be small, and goes on doing so.
const STEADY: &str = "; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; \
     SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// How long a dropped transaction's connection may take to become usable again.
const ROLLBACK_WITHIN: Duration = Duration::from_secs(2);

/// An open transaction.
///
/// Statements go through its methods, never through diesel's `RunQueryDsl`: the first one travels in the same round
/// trip as `BEGIN` and the settings, each is counted, and faults are told apart once. They take `&self`, so that
/// independent statements can be joined and travel together.
pub struct Transaction {
    connection: Option<Object<AsyncPgConnection>>,
    session: Session,
    access: Access,
    begun: AtomicBool,
    /// Statements that were sent and have not succeeded. One that failed or was given up stays counted for ever.
    unsettled: AtomicU32,
    statements: Arc<AtomicU64>,
    commits: Arc<watch::Sender<u64>>,
}

impl Transaction {
    pub(super) fn new(
        connection: Object<AsyncPgConnection>,
        session: Session,
        access: Access,
        statements: Arc<AtomicU64>,
        commits: Arc<watch::Sender<u64>>,
    ) -> Self {
        Self {
            connection: Some(connection),
            session,
            access,
            begun: AtomicBool::new(false),
            unsettled: AtomicU32::new(0),
            statements,
            commits,
        }
    }

    pub async fn load<'q, U, Q, S>(&self, query: Q) -> Result<Vec<U>, Fault>
    where
        Q: AsQuery + Send + 'q,
        Q::Query: QueryFragment<Pg> + QueryId + Send + 'q,
        Q::SqlType: CompatibleType<U, Pg, SqlType = S>,
        U: FromSqlRow<S, Pg> + Send + 'static,
        Pg: QueryMetadata<Q::SqlType>,
        S: 'static,
    {
        let begin = self.take_begin();
        let mut connection = self.connection()?;
        let rows = diesel_async::RunQueryDsl::load::<U>(query, &mut connection);
        let answer = match begin {
            Some(begin) => {
                let mut also = connection;
                try_join(also.batch_execute(&begin), rows).await.map(|((), rows)| rows)
            }
            None => rows.await,
        };
        self.settled(answer)
    }

    /// The one row that there must be.
    pub async fn one<'q, U, Q, S>(&self, query: Q) -> Result<U, Fault>
    where
        Q: AsQuery + Send + 'q,
        Q::Query: QueryFragment<Pg> + QueryId + Send + 'q,
        Q::SqlType: CompatibleType<U, Pg, SqlType = S>,
        U: FromSqlRow<S, Pg> + Send + 'static,
        Pg: QueryMetadata<Q::SqlType>,
        S: 'static,
    {
        let mut rows = self.load::<U, Q, S>(query).await?;
        let found = rows.len();
        match rows.pop() {
            Some(row) if found == 1 => Ok(row),
            _ => Err(Fault::internal(anyhow!("one row was due, {found} came"))),
        }
    }

    /// The one row, or none.
    pub async fn optional<'q, U, Q, S>(&self, query: Q) -> Result<Option<U>, Fault>
    where
        Q: AsQuery + Send + 'q,
        Q::Query: QueryFragment<Pg> + QueryId + Send + 'q,
        Q::SqlType: CompatibleType<U, Pg, SqlType = S>,
        U: FromSqlRow<S, Pg> + Send + 'static,
        Pg: QueryMetadata<Q::SqlType>,
        S: 'static,
    {
        let mut rows = self.load::<U, Q, S>(query).await?;
        let found = rows.len();
        match rows.pop() {
            row if found <= 1 => Ok(row),
            _ => Err(Fault::internal(anyhow!("at most one row was due, {found} came"))),
        }
    }

    /// The number of rows affected.
    pub async fn execute<'q, Q>(&self, query: Q) -> Result<usize, Fault>
    where
        Q: QueryFragment<Pg> + QueryId + Send + 'q,
    {
        let begin = self.take_begin();
        let mut connection = self.connection()?;
        let count = diesel_async::RunQueryDsl::execute(query, &mut connection);
        let answer = match begin {
            Some(begin) => {
                let mut also = connection;
                try_join(also.batch_execute(&begin), count).await.map(|((), count)| count)
            }
            None => count.await,
        };
        self.settled(answer)
    }

    /// Asserts that exactly `count` rows were affected; anything else means that a lock or a rule was missed.
    pub async fn execute_exactly<'q, Q>(&self, count: usize, query: Q) -> Result<(), Fault>
    where
        Q: QueryFragment<Pg> + QueryId + Send + 'q,
    {
        match self.execute(query).await? {
            affected if affected == count => Ok(()),
            affected => Err(Fault::internal(anyhow!("{count} rows were to be affected, {affected} were"))),
        }
    }

    /// Makes the transaction's effects last. Nothing counts as done before this has answered.
    pub async fn commit(mut self) -> Result<(), Fault> {
        // PostgreSQL answers the COMMIT of a failed transaction with a rollback and no error.
        if self.unsettled.load(Ordering::Relaxed) > 0 {
            return Err(Fault::internal(anyhow!("a transaction was to be committed though a statement of it failed")));
        }
        if self.begun.load(Ordering::Relaxed) {
            let mut connection = self.connection()?;
            connection.batch_execute("COMMIT").await.map_err(fault)?;
            if self.access != Access::ReadOnly {
                self.commits.send_modify(|count| *count += 1);
            }
        }
        self.connection = None; // it ended in order, so the pool may have the connection back
        Ok(())
    }

    fn settled<T>(&self, answer: Result<T, Error>) -> Result<T, Fault> {
        if answer.is_ok() {
            self.unsettled.fetch_sub(1, Ordering::Relaxed);
        }
        answer.map_err(fault)
    }

    fn take_begin(&self) -> Option<String> {
        self.unsettled.fetch_add(1, Ordering::Relaxed);
        self.statements.fetch_add(1, Ordering::Relaxed);
        (!self.begun.swap(true, Ordering::Relaxed)).then(|| {
            let mode = match self.access {
                Access::ReadOnly => "BEGIN READ ONLY",
                Access::ReadWrite | Access::Steady => "BEGIN",
            };
            let plans = if self.access == Access::Steady { STEADY } else { "" };
            format!("{mode}{}{plans}", self.session.settings())
        })
    }

    fn connection(&self) -> Result<&AsyncPgConnection, Fault> {
        let connection = self.connection.as_ref().expect("a transaction has its connection until it ends");
        Ok(connection)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !*self.begun.get_mut() {
            return; // nothing was sent: the pool may have it back
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            drop(Object::take(connection)); // the server rolls back as the connection closes
            return;
        };
        // A read ends by being dropped, and so does a use case that refuses. The connection goes back to the pool only
        // once the server has said that the transaction is over; one that is stuck in a statement is thrown away.
        runtime.spawn(async move {
            let rolled_back = {
                let mut reference: &AsyncPgConnection = &connection;
                tokio::time::timeout(ROLLBACK_WITHIN, reference.batch_execute("ROLLBACK")).await
            };
            if !matches!(rolled_back, Ok(Ok(()))) {
                drop(Object::take(connection));
            }
        });
    }
}

/// Whether the statement lost a race that a second try may win.
pub fn is_contention(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        // diesel hides the SQLSTATE of 40P01 and 55P03. The embedded cluster speaks English; a service that does not
        // is merely not tried again.
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            ["deadlock detected", "canceling statement due to lock timeout"].contains(&information.message())
        }
        _ => false,
    }
}

/// Whether the database is on its way down or up, or gave the statement up (57P01 to 57P03, 57014).
fn is_absence(message: &str) -> bool {
    message.starts_with("terminating connection")
        || message.starts_with("the database system is")
        || message.starts_with("canceling statement")
}

/// Whether a text held U+0000, which PostgreSQL cannot store (22021, 22P05).
fn is_unstorable_text(message: &str) -> bool {
    message.starts_with("invalid byte sequence") || message.starts_with("unsupported Unicode escape sequence")
}

fn fault(error: Error) -> Fault {
    match &error {
        _ if is_contention(&error) => Fault::Contended(error.into()),
        Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection, _) => {
            Fault::Unavailable(error.into())
        }
        Error::DatabaseError(_, information) if is_absence(information.message()) => Fault::Unavailable(error.into()),
        Error::DatabaseError(_, information) if is_unstorable_text(information.message()) => {
            Fault::BadRequest("a text holds the character U+0000, which cannot be stored; take it out".into())
        }
        Error::DatabaseError(_, information) if information.message().ends_with("out of range") => {
            Fault::BadRequest("a time or a number lies outside of what can be stored".into())
        }
        _ => Fault::internal(error),
    }
}
