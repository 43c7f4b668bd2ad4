//! What a process that is killed leaves behind.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Lets a future go on so often at most, and drops it there, as a process that is killed would. Its answer, if it came so
/// far. On a busy machine answers are there before they are waited for, so that a step may go far: how many steps there are
/// says nothing.
pub async fn killed_after<T>(steps: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = steps;
    poll_fn(|context| match left {
        0 => Poll::Ready(None),
        _ => {
            left -= 1;
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}
