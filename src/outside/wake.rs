//! Hints that something changed, within this process. A hint may be lost and means nothing by itself:
//! whoever is woken reads the rows, and reads them now and then without one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::domain::ids::TaskId;

/// See the module's docs.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    outbox: Notify,
    written: AtomicU64,
    followers: Mutex<HashMap<TaskId, watch::Sender<()>>>,
    /// How many tasks are followed: usually none, and then a change costs one look at this.
    followed: AtomicUsize,
}

impl Inner {
    fn followers(&self) -> MutexGuard<'_, HashMap<TaskId, watch::Sender<()>>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake {
    /// A task changed: who follows it is woken.
    pub fn task(&self, id: TaskId) {
        if self.0.followed.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some(follower) = self.0.followers().get(&id) {
            follower.send_replace(());
        }
    }

    /// So many deliveries were written by now: who delivers is woken when there are more than before.
    pub fn outbox(&self, written: u64) {
        if self.0.written.swap(written, Ordering::AcqRel) != written {
            self.0.outbox.notify_one();
        }
    }

    /// Waits for the next hint about deliveries.
    pub async fn until_outbox(&self) {
        self.0.outbox.notified().await;
    }

    /// Follows a task.
    #[must_use]
    pub fn follow(&self, task: TaskId) -> Follower {
        let mut followers = self.0.followers();
        let changed = followers.entry(task).or_insert_with(|| watch::channel(()).0).subscribe();
        self.0.followed.store(followers.len(), Ordering::Release);
        drop(followers);
        Follower { wake: self.clone(), task, changed }
    }
}

/// Somebody who follows a task, until it is dropped.
#[derive(Debug)]
pub struct Follower {
    wake: Wake,
    task: TaskId,
    changed: watch::Receiver<()>,
}

impl Follower {
    /// Waits for the next hint; one that came since the last wait counts.
    pub async fn changed(&mut self) {
        // The sender stays in the map for as long as somebody follows.
        if self.changed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followers = self.wake.0.followers();
        if followers.get(&self.task).is_some_and(|sender| sender.receiver_count() <= 1) {
            followers.remove(&self.task);
        }
        self.wake.0.followed.store(followers.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use uuid::Uuid;

    #[tokio::test]
    async fn only_followers_of_the_task_are_woken_and_nothing_stays_behind() {
        let (wake, task) = (Wake::default(), TaskId(Uuid::from_u128(1)));
        let (mut one, mut two) = (wake.follow(task), wake.follow(task));
        let mut other = wake.follow(TaskId(Uuid::from_u128(2)));
        wake.task(task);
        one.changed().await;
        two.changed().await;
        assert_eq!(one.changed().now_or_never(), None);
        assert_eq!(other.changed().now_or_never(), None);
        drop(one);
        wake.task(task);
        two.changed().await;
        drop((two, other));
        assert_eq!(wake.0.followers().len(), 0);
        assert_eq!(wake.0.followed.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn the_outbox_wakes_once_for_what_is_new() {
        let wake = Wake::default();
        wake.outbox(0);
        assert_eq!(wake.until_outbox().now_or_never(), None);
        wake.outbox(2);
        wake.outbox(2);
        wake.until_outbox().await;
        assert_eq!(wake.until_outbox().now_or_never(), None);
    }
}
