//! Polls: answered at once, or parked until a lease comes.

use actix::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::domain::limits::POLLS_PER_MINER;
use crate::store::{Fetch, StoreError};

/// A miner asks for its leases.
#[derive(Debug, Message)]
#[rtype(result = "Polled")]
pub struct Poll {
    /// Whether it waits for a new one when there is none.
    pub wait: bool,
}

/// Answer to [`Poll`]: the leases, once they are written as fetched.
#[derive(Debug)]
pub struct Polled {
    /// Names the poll, to take it back.
    pub poll: u64,
    /// Where the leases come.
    pub leases: Later<Result<Vec<Held>, StoreError>>,
}

/// A poll's time is over: it is answered empty.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Unpark(pub u64);

/// Leases that were handed to a poll whose caller is gone: they wait for the next one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Undelivered(pub Vec<LeaseToken>);

impl Handler<Undelivered> for Miner {
    type Result = ();

    fn handle(&mut self, Undelivered(tokens): Undelivered, ctx: &mut Self::Context) {
        for token in tokens {
            if let Some(held) = self.leases.get_mut(&token) {
                held.delivered = false;
            }
        }
        self.hand_out(ctx);
    }
}

/// A poll that waits.
#[derive(Debug)]
pub(super) struct Parked {
    poll: u64,
    reply: oneshot::Sender<Result<Vec<Held>, StoreError>>,
}

impl Parked {
    pub(super) fn answer(self, leases: Vec<Held>) {
        self.reply.send(Ok(leases)).ok();
    }
}

impl Handler<Poll> for Miner {
    type Result = MessageResult<Poll>;

    fn handle(&mut self, poll: Poll, ctx: &mut Self::Context) -> Self::Result {
        let (reply, leases) = oneshot::channel();
        let number = self.next_poll;
        self.next_poll += 1;
        let parked = Parked { poll: number, reply };
        if poll.wait {
            self.park(parked);
            self.hand_out(ctx);
        } else {
            let all = self.leases.keys().copied().collect();
            self.give(parked, all, ctx);
            self.tell_parked();
        }
        MessageResult(Polled { poll: number, leases })
    }
}

impl Handler<Unpark> for Miner {
    type Result = ();

    fn handle(&mut self, Unpark(number): Unpark, _: &mut Self::Context) {
        if let Some(place) = self.parked.iter().position(|parked| parked.poll == number) {
            if let Some(parked) = self.parked.remove(place) {
                parked.answer(Vec::new());
            }
            self.tell_parked();
        }
    }
}

impl Miner {
    fn park(&mut self, parked: Parked) {
        self.parked.retain(|parked| !parked.reply.is_closed());
        if self.parked.len() >= POLLS_PER_MINER
            && let Some(oldest) = self.parked.pop_front()
        {
            oldest.answer(Vec::new());
        }
        self.parked.push_back(parked);
    }

    /// Gives leases that have not gone out to the poll that waits longest; tells the Distributor
    /// how many polls wait then.
    pub(super) fn hand_out(&mut self, ctx: &mut Context<Self>) {
        let new: Vec<_> =
            self.leases.values().filter(|held| !held.delivered).map(|held| held.token).collect();
        if !new.is_empty() {
            self.parked.retain(|parked| !parked.reply.is_closed());
            if let Some(parked) = self.parked.pop_front() {
                self.give(parked, new, ctx);
            }
        }
        self.tell_parked();
    }

    /// Answers a poll with these leases; offers among them are first written as fetched.
    fn give(&mut self, parked: Parked, tokens: Vec<LeaseToken>, ctx: &mut Context<Self>) {
        let now = self.deps.clock.now();
        let mut offers = Vec::new();
        for token in &tokens {
            let Some(held) = self.leases.get_mut(token) else { continue };
            held.delivered = true;
            if !held.fetched {
                let (run, deadline) = (held.brief.task.run_millis, held.brief.task.deadline);
                offers.push((*token, self.deps.config.lease.running_until(now, run, deadline)));
            }
        }
        if offers.is_empty() {
            return self.send(parked, &tokens);
        }
        let store = self.deps.store.clone();
        let fetch = Fetch { holder: self.holder(), leases: offers.clone(), now };
        let written = async move { store.fetch(fetch).await };
        ctx.spawn(written.into_actor(self).map(move |outcome, act, ctx| match outcome {
            Ok(held) => {
                for ((token, until), alive) in offers.into_iter().zip(held) {
                    act.fetched(token, until, alive);
                }
                act.send(parked, &tokens);
            }
            Err(error) => {
                // Unknown whether it was written: offer again; a row that runs already expires.
                for (token, _) in offers {
                    if let Some(held) = act.leases.get_mut(&token) {
                        held.delivered = false;
                    }
                }
                parked.reply.send(Err(error)).ok();
                ctx.notify_later(Reread, std::time::Duration::from_secs(1));
            }
        }));
    }

    fn fetched(&mut self, token: LeaseToken, until: Millis, alive: bool) {
        if !alive {
            self.leases.remove(&token);
        } else if let Some(held) = self.leases.get_mut(&token) {
            (held.fetched, held.expires_at) = (true, until);
            self.deps.changed(token.task);
        }
    }

    /// Sends what still lives; when the poll is gone, the leases wait for the next one.
    fn send(&mut self, parked: Parked, tokens: &[LeaseToken]) {
        let leases: Vec<_> = tokens.iter().filter_map(|t| self.leases.get(t)).cloned().collect();
        if parked.reply.send(Ok(leases)).is_err() {
            for token in tokens {
                if let Some(held) = self.leases.get_mut(token) {
                    held.delivered = false;
                }
            }
        }
    }
}

/// Reads the miner's leases from their rows again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Reread;

impl Handler<Reread> for Miner {
    type Result = ();

    fn handle(&mut self, _: Reread, ctx: &mut Self::Context) {
        let (store, holder) = (self.deps.store.clone(), self.holder());
        let read = async move { store.held_by(holder).await };
        ctx.spawn(read.into_actor(self).map(|found, act, ctx| match found {
            Ok(records) => {
                let delivered: Vec<_> =
                    act.leases.values().filter(|h| h.delivered).map(|h| h.token).collect();
                act.leases.clear();
                records.iter().for_each(|record| act.adopt(record));
                for held in act.leases.values_mut() {
                    held.delivered = delivered.contains(&held.token);
                }
                act.hand_out(ctx);
            }
            Err(_) => {
                ctx.notify_later(Self::reread(), std::time::Duration::from_secs(1));
            }
        }));
    }
}

impl Miner {
    const fn reread() -> Reread {
        Reread
    }
}
