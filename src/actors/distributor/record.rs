//! Miners' records by kind: noted with each outcome, written now and then, told to the consensus.
//! None of it is in the path of a task: a lost half minute of statistics is made good by the next
//! outcomes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use actix::prelude::*;

use super::{Distributor, Flush, KindCard, Slot, ViewKinds};
use crate::actors::consensus::Observed;
use crate::domain::consensus::Observation;
use crate::domain::ids::{LeaseToken, MinerUid, RegistrationId, TaskId};
use crate::domain::kind::{KindIndex, KindRegistry};
use crate::domain::limits::{OBSERVED_MILLIS, RECORDS_MILLIS, RESTING_MAX};
use crate::domain::miner::{KindRecord, KindRecords, Paces, observation};
use crate::domain::period::day_of;
use crate::domain::selection::Candidate;
use crate::domain::units::{Millis, Score};
use crate::store::{
    Holder, KindRecordRow, PutKindRecords, Store, StoreError, StoreResult, WorkDay,
};

/// How often is looked whether something is to be written or told.
const TICK: Duration = Duration::from_secs(1);
/// Records per write, so that other commands are not held up.
const ROWS_MAX: usize = 512;
/// Ended tasks whose kinds are remembered.
const ENDED_MAX: usize = 1_024;

/// Who worked at what on which day.
type WorkKey = (RegistrationId, KindIndex, i64);

/// Leases that ended by the miner's own doing.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    attempted: i64,
    completed: i64,
}

/// Everything about records but the records of miners in the roster.
pub(super) struct Records {
    pub(super) paces: Paces,
    /// Of miners that are not in the roster now.
    resting: HashMap<RegistrationId, KindRecords>,
    unwritten: HashSet<(RegistrationId, KindIndex)>,
    /// Work that is yet to be added by day.
    work: BTreeMap<WorkKey, Work>,
    written_at: Millis,
    /// Of whom the consensus may have to hear.
    untold: HashSet<RegistrationId>,
    told: HashMap<RegistrationId, Observation>,
    told_at: Millis,
    /// Uids whose miner went.
    gone: BTreeSet<MinerUid>,
    /// Kinds of the tasks that ended last: word of their other leases may come a moment later.
    ended: VecDeque<(TaskId, KindIndex)>,
}

/// Records from their rows. A row that cannot be read, or of a kind that is not configured, is left
/// out.
pub(in crate::actors) fn read(
    kinds: &KindRegistry,
    rows: &[KindRecordRow],
) -> HashMap<RegistrationId, KindRecords> {
    let mut records: HashMap<_, KindRecords> = HashMap::new();
    for row in rows {
        let Some((kind, _)) = kinds.find(&row.kind) else { continue };
        match serde_json::from_value::<KindRecord>(row.body.clone()) {
            Ok(record) => {
                let of = records.entry(row.registration).or_default();
                of.change(kind, |known| *known = record);
            }
            Err(error) => tracing::error!(miner.registration = %row.registration, %error,
                "a miner's record cannot be read; it begins anew"),
        }
    }
    records
}

impl Records {
    pub(super) fn new(kinds: &KindRegistry, rows: &[KindRecordRow], now: Millis) -> Self {
        let resting = read(kinds, rows);
        let mut paces = Paces::default();
        resting.values().for_each(|records| paces.add(records));
        Self {
            paces,
            untold: HashSet::new(),
            resting,
            unwritten: HashSet::new(),
            work: BTreeMap::new(),
            written_at: now,
            told: HashMap::new(),
            told_at: now,
            gone: BTreeSet::new(),
            ended: VecDeque::with_capacity(ENDED_MAX),
        }
    }

    fn add_work(&mut self, key: WorkKey, more: Work) {
        let work = self.work.entry(key).or_default();
        work.attempted += more.attempted;
        work.completed += more.completed;
    }

    /// A task ended.
    pub(super) fn end(&mut self, task: TaskId, kind: KindIndex) {
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((task, kind));
    }
}

impl Distributor {
    /// Looks every second whether records are to be written or told.
    pub(super) fn keep_records(&self, ctx: &mut Context<Self>) {
        ctx.run_interval(TICK, |act, ctx| {
            let now = act.deps.clock.now();
            let due = |at: Millis, every: i64| !(0..every).contains(&now.since(at));
            if due(act.records.told_at, OBSERVED_MILLIS) {
                act.tell(now);
            }
            let idle = act.records.unwritten.is_empty() && act.records.work.is_empty();
            if due(act.records.written_at, RECORDS_MILLIS) && !idle {
                ctx.spawn(act.write_records(now).map(|_, _, _| ()));
            }
        });
    }

    /// Notes an outcome in a miner's record at a kind.
    pub(super) fn note(
        &mut self,
        miner: RegistrationId,
        kind: KindIndex,
        change: impl FnOnce(&mut KindRecord),
    ) {
        if self.roster.change(miner, |c| c.records.change(kind, change)).is_some() {
            self.records.unwritten.insert((miner, kind));
            self.records.untold.insert(miner);
        }
    }

    /// A miner answered a lease.
    pub(super) fn completed(
        &mut self,
        miner: RegistrationId,
        kind: KindIndex,
        millis: i64,
        now: Millis,
    ) {
        self.note(miner, kind, |record| record.answered(Some(millis)));
        self.worked(miner, kind, Work { attempted: 1, completed: 1 }, now);
    }

    /// A miner lost a lease by its own doing.
    pub(super) fn failed(&mut self, miner: RegistrationId, kind: KindIndex, now: Millis) {
        self.note(miner, kind, |record| record.failed(now));
        self.worked(miner, kind, Work { attempted: 1, completed: 0 }, now);
    }

    fn worked(&mut self, miner: RegistrationId, kind: KindIndex, more: Work, now: Millis) {
        self.records.add_work((miner, kind, day_of(now)), more);
    }

    /// A miner spoke to us.
    pub(super) fn heard(&mut self, miner: RegistrationId, now: Millis) {
        self.contacted(miner, |c| {
            c.contact.heard(now);
            c.last_seen = c.last_seen.max(now);
        });
    }

    /// A miner let an offer expire.
    pub(super) fn unfetched(&mut self, miner: RegistrationId, now: Millis) {
        self.contacted(miner, |c| c.contact.unfetched(now));
    }

    fn contacted(&mut self, miner: RegistrationId, change: impl FnOnce(&mut Candidate)) {
        if self.roster.change(miner, change).is_some() {
            self.records.untold.insert(miner);
        }
    }

    /// The kind of a task that is open, or ended a moment ago.
    pub(super) fn kind_of(&self, token: LeaseToken) -> Option<KindIndex> {
        if let Some(open) = self.open.get(&token.task) {
            return Some(open.brief.kind);
        }
        let mut ended = self.records.ended.iter().rev();
        ended.find(|(task, _)| *task == token.task).map(|(_, kind)| *kind)
    }

    /// What is known of a miner that comes into the roster.
    pub(super) fn wake(&mut self, miner: RegistrationId) -> KindRecords {
        let mut records = self.records.resting.remove(&miner).unwrap_or_default();
        self.records.untold.insert(miner);
        // A probe that is no lease any more ended while nobody looked.
        let over: Vec<_> = records
            .iter()
            .filter_map(|(kind, record)| Some((kind, record.breaker.probe()?)))
            .filter(|(_, probe)| !self.leases(*probe, Holder::Miner(miner)))
            .collect();
        for (kind, probe) in over {
            records.ended(kind, probe, self.deps.clock.now());
        }
        records
    }

    /// Whether this lease lives and is this holder's.
    pub(super) fn leases(&self, token: LeaseToken, holder: Holder) -> bool {
        let open = self.open.get(&token.task);
        let slot = open.and_then(|open| open.slots.get(usize::from(token.slot)));
        slot.is_some_and(|(slot, attempt)| {
            *attempt == token.attempt && matches!(slot, Slot::Leased(held, _) if *held == holder)
        })
    }

    /// Keeps what is known of a miner that leaves the roster: it may come back.
    pub(super) fn rest(&mut self, candidate: Candidate) {
        let (id, records) = (candidate.registration, candidate.records);
        if self.records.told.remove(&id).is_some() {
            self.records.gone.insert(candidate.uid);
        }
        if !records.is_empty() && self.records.resting.len() < RESTING_MAX {
            self.records.resting.insert(id, records);
        }
    }

    /// Tells the consensus what we saw of miners, where that changed.
    fn tell(&mut self, now: Millis) {
        let Some(consensus) = self.deps.consensus() else { return };
        let records = &mut self.records;
        records.told_at = now;
        let gone = std::mem::take(&mut records.gone);
        let mut news: Vec<_> = gone.into_iter().map(|uid| (uid, None)).collect();
        for id in std::mem::take(&mut records.untold) {
            let Some(candidate) = self.roster.get(id) else { continue };
            let (known, p50s) = (&candidate.records, records.paces.p50s());
            let seen = observation(known, &candidate.contact, p50s, now);
            // Time alone changes whether it serves.
            if seen.is_some_and(|seen| seen.is_serving.is_some()) {
                records.untold.insert(id);
            }
            if records.told.get(&id).copied() != seen {
                match seen {
                    Some(seen) => drop(records.told.insert(id, seen)),
                    None => drop(records.told.remove(&id)),
                }
                news.push((candidate.uid, seen));
            }
        }
        if !news.is_empty() {
            consensus.do_send(Observed(news));
        }
    }

    /// Writes the records that changed since the last time.
    fn write_records(
        &mut self,
        now: Millis,
    ) -> impl ActorFuture<Self, Output = StoreResult<()>> + 'static {
        self.records.written_at = now;
        let unwritten = std::mem::take(&mut self.records.unwritten);
        let row = |&(registration, kind): &(RegistrationId, KindIndex)| {
            let known = self.roster.get(registration).map(|candidate| &candidate.records);
            let known = known.or_else(|| self.records.resting.get(&registration))?;
            let body = serde_json::to_value(known.get(kind)?).ok()?;
            let kind = self.deps.kinds.get(kind)?.name.clone();
            Some(KindRecordRow { registration, kind, body, updated_at: now })
        };
        let rows: Vec<_> = unwritten.iter().filter_map(row).collect();
        let work: Vec<_> = std::mem::take(&mut self.records.work).into_iter().collect();
        let (store, kinds) = (self.deps.store.clone(), self.deps.kinds.clone());
        let written = async move { write(&*store, &kinds, &rows, &work).await };
        written.into_actor(self).map(move |outcome, act, _| {
            let Err((error, left)) = outcome else { return Ok(()) };
            tracing::warn!(%error, "miners' records could not be written; trying again");
            act.records.unwritten.extend(unwritten);
            left.into_iter().for_each(|(key, work)| act.records.add_work(key, work));
            Err(error)
        })
    }
}

/// Writes records, and work beside them; when that fails, what is left of the work.
async fn write(
    store: &dyn Store,
    kinds: &KindRegistry,
    rows: &[KindRecordRow],
    work: &[(WorkKey, Work)],
) -> Result<(), (StoreError, Vec<(WorkKey, Work)>)> {
    let day = |((registration, kind, day), of): &(WorkKey, Work)| {
        let (kind, Work { attempted, completed }) = (kinds.get(*kind)?.name.clone(), *of);
        Some(WorkDay { registration: *registration, kind, day: *day, attempted, completed })
    };
    let (mut rows, mut left) = (rows.chunks(ROWS_MAX), work);
    loop {
        let (now, later) = left.split_at(left.len().min(ROWS_MAX));
        let rows = rows.next().unwrap_or_default().to_vec();
        if rows.is_empty() && now.is_empty() {
            return Ok(());
        }
        let work = now.iter().filter_map(day).collect();
        if let Err(error) = store.put_kind_records(PutKindRecords { rows, work }).await {
            // What may have been added is not added again: a little too few is seen by nobody, twice
            // as many would be.
            let unknown = matches!(error, StoreError::Unknown(_));
            return Err((error, if unknown { later } else { left }.to_vec()));
        }
        left = later;
    }
}

impl Handler<Flush> for Distributor {
    type Result = ResponseActFuture<Self, StoreResult<()>>;

    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.write_records(self.deps.clock.now()))
    }
}

impl Handler<ViewKinds> for Distributor {
    type Result = MessageResult<ViewKinds>;

    fn handle(&mut self, ViewKinds(miner): ViewKinds, _: &mut Self::Context) -> Self::Result {
        let now = self.deps.clock.now();
        let card = |(kind, record): (KindIndex, &KindRecord)| {
            let p50 = self.records.paces.p50_millis(kind);
            Some(KindCard {
                kind: self.deps.kinds.get(kind)?.name.clone(),
                answered: record.answered,
                failed: record.failed,
                success_rate: record.success_rate().map(Score::as_f64),
                latency_ms: record.latency_millis(),
                latency_p95_ms: record.latency_p95_millis(),
                score: record.score().map(Score::as_f64),
                performance: record.observed(p50).map(Score::as_f64),
                evidence: record.evidence(),
                breaker: record.breaker.gate(now).as_str(),
            })
        };
        let candidate = self.roster.get(miner);
        let cards = candidate.map(|c| c.records.iter().filter_map(card).collect());
        MessageResult(cards.unwrap_or_default())
    }
}
