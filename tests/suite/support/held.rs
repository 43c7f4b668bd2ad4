//! Two changes that are to meet in the middle: a table is held, and each of them comes as far as that.

use tokio_postgres::{Client, NoTls};

use super::app::TestApp;

/// A table that nobody writes to while this is held.
pub struct Held {
    client: Client,
}

impl TestApp {
    pub async fn hold(&self, table: &str) -> Held {
        let (client, connection) = tokio_postgres::connect(&self.owner_url(), NoTls).await.expect("it connects");
        tokio::spawn(connection);
        client.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE")).await.expect("nobody writes to it");
        Held { client }
    }
}

impl Held {
    /// Until so many transactions wait for a lock.
    pub async fn until_waiting(&self, count: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
        loop {
            // Within one transaction the database shows the connections that there were at the first look.
            self.client.batch_execute("SELECT pg_stat_clear_snapshot()").await.expect("it forgets");
            if self.client.query_one(waiting, &[]).await.expect("it counts").get::<_, i64>(0) >= count {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    pub async fn let_go(self) {
        self.client.batch_execute("COMMIT").await.expect("it commits");
    }
}
