//! A document of somebody else's that is kept for a while.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use super::OidcError;
use crate::platform::clock::Clock;

/// After an answer that did not serve, nobody is asked again for this long. So a token with an invented key, or a
/// provider that is down, costs one question, whoever causes it.
pub(super) const REST: TimeDelta = TimeDelta::seconds(5);

/// Fetched by one, waited for by all others who want it.
pub(super) struct Kept<T> {
    age: TimeDelta,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    value: Option<(DateTime<Utc>, Arc<T>)>,
    /// When it was asked for the last time.
    asked: Option<DateTime<Utc>>,
}

impl<T> Kept<T> {
    pub fn for_at_most(age: TimeDelta) -> Self {
        Self { age, inner: Mutex::new(Inner { value: None, asked: None }) }
    }

    /// Gives what is kept, if it is young enough and `serves`; fetches it otherwise. What was just fetched is given
    /// whether it serves or not.
    pub async fn get(
        &self,
        clock: &dyn Clock,
        serves: impl Fn(&T) -> bool,
        fetch: impl AsyncFnOnce() -> Result<T, OidcError>,
    ) -> Result<Arc<T>, OidcError> {
        let mut inner = self.inner.lock().await;
        let now = clock.now();
        // A clock that was set back makes nothing young.
        let since = |moment: DateTime<Utc>| Some(now - moment).filter(|age| *age >= TimeDelta::zero());
        if let Some((fetched, value)) = &inner.value
            && since(*fetched).is_some_and(|age| age < self.age)
            && serves(value)
        {
            return Ok(value.clone());
        }
        if inner.asked.and_then(since).is_some_and(|age| age < REST) {
            return Err(OidcError::Resting);
        }
        let outcome = fetch().await;
        // Those who waited for the lock while a silent provider used up its time must not ask it again in turn.
        let now = clock.now();
        inner.asked = Some(now);
        let value = Arc::new(outcome?);
        inner.value = Some((now, value.clone()));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::platform::clock::ScriptedClock;

    #[tokio::test]
    async fn what_does_not_serve_is_asked_for_again_after_a_rest() {
        let clock = ScriptedClock::at(DateTime::UNIX_EPOCH);
        let kept = Kept::for_at_most(TimeDelta::minutes(15));
        let asked = Cell::new(0);
        let get = async |wanted: i32| {
            let fetch = async || {
                asked.set(asked.get() + 1);
                Ok(asked.get())
            };
            kept.get(&clock, |value| *value >= wanted, fetch).await.map(|value| *value)
        };
        assert_eq!(get(1).await.unwrap(), 1);
        assert_eq!(get(1).await.unwrap(), 1);
        assert!(matches!(get(2).await, Err(OidcError::Resting)));
        clock.advance(REST);
        assert_eq!(get(2).await.unwrap(), 2);
        assert!(matches!(get(9).await, Err(OidcError::Resting)), "an invented key is asked for once");
        assert_eq!(get(1).await.unwrap(), 2, "and disturbs nobody else");
        clock.advance(TimeDelta::minutes(15) - TimeDelta::milliseconds(1));
        assert_eq!(get(1).await.unwrap(), 2);
        clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(get(1).await.unwrap(), 3, "nothing is kept for ever");
    }

    #[tokio::test]
    async fn who_does_not_answer_is_left_in_peace() {
        let clock = ScriptedClock::at(DateTime::UNIX_EPOCH);
        let kept = Kept::for_at_most(TimeDelta::minutes(15));
        let fail = async || Err::<(), _>(OidcError::Unusable("it is down"));
        assert!(matches!(kept.get(&clock, |()| true, fail).await, Err(OidcError::Unusable(_))));
        assert!(matches!(kept.get(&clock, |()| true, fail).await, Err(OidcError::Resting)));
        clock.advance(REST);
        assert!(kept.get(&clock, |()| true, async || Ok(())).await.is_ok());
    }
}
