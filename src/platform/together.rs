//! Serving together what waits together: many small writes become one transaction.
//!
//! There is no timer. Who comes first is served at once; who comes meanwhile is served next, with all others that did. So
//! a lone one waits for nobody, and the more come, the more share a commit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::anyhow;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::platform::fault::Fault;

/// How many are served at once.
const GROUP: usize = 512;
/// How many wait under one key before more are turned away.
const QUEUE: usize = 32_768;

/// Serves a group under its key: one answer for all of it.
type Serve<K, W, A> = Arc<dyn Fn(K, Vec<W>) -> BoxFuture<'static, Result<A, Fault>> + Send + Sync>;

/// Those who wait, by their keys. A key is there as long as a task serves it.
type Groups<K, W, A> = Arc<Mutex<HashMap<K, Vec<Waiting<W, A>>>>>;

struct Waiting<W, A> {
    wish: W,
    reply: oneshot::Sender<Result<A, Fault>>,
}

pub struct Together<K, W, A> {
    groups: Groups<K, W, A>,
    serve: Serve<K, W, A>,
}

impl<K, W, A> Together<K, W, A>
where
    K: Copy + Eq + Hash + Send + 'static,
    W: Send + 'static,
    A: Clone + Send + 'static,
{
    pub fn new<F>(serve: impl Fn(K, Vec<W>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<A, Fault>> + Send + 'static,
    {
        Self { groups: Arc::default(), serve: Arc::new(move |key, wishes| serve(key, wishes).boxed()) }
    }

    /// Waits until a group has been served that this wish was part of.
    pub async fn serve(&self, key: K, wish: W) -> Result<A, Fault> {
        let (reply, answer) = oneshot::channel();
        self.join(key, Waiting { wish, reply })?;
        answer.await.map_err(|_| Fault::Unavailable(anyhow!("a group broke off")))?
    }

    fn join(&self, key: K, waiting: Waiting<W, A>) -> Result<(), Fault> {
        match lock(&self.groups).entry(key) {
            Entry::Occupied(mut group) if group.get().len() < QUEUE => group.get_mut().push(waiting),
            Entry::Occupied(_) => return Err(Fault::Unavailable(anyhow!("{QUEUE} wait in one group"))),
            Entry::Vacant(group) => {
                group.insert(vec![waiting]);
                let task = Task { groups: self.groups.clone(), serve: self.serve.clone(), key, done: false };
                tokio::spawn(task.run());
            }
        }
        Ok(())
    }
}

/// Serves one key until nobody waits under it.
struct Task<K: Copy + Eq + Hash, W, A> {
    groups: Groups<K, W, A>,
    serve: Serve<K, W, A>,
    key: K,
    done: bool,
}

impl<K: Copy + Eq + Hash, W, A: Clone> Task<K, W, A> {
    async fn run(mut self) {
        while let Some(group) = self.next() {
            let (wishes, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|one| (one.wish, one.reply)).unzip();
            let served = (self.serve)(self.key, wishes).await;
            for reply in replies {
                // Who waits no longer needs no answer.
                let _ = reply.send(served.as_ref().map(A::clone).map_err(same));
            }
        }
    }

    /// Under the lock that others join under: whoever joins is seen here, or begins anew.
    fn next(&mut self) -> Option<Vec<Waiting<W, A>>> {
        let mut groups = lock(&self.groups);
        let waiting = groups.get_mut(&self.key)?;
        if waiting.is_empty() {
            groups.remove(&self.key);
            self.done = true;
            return None;
        }
        let group = waiting.len().min(GROUP);
        Some(waiting.drain(..group).collect())
    }
}

impl<K: Copy + Eq + Hash, W, A> Drop for Task<K, W, A> {
    /// One that fell takes those down who wait for it, and the next to come begins anew.
    fn drop(&mut self) {
        if !self.done {
            lock(&self.groups).remove(&self.key);
        }
    }
}

// The map is whole between any two statements, so a panic elsewhere spoils nothing.
fn lock<T>(groups: &Mutex<T>) -> MutexGuard<'_, T> {
    groups.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fault of one's own that names the same cause.
fn same(fault: &Fault) -> Fault {
    match fault {
        Fault::Unavailable(_) | Fault::Contended(_) => Fault::Unavailable(anyhow!(fault.with_causes())),
        _ => Fault::internal(anyhow!(fault.with_causes())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn who_comes_while_one_is_served_is_served_with_the_others() {
        let sizes: Arc<Mutex<Vec<(u8, usize)>>> = Arc::default();
        let seen = sizes.clone();
        let together = Together::new(move |key: u8, wishes: Vec<usize>| {
            let seen = seen.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                lock(&seen).push((key, wishes.len()));
                Ok(wishes.into_iter().max())
            }
        });
        let answers = join_all((0..1200).map(|wish| together.serve((wish % 2) as u8, wish))).await;
        assert!(answers.into_iter().enumerate().all(|(wish, answer)| answer.is_ok_and(|most| most >= Some(wish))));
        let mut sizes = std::mem::take(&mut *lock(&sizes));
        sizes.sort_unstable();
        assert_eq!(sizes.iter().map(|(_, size)| size).sum::<usize>(), 1200);
        assert!(sizes.iter().all(|(_, size)| *size <= GROUP) && sizes.len() <= 8, "{sizes:?}");
        assert!(lock(&together.groups).is_empty(), "nobody waits, so nothing is kept");
    }

    #[tokio::test]
    async fn a_fault_is_everybodys_and_a_fall_is_not_for_ever() {
        let together = Together::new(|(): (), wishes: Vec<&'static str>| async move {
            match wishes[0] {
                "fall" => panic!("as it was told"),
                "fail" => Err(Fault::TimedOut),
                _ => Ok(()),
            }
        });
        assert!(matches!(together.serve((), "fall").await, Err(Fault::Unavailable(_))));
        assert!(matches!(together.serve((), "fail").await, Err(Fault::Internal(_))));
        assert!(together.serve((), "go").await.is_ok());
    }
}
