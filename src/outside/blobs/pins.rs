//! Which blobs are on their way in or out, so that a sweep and an upload of the same bytes never
//! meet.
//!
//! One process owns a data folder, its bucket and its database (each is locked), so a table in memory
//! is enough. An upload pins the name from before the bytes get it until its row is written; a sweep
//! claims a name only while nobody has pinned it, asks the writer, and deletes before it lets go.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug, Clone, Copy)]
enum Use {
    /// So many uploads have it.
    Pinned(usize),
    /// A sweep decides on it.
    Claimed,
}

#[derive(Debug, Default)]
struct Table {
    names: Mutex<HashMap<String, Use>>,
    freed: Notify,
}

impl Table {
    fn names(&self) -> MutexGuard<'_, HashMap<String, Use>> {
        // Nothing panics while it is held; if something did, each entry is whole.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module's docs.
#[derive(Debug, Clone, Default)]
pub(super) struct Pins(Arc<Table>);

/// A name that no sweep takes while this lives.
#[derive(Debug)]
pub struct Pin {
    table: Arc<Table>,
    name: String,
}

/// A name that no upload gives while this lives.
#[derive(Debug)]
pub struct Claim {
    table: Arc<Table>,
    name: String,
}

impl Claim {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Pins {
    /// Pins a name; waits while a sweep decides on it.
    pub(super) async fn pin(&self, name: &str) -> Pin {
        loop {
            // Made before the look, so that a claim which ends in between wakes it.
            let freed = self.0.freed.notified();
            if let Some(pin) = self.try_pin(name) {
                return pin;
            }
            freed.await;
        }
    }

    fn try_pin(&self, name: &str) -> Option<Pin> {
        let mut names = self.0.names();
        match names.entry(name.to_owned()).or_insert(Use::Pinned(0)) {
            Use::Pinned(uploads) => *uploads += 1,
            Use::Claimed => return None,
        }
        drop(names);
        Some(Pin { table: self.0.clone(), name: name.to_owned() })
    }

    /// Claims a name, unless it is in use.
    pub(super) fn claim(&self, name: &str) -> Option<Claim> {
        match self.0.names().entry(name.to_owned()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(free) => free.insert(Use::Claimed),
        };
        Some(Claim { table: self.0.clone(), name: name.to_owned() })
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut names = self.table.names();
        match names.get_mut(&self.name) {
            Some(Use::Pinned(uploads)) if *uploads > 1 => *uploads -= 1,
            _ => drop(names.remove(&self.name)),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.table.names().remove(&self.name);
        self.table.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn a_pinned_name_cannot_be_claimed_until_the_last_upload_lets_go() {
        let pins = Pins::default();
        let (one, two) = (pins.pin("a").await, pins.pin("a").await);
        assert!(pins.claim("a").is_none());
        assert!(pins.claim("b").is_some());
        drop(one);
        assert!(pins.claim("a").is_none());
        drop(two);
        assert!(pins.claim("a").is_some());
        assert!(pins.0.names().is_empty(), "nothing is remembered");
    }

    #[tokio::test]
    async fn an_upload_waits_for_the_sweep_that_claimed_its_name() {
        let pins = Pins::default();
        let claim = pins.claim("a").unwrap();
        assert!(pins.claim("a").is_none());
        let mut pin = std::pin::pin!(pins.pin("a"));
        assert!(poll!(&mut pin).is_pending());
        drop(claim);
        assert!(matches!(poll!(&mut pin), Poll::Ready(_)));
    }
}
