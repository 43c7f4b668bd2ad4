//! From a use case's result to a mutation's payload.

use std::future::Future;

use async_graphql::Context;

use crate::api::context::ContextExt;
use crate::api::transport::raise;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::platform::refusal::{Problem, Refusal};

/// How often a use case that lost a race (a deadlock, a serialization failure) is run again.
const ATTEMPTS: u32 = 4;

/// What a use case answered, with refusals as data.
pub struct Outcome<T, E> {
    pub value: Option<T>,
    pub user_errors: Vec<E>,
}

/// Runs a use case, again if it lost a race. A use case opens its own transaction, so running it again is clean.
/// Every mutation goes through here.
pub async fn run<T, C, E, F, Fut>(
    ctx: &Context<'_>,
    user_error: impl Fn(Problem<C>, Language) -> E,
    mut use_case: F,
) -> async_graphql::Result<Outcome<T, E>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Refusal<C>>>,
{
    ctx.request().reader.release().await;
    for attempt in 1.. {
        return match use_case().await {
            Ok(value) => Ok(Outcome { value: Some(value), user_errors: Vec::new() }),
            Err(Refusal::Problems(problems)) => Ok(Outcome {
                value: None,
                user_errors: problems.into_iter().map(|problem| user_error(problem, ctx.language())).collect(),
            }),
            Err(Refusal::Fault(Fault::Contended(cause))) if attempt < ATTEMPTS => {
                tracing::debug!(attempt, "lost a race, trying again: {cause:#}");
                continue;
            }
            Err(Refusal::Fault(fault)) => Err(raise(fault)),
        };
    }
    unreachable!("the last attempt returns")
}
