//! What WebSockets and event streams share: operations that run beside each other for one consumer, and a bounded
//! queue that leads to it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// The operations of one consumer, each under the name that the consumer gave it.
pub struct Operations {
    running: Mutex<Registry>,
    most: usize,
}

#[derive(Default)]
struct Registry {
    named: HashMap<String, (u64, Option<AbortHandle>)>,
    next: u64,
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwelcome {
    /// An operation of that name is running.
    Taken,
    /// As many operations run as may.
    Full,
    Closed,
}

/// A place among the operations. It is given back on drop.
pub struct Place {
    operations: Arc<Operations>,
    name: String,
    serial: u64,
}

impl Operations {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { running: Mutex::default(), most })
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn reserve(self: &Arc<Self>, name: String) -> Result<Place, Unwelcome> {
        let mut registry = self.registry();
        let full = registry.named.len() >= self.most;
        if registry.closed {
            return Err(Unwelcome::Closed);
        }
        registry.next += 1;
        let serial = registry.next;
        match registry.named.entry(name.clone()) {
            Entry::Occupied(_) => return Err(Unwelcome::Taken),
            Entry::Vacant(_) if full => return Err(Unwelcome::Full),
            Entry::Vacant(place) => place.insert((serial, None)),
        };
        Ok(Place { operations: self.clone(), name, serial })
    }

    /// Stops an operation; its name may be used again at once. Says whether it was running.
    pub fn cancel(&self, name: &str) -> bool {
        let found = self.registry().named.remove(name);
        if let Some((_, Some(task))) = &found {
            task.abort();
        }
        found.is_some()
    }

    /// Stops everything, and whatever is started later.
    pub fn close(&self) {
        let mut registry = self.registry();
        registry.closed = true;
        for (_, task) in registry.named.drain().filter_map(|(_, (serial, task))| Some((serial, task?))) {
            task.abort();
        }
    }
}

impl Place {
    /// Runs the operation in a task of its own. The future is given its place, to drop it before it says that it is
    /// complete: from then on the consumer may use the name again.
    pub fn run<F: Future<Output = ()> + Send + 'static>(self, operation: impl FnOnce(Self) -> F) {
        let (operations, name, serial) = (self.operations.clone(), self.name.clone(), self.serial);
        let task = tokio::spawn(operation(self)).abort_handle();
        match operations.registry().named.get_mut(&name) {
            Some((own, handle)) if *own == serial => *handle = Some(task),
            // Already done, or stopped in between. Aborting what is done changes nothing.
            _ => task.abort(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut registry = self.operations.registry();
        if registry.named.get(&self.name).is_some_and(|(serial, _)| *serial == self.serial) {
            registry.named.remove(&self.name);
        }
    }
}

/// The way to a consumer. A consumer that leaves its queue full for too long is cut: the queue never grows, and what
/// feeds it is held back until then.
pub struct Outbox<T> {
    queue: mpsc::Sender<T>,
    patience: Duration,
    /// Fires when the consumer was too slow.
    pub cut: CancellationToken,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), patience: self.patience, cut: self.cut.clone() }
    }
}

impl<T> Outbox<T> {
    pub fn new(length: usize, patience: Duration) -> (Self, mpsc::Receiver<T>) {
        let (queue, receiver) = mpsc::channel(length.max(1));
        (Self { queue, patience, cut: CancellationToken::new() }, receiver)
    }

    /// Says whether there is still someone to send to.
    pub async fn send(&self, message: T) -> bool {
        if self.cut.is_cancelled() {
            return false;
        }
        match self.queue.send_timeout(message, self.patience).await {
            Ok(()) => true,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                self.cut.cancel();
                false
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => false,
        }
    }

    /// Sends only where that needs no waiting.
    pub fn try_send(&self, message: T) -> bool {
        self.queue.try_send(message).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_free_again_when_its_operation_ends_or_is_stopped() {
        let operations = Operations::new(2);
        let first = operations.reserve("a".to_owned()).ok().unwrap();
        assert_eq!(operations.reserve("a".to_owned()).err(), Some(Unwelcome::Taken));
        let second = operations.reserve("b".to_owned()).ok().unwrap();
        assert_eq!(operations.reserve("c".to_owned()).err(), Some(Unwelcome::Full));
        drop(second);

        first.run(|place| async move {
            std::future::pending::<()>().await;
            drop(place);
        });
        assert!(operations.cancel("a"));
        assert!(!operations.cancel("a"));
        let again = operations.reserve("a".to_owned()).ok().unwrap();
        tokio::task::yield_now().await;
        assert_eq!(
            operations.reserve("a".to_owned()).err(),
            Some(Unwelcome::Taken),
            "the stopped one freed its heir's place"
        );
        drop(again);

        operations.close();
        assert_eq!(operations.reserve("d".to_owned()).err(), Some(Unwelcome::Closed));
    }

    #[tokio::test]
    async fn a_slow_consumer_is_cut() {
        let (outbox, mut queue) = Outbox::new(1, Duration::from_millis(10));
        assert!(outbox.send(1).await);
        assert!(!outbox.send(2).await);
        assert!(outbox.cut.is_cancelled());
        assert_eq!(queue.recv().await, Some(1));
        assert_eq!(queue.try_recv().ok(), None);
    }
}
