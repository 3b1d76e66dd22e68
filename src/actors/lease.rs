//! What travels between the Distributor, the miners and the HTTP workers about one lease.

use std::sync::Arc;

use crate::domain::ids::LeaseToken;
use crate::domain::kind::KindIndex;
use crate::domain::units::Millis;
use crate::store::NewTask;

/// A task as kept in memory: shared by everyone who works on it.
#[derive(Debug)]
pub struct Brief {
    /// As submitted.
    pub task: NewTask,
    /// Its kind's place in the registry.
    pub kind: KindIndex,
}

/// A live lease as its holder's actor keeps it.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its fencing token.
    pub token: LeaseToken,
    /// The task.
    pub brief: Arc<Brief>,
    /// Due, as the row says.
    pub expires_at: Millis,
    /// Whether the row says `running`.
    pub fetched: bool,
    /// Whether it went out to the miner in this process' life.
    pub delivered: bool,
    /// Last heartbeat that was written.
    pub beaten_at: Millis,
}
