//! What a miner says of its leases: an answer, a heartbeat, or that it gives one back.

use actix::prelude::*;
use serde_json::Value;

use super::*;
use crate::actors::distributor::{Answered, LeaseLost};
use crate::actors::lease::{Outcome, answered_before};
use crate::domain::lease::LossReason;
use crate::store::{
    Hash, Heartbeat, Nonce, Release, Released, Respond, Responded, StoreError, StoreResult,
};

/// An answer to a task.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Outcome>")]
pub struct Answer {
    /// The task.
    pub task: TaskId,
    /// The lease; without it, the miner's live lease of the task.
    pub token: Option<LeaseToken>,
    /// The answer.
    pub body: Arc<Value>,
    /// Of the answer as received.
    pub body_hash: Hash,
    /// What the miner says of itself.
    pub claims: Option<Value>,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

impl Handler<Answer> for Miner {
    type Result = ResponseActFuture<Self, StoreResult<Outcome>>;

    fn handle(&mut self, answer: Answer, _: &mut Self::Context) -> Self::Result {
        let held = self.find(answer.task, answer.token);
        if let Some(lacks) = held.and_then(|held| held.brief.lacks(&self.deps.kinds, &answer.body))
        {
            return Box::pin(actix::fut::ready(Ok(Outcome::Lacks(lacks))));
        }
        let token = answer.token.or(held.map(|held| held.token));
        let (store, id, uid) = (self.deps.store.clone(), self.id, self.uid);
        let (holder, now) = (self.holder(), self.deps.clock.now());
        let body = answer.body.clone();
        let written = async move {
            let token = match token {
                Some(token) => token,
                // Not live: it may be a repetition of an answer that was taken.
                None => match answered_before(&*store, answer.task, holder).await? {
                    Some(token) => token,
                    None => return Ok((None, Responded::Lost)),
                },
            };
            let respond = Respond {
                token,
                holder,
                registration: Some(id),
                miner_uid: uid,
                body: answer.body,
                body_hash: answer.body_hash,
                claims: answer.claims,
                now,
                nonce: answer.nonce,
            };
            store.respond(respond).await.map(|responded| (Some(token), responded))
        };
        Box::pin(written.into_actor(self).map(move |outcome, act, _| {
            let (token, responded) = outcome?;
            if let Some(token) = token {
                act.answered(token, &responded, body);
            }
            Ok(Outcome::Stored(responded))
        }))
    }
}

impl Miner {
    fn answered(&mut self, token: LeaseToken, responded: &Responded, body: Arc<Value>) {
        match responded {
            Responded::Accepted { standing, elapsed_millis } => {
                self.leases.remove(&token);
                metrics::histogram!(crate::telemetry::ANSWER_SECONDS)
                    .record(*elapsed_millis as f64 / 1e3);
                let (holder, standing) = (self.holder(), standing.clone());
                let elapsed_millis = *elapsed_millis;
                let answered = Answered { token, holder, elapsed_millis, standing, body };
                self.deps.distributor().do_send(answered);
            }
            Responded::Same { .. } | Responded::Conflict | Responded::Lost => {
                self.leases.remove(&token);
            }
        }
    }
}

/// A heartbeat; answers until when the lease lives, `None` when it is lost.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Option<Millis>>")]
pub struct Beat {
    /// The task.
    pub task: TaskId,
    /// The lease; without it, the miner's live lease of the task.
    pub token: Option<LeaseToken>,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

impl Handler<Beat> for Miner {
    type Result = ResponseActFuture<Self, StoreResult<Option<Millis>>>;

    fn handle(&mut self, beat: Beat, _: &mut Self::Context) -> Self::Result {
        let Some(held) = self.find(beat.task, beat.token) else {
            return Box::pin(actix::fut::ready(Ok(None)));
        };
        let (token, now, lease) = (held.token, self.deps.clock.now(), &self.deps.config.lease);
        // One write per third of the extension is enough to keep it alive.
        if now.since(held.beaten_at) < lease.heartbeat_millis / 3 {
            return Box::pin(actix::fut::ready(Ok(Some(held.expires_at))));
        }
        let until = lease.beaten_until(now, held.expires_at, held.brief.task.deadline);
        let (store, holder) = (self.deps.store.clone(), self.holder());
        let command = Heartbeat { token, holder, until, nonce: beat.nonce };
        let written = async move { store.heartbeat(command).await };
        Box::pin(written.into_actor(self).map(move |outcome, act, _| {
            let outcome: Option<Millis> = outcome.map_err(|error: StoreError| error)?;
            match outcome {
                None => drop(act.leases.remove(&token)),
                Some(until) => {
                    if let Some(held) = act.leases.get_mut(&token) {
                        (held.expires_at, held.beaten_at) = (until, now);
                    }
                }
            }
            Ok(outcome)
        }))
    }
}

/// Gives a lease back; `None` when it does not live.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Option<crate::store::Lost>>")]
pub struct GiveBack {
    /// The task.
    pub task: TaskId,
    /// The lease; without it, the miner's live lease of the task.
    pub token: Option<LeaseToken>,
    /// Why.
    pub reason: LossReason,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

impl Handler<GiveBack> for Miner {
    type Result = ResponseActFuture<Self, StoreResult<Option<crate::store::Lost>>>;

    fn handle(&mut self, back: GiveBack, _: &mut Self::Context) -> Self::Result {
        let Some(token) = self.find(back.task, back.token).map(|held| held.token) else {
            return Box::pin(actix::fut::ready(Ok(None)));
        };
        let command = Release {
            token,
            holder: self.holder(),
            reason: back.reason,
            policy: self.deps.config.lease,
            now: self.deps.clock.now(),
            nonce: back.nonce,
        };
        let store = self.deps.store.clone();
        let written = async move { store.release(command).await };
        Box::pin(written.into_actor(self).map(move |outcome, act, _| {
            let released: Released = outcome.map_err(|error: StoreError| error)?;
            act.leases.remove(&token);
            Ok(match released {
                Released::Lost => None,
                Released::Done(lost) => {
                    act.deps.distributor().do_send(LeaseLost(lost.clone()));
                    Some(lost)
                }
            })
        }))
    }
}
