//! Fair share: whose task is begun next among the clients of one kind and priority. Start-time fair
//! queueing (Goyal, Vin and Cheng, 1996): each client has a virtual time that moves on by the slots
//! it was given over its weight, and the client that is furthest behind goes first. Who comes back
//! after a pause begins at the present, so that nobody saves up, and nobody pays for capacity that
//! was idle.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::domain::ids::TaskId;
use crate::domain::units::Millis;

/// Virtual time of one slot at weight 1; divided by the weight.
pub(super) const SLOT: u64 = 1_000_000;
/// Clients that are remembered at least before those who have neither tasks nor debts are forgotten.
const REMEMBERED: usize = 256;

/// Place of a task among its client's: oldest first.
pub(super) type Age = (Millis, TaskId);

/// A client's place among the clients: virtual time, since when it waits for its turn, who.
pub(super) type Turn = (u64, Millis, Arc<str>);

#[derive(Debug)]
struct Client {
    name: Arc<str>,
    tasks: BTreeSet<Age>,
    virtual_time: u64,
    /// Since when its first task is its first.
    since: Millis,
}

impl Client {
    fn turn(&self) -> Turn {
        (self.virtual_time, self.since, self.name.clone())
    }
}

/// The clients of one kind and priority.
#[derive(Debug, Default)]
pub(super) struct Share {
    clients: HashMap<Arc<str>, Client>,
    /// Those that have tasks.
    order: BTreeSet<Turn>,
    /// The virtual time at which the last task was begun.
    clock: u64,
    tasks: usize,
    /// Clients beyond which those without tasks and debts are looked for.
    remembered: usize,
}

impl Share {
    /// Adds a task of a client; again is no harm.
    pub(super) fn insert(&mut self, owner: &str, age: Age) {
        let clock = self.clock;
        if !self.clients.contains_key(owner) {
            let name: Arc<str> = Arc::from(owner);
            let (tasks, since) = (BTreeSet::new(), age.0);
            let client = Client { name: name.clone(), tasks, virtual_time: clock, since };
            self.clients.insert(name, client);
        }
        let Some(client) = self.clients.get_mut(owner) else { return };
        if client.tasks.is_empty() {
            client.virtual_time = client.virtual_time.max(clock);
            client.since = age.0;
        } else {
            self.order.remove(&client.turn());
            client.since = client.since.min(age.0);
        }
        self.order.insert(client.turn());
        self.tasks += usize::from(client.tasks.insert(age));
    }

    /// Takes out a task that ended or waits.
    pub(super) fn remove(&mut self, owner: &str, age: Age) {
        let Some(client) = self.clients.get_mut(owner) else { return };
        if !client.tasks.remove(&age) {
            return;
        }
        self.tasks -= 1;
        self.order.remove(&client.turn());
        if let Some((oldest, _)) = client.tasks.first() {
            client.since = client.since.max(*oldest);
            self.order.insert(client.turn());
        }
        self.settle();
    }

    /// Takes out a task that was begun now, and charges its client for `cost` of virtual time.
    /// Whether it waited here.
    pub(super) fn begin(&mut self, owner: &str, age: Age, cost: u64, now: Millis) -> bool {
        let Some(client) = self.clients.get_mut(owner) else { return false };
        if !client.tasks.remove(&age) {
            return false;
        }
        self.tasks -= 1;
        self.order.remove(&client.turn());
        self.clock = self.clock.max(client.virtual_time);
        client.virtual_time = client.virtual_time.saturating_add(cost);
        client.since = now;
        if !client.tasks.is_empty() {
            self.order.insert(client.turn());
        }
        self.settle();
        true
    }

    /// Once nobody waits, all debts are settled: the next ones begin as equals.
    fn settle(&mut self) {
        if self.order.is_empty() {
            self.clients.clear();
            self.clock = 0;
        } else if self.clients.len() > self.remembered.max(REMEMBERED) {
            let clock = self.clock;
            self.clients
                .retain(|_, client| !client.tasks.is_empty() || client.virtual_time > clock);
            // Doubling keeps the mean cost of this constant.
            self.remembered = 2 * self.clients.len();
        }
    }

    /// The first client after another one in the order.
    pub(super) fn next_client(&self, after: Option<&Turn>) -> Option<&Turn> {
        match after {
            None => self.order.first(),
            Some(turn) => {
                self.order.range::<Turn, _>((Bound::Excluded(turn), Bound::Unbounded)).next()
            }
        }
    }

    /// A client's first task after another one of its tasks.
    pub(super) fn next_task(&self, owner: &str, after: Option<Age>) -> Option<Age> {
        let tasks = &self.clients.get(owner)?.tasks;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        tasks.range((from, Bound::Unbounded)).next().copied()
    }

    /// How many tasks wait.
    pub(super) const fn len(&self) -> usize {
        self.tasks
    }

    /// How many clients wait.
    pub(super) fn clients(&self) -> usize {
        self.order.len()
    }

    /// How many tasks of a client wait.
    pub(super) fn waiting_of(&self, owner: &str) -> usize {
        self.clients.get(owner).map_or(0, |client| client.tasks.len())
    }
}
