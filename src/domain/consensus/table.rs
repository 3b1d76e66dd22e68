//! All newest words of all validators in memory, and which miners must be merged again.
//!
//! A report costs time in the number of its miners and their validators. Two things touch every
//! miner: a change of the base weights (a validator appears, falls silent, changes stake), whose
//! work waits for [`ReportTable::refresh`] or the end of the round, and equivocation, which
//! scans for the validator's votes: it is rare and costs the validator all of them. After
//! `refresh` the verdicts are a function of the set of reports and the round alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::event::Event;
use super::explain::{Explanation, explain};
use super::input::{Applied, Ignored, Observation, Report, Restored, Standing, WhyIgnored};
use super::merge::{ChainFacts, merge};
use super::minutes::Minutes;
use super::number::lower_median;
use super::policy::ConsensusPolicy;
use super::replay::VerdictInputs;
use super::reputation::{ReputationState, close_round};
use super::row::{Mention, Row};
use super::stats::{ConsensusStats, Counters};
use super::validator::{SignedOrder, Validator, ValidatorView};
use super::verdict::{Agreed, Verdict, VoterName};
use super::weights::base_weights;
use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::units::{Millis, Score};

/// A miner whose verdict changed; `None` when nobody speaks of it any more.
pub type Changed = (MinerUid, Option<Arc<Verdict>>);

/// Events kept for the caller; if nobody takes them, the newest are dropped.
const EVENTS_MAX: usize = 4_096;

/// The newest word of every validator on every miner, with the verdicts that follow from them.
#[derive(Debug)]
pub struct ReportTable {
    policy: ConsensusPolicy,
    round: i64,
    validators: Vec<Validator>,
    by_hotkey: HashMap<Hotkey, u16>,
    rows: BTreeMap<MinerUid, Row>,
    /// Miners to merge again.
    dirty: BTreeSet<MinerUid>,
    /// Base weights changed since some verdicts were merged.
    unsettled: bool,
    /// The active set may have changed.
    must_reweigh: bool,
    changed: BTreeSet<MinerUid>,
    agreed_changed: BTreeSet<MinerUid>,
    active: usize,
    counters: Counters,
    events: Vec<Event>,
}

impl ReportTable {
    /// An empty table.
    #[must_use]
    pub fn new(policy: ConsensusPolicy) -> Self {
        Self {
            policy,
            round: i64::MIN,
            validators: Vec::new(),
            by_hotkey: HashMap::new(),
            rows: BTreeMap::new(),
            dirty: BTreeSet::new(),
            unsettled: false,
            must_reweigh: false,
            changed: BTreeSet::new(),
            agreed_changed: BTreeSet::new(),
            active: 0,
            counters: Counters::default(),
            events: Vec::new(),
        }
    }

    /// The table as it was: set the validators' standings, then
    /// [`Self::restore_reputations`], the observations and the agreed values, then apply each
    /// validator's newest reports in any order, then [`Self::refresh`].
    pub fn restore(&mut self, rows: Vec<Restored>) {
        for restored in rows {
            let row = self.rows.entry(restored.uid).or_default();
            row.previous = restored.agreed;
            row.ignore_before = restored.ignore_before;
            row.newcomer = restored.newcomer;
        }
    }

    /// The validators' track records as they were; before any report is applied.
    pub fn restore_reputations(&mut self, tracks: Vec<(Hotkey, ReputationState)>) {
        for (hotkey, track) in tracks {
            let Some(index) = self.intern(&hotkey) else { continue };
            if let Some(validator) = self.validators.get_mut(usize::from(index)) {
                validator.restore_track(track);
            }
        }
    }

    /// Sets what is known of a validator besides its reports.
    pub fn set_standing(&mut self, standing: Standing) {
        let Some(index) = self.intern(&standing.hotkey) else { return };
        let Some(validator) = self.validators.get_mut(usize::from(index)) else { return };
        let name = standing.uid.map_or_else(|| VoterName::Hotkey(standing.hotkey), VoterName::Uid);
        // Verdicts name their validators.
        self.unsettled |= validator.name != name;
        validator.name = name;
        validator.uid = standing.uid;
        validator.stake = standing.stake;
        validator.standing = standing.reputation;
        self.must_reweigh = true;
    }

    /// Sets what the chain says of a miner, or that it says nothing.
    pub fn set_chain(&mut self, uid: MinerUid, facts: Option<ChainFacts>) {
        let row = self.rows.entry(uid).or_default();
        if row.chain.as_deref() != facts.as_ref() {
            row.chain = facts.map(Box::new);
            self.dirty.insert(uid);
        }
    }

    /// The uid changed hands at `moment`: reports signed before speak of somebody else, unless they
    /// name the newcomer's hotkey, and what was agreed about that one is forgotten. Verdicts follow
    /// with [`Self::merge_dirty`].
    pub fn ignore_before(&mut self, uid: MinerUid, moment: Millis, newcomer: Option<Hotkey>) {
        let row = self.rows.entry(uid).or_default();
        if moment <= row.ignore_before {
            return;
        }
        row.ignore_before = moment;
        row.newcomer = newcomer;
        let mut mentions = std::mem::take(&mut row.mentions);
        mentions.retain(|mention| !row.is_of_another(mention.order, &mention.status));
        row.mentions = mentions;
        row.previous = Agreed::default();
        row.observation = None;
        if let Some(verdict) = row.verdict.take() {
            self.counters.remove(&verdict);
            self.changed.insert(uid);
        }
        self.agreed_changed.insert(uid);
        self.dirty.insert(uid);
    }

    /// Sets what we saw of a miner ourselves, or that we saw nothing. Counts when the round ends.
    pub fn observe(&mut self, uid: MinerUid, seen: Option<Observation>) {
        self.rows.entry(uid).or_default().observation = seen;
    }

    /// Takes a report in. Verdicts follow with [`Self::merge_dirty`].
    pub fn apply(&mut self, now: Millis, report: Report) -> Applied {
        self.advance(now);
        let mut applied = Applied::default();
        let Some(index) = self.intern(&report.validator) else {
            applied.ignored.extend(
                report
                    .statuses
                    .iter()
                    .map(|status| Ignored { uid: status.uid, why: WhyIgnored::TooManyValidators }),
            );
            return applied;
        };
        let Some(validator) = self.validators.get_mut(usize::from(index)) else { return applied };
        self.counters.reports += 1;
        self.must_reweigh |= !validator.is_active;
        let was_void = validator.absence_is_void();
        applied.equivocation = validator.note_sequence(&report);
        if let Some(found) = applied.equivocation.clone() {
            let hotkey = validator.hotkey.clone();
            tell(&mut self.events, [Event::Equivocated { hotkey, found }]);
        }
        let is_newest_full = validator.note_time(&report);
        let void_changed =
            applied.equivocation.is_some() || was_void != validator.absence_is_void();
        let (order, epoch) = (report.order(), report.epoch);
        let mut mentioned = Vec::with_capacity(report.statuses.len());
        for status in report.statuses {
            let uid = status.uid;
            let row = self.rows.entry(uid).or_default();
            let why = if row.is_of_another(order, &status) {
                WhyIgnored::OlderRegistration
            } else if row.take(Mention { validator: index, order, epoch, status }) {
                mentioned.push(uid);
                continue;
            } else {
                WhyIgnored::NotNewer
            };
            applied.ignored.push(Ignored { uid, why });
        }
        applied.accepted = mentioned.len();
        applied.dirty.clone_from(&mentioned);
        self.list(index, order, mentioned, is_newest_full, &mut applied.dirty);
        if void_changed {
            let mentioned = |(_, row): &(&MinerUid, &Row)| row.mention_of(index).is_some();
            applied.dirty.extend(self.rows.iter().filter(mentioned).map(|(uid, _)| *uid));
        }
        self.dirty.extend(applied.dirty.iter().copied());
        applied
    }

    /// Keeps the validator's list of miners, and adds those that it now leaves out to `dirty`.
    fn list(
        &mut self,
        index: u16,
        order: SignedOrder,
        mentioned: Vec<MinerUid>,
        is_newest_full: bool,
        dirty: &mut Vec<MinerUid>,
    ) {
        let Some(validator) = self.validators.get_mut(usize::from(index)) else { return };
        let mut listed = std::mem::take(&mut validator.listed);
        if is_newest_full {
            listed.retain(|uid| {
                let mention = self.rows.get(uid).and_then(|row| row.mention_of(index));
                let is_out = mention.is_none_or(|mention| validator.leaves_out(mention.order));
                if is_out {
                    dirty.push(*uid);
                }
                !is_out
            });
        }
        if !validator.leaves_out(order) {
            listed.extend(mentioned);
            listed.sort_unstable();
            listed.dedup();
        }
        validator.listed = listed;
    }

    /// Merges each miner touched since the last call once, with the weights of now.
    pub fn merge_dirty(&mut self, now: Millis) -> Vec<Changed> {
        self.advance(now);
        self.reweigh();
        self.merge_each();
        self.take_changed()
    }

    /// Merges also what no report touched, when the weights changed: validators that fell silent,
    /// appeared or changed stake. Does nothing else; to be called every few seconds.
    pub fn refresh(&mut self, now: Millis) -> Vec<Changed> {
        self.advance(now);
        self.settle();
        self.take_changed()
    }

    /// Ends rounds that are over. The old round is settled first, since what it agreed on is an
    /// input of the new one.
    fn advance(&mut self, now: Millis) {
        let round = now.0.div_euclid(self.policy.round.max(1));
        if round <= self.round {
            return;
        }
        self.settle();
        let (policy, validators) = (&self.policy, self.validators.as_mut_slice());
        tell(&mut self.events, close_round(policy, self.round, validators, &self.rows));
        self.round = round;
        let start = Millis(round.saturating_mul(self.policy.round));
        for validator in &mut self.validators {
            let bias = validator.bias;
            validator.freeze(&self.policy);
            self.unsettled |= validator.bias != bias;
            tell(&mut self.events, validator.note_silence(start, &self.policy));
        }
        self.must_reweigh = true;
        self.reweigh();
    }

    fn settle(&mut self) {
        self.reweigh();
        if self.unsettled {
            self.dirty.extend(self.rows.keys().copied());
            self.unsettled = false;
        }
        self.merge_each();
    }

    /// The active set and its base weights, when they may have changed.
    fn reweigh(&mut self) {
        if !std::mem::take(&mut self.must_reweigh) {
            return;
        }
        let start = Millis(self.round.saturating_mul(self.policy.round));
        let mut order: Vec<&mut Validator> = self.validators.iter_mut().collect();
        order.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for (rank, validator) in order.iter_mut().enumerate() {
            validator.rank = u16::try_from(rank).unwrap_or(u16::MAX);
        }
        order.sort_unstable_by(|a, b| a.hotkey.cmp(&b.hotkey));
        for validator in &mut order {
            let is_active = validator.is_active_at(start, &self.policy);
            self.unsettled |= validator.is_active != is_active;
            validator.is_active = is_active;
            if !is_active {
                validator.base = 0;
            }
        }
        order.retain(|validator| validator.is_active);
        self.active = order.len();
        // With nobody left to believe, all are heard again: the verdict stays what they say.
        let is_anyone_believed = order.iter().any(|v| v.reputation > Score::ZERO);
        let trusted = |v: &&mut Validator| {
            if is_anyone_believed || !v.is_quarantined() { v.reputation } else { v.standing }
        };
        let claims: Vec<_> = order.iter().map(|v| (v.stake, trusted(v))).collect();
        for (validator, base) in order.iter_mut().zip(base_weights(&claims)) {
            self.unsettled |= validator.base != base;
            validator.base = base;
        }
    }

    fn merge_each(&mut self) {
        for uid in std::mem::take(&mut self.dirty) {
            let Some(row) = self.rows.get_mut(&uid) else { continue };
            if let Some(old) = row.verdict.as_ref().filter(|old| old.round < self.round) {
                row.previous = old.agreed.clone();
            }
            let new = (!row.mentions.is_empty()).then(|| {
                let ballot = row.ballot(&self.validators, uid, self.round);
                merge(&self.policy, &ballot)
            });
            let old = row.verdict.as_deref();
            if old == new.as_ref() {
                continue;
            }
            if let Some(old) = old {
                self.counters.remove(old);
            }
            if let Some(new) = &new {
                self.counters.add(new);
                if new.agreed != *row.agreed() {
                    self.agreed_changed.insert(uid);
                }
            }
            row.verdict = new.map(Arc::new);
            self.changed.insert(uid);
        }
    }

    fn take_changed(&mut self) -> Vec<Changed> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|uid| (uid, self.verdict(uid).cloned())).collect()
    }

    /// The miner's verdict as last merged.
    #[must_use]
    pub fn verdict(&self, uid: MinerUid) -> Option<&Arc<Verdict>> {
        self.rows.get(&uid)?.verdict.as_ref()
    }

    /// All verdicts, by uid.
    pub fn verdicts(&self) -> impl Iterator<Item = &Arc<Verdict>> {
        self.rows.values().filter_map(|row| row.verdict.as_ref())
    }

    /// How often those who list the miner report, in milliseconds: the weighted lower median of the
    /// active validators' observed periods; `None` while none of them reported twice.
    #[must_use]
    pub fn report_period(&self, uid: MinerUid) -> Option<i64> {
        let mentions = &self.rows.get(&uid)?.mentions;
        let mut periods: Vec<_> = mentions
            .iter()
            .filter_map(|mention| {
                let validator = self.validators.get(usize::from(mention.validator))?;
                let lists = validator.base > 0 && !validator.leaves_out(mention.order);
                Some((validator.shown_period(&self.policy).filter(|_| lists)?, validator.base))
            })
            .collect();
        lower_median(&mut periods)
    }

    /// How the miner's verdict came about, with the votes and weights of now.
    #[must_use]
    pub fn explain(&self, uid: MinerUid) -> Option<Explanation> {
        let row = self.rows.get(&uid)?;
        let round = row.verdict.as_ref()?.round;
        Some(explain(&self.policy, &row.ballot(&self.validators, uid, round)))
    }

    /// Agreed values that changed since the last call, for the caller to persist when a round
    /// ends.
    pub fn take_agreed_changes(&mut self) -> Vec<(MinerUid, Agreed)> {
        let uids = std::mem::take(&mut self.agreed_changed);
        let agreed = |uid| Some((uid, self.rows.get(&uid)?.agreed().clone()));
        uids.into_iter().filter_map(agreed).collect()
    }

    /// Track records that changed since the last call, for the caller to persist when a round
    /// ends, in order of appearance.
    pub fn take_reputation_changes(&mut self) -> Vec<(Hotkey, ReputationState)> {
        let changed = self.validators.iter_mut().filter(|v| v.track_changed);
        let taken = changed.map(|validator| {
            validator.track_changed = false;
            (validator.hotkey.clone(), validator.track.clone())
        });
        taken.collect()
    }

    /// What happened to validators since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Everything the miner's verdict depends on, to be stored beside it. To be taken right after
    /// the merge that changed it: these are the weights of now.
    #[must_use]
    pub fn inputs(&self, uid: MinerUid) -> Option<VerdictInputs> {
        let row = self.rows.get(&uid)?;
        let round = row.verdict.as_ref()?.round;
        Some(VerdictInputs::of(&self.policy, &row.ballot(&self.validators, uid, round)))
    }

    /// What the verdicts of the running round depend on; to be taken at its end, after
    /// [`Self::refresh`].
    #[must_use]
    pub fn minutes(&self) -> Minutes {
        let rows = self.rows.iter().map(|(uid, row)| (*uid, row));
        Minutes::of(&self.policy, self.round, &self.validators, rows)
    }

    /// The running round.
    #[must_use]
    pub const fn round(&self) -> i64 {
        self.round
    }

    /// All validators ever heard of, in order of appearance.
    pub fn validators(&self) -> impl Iterator<Item = ValidatorView> {
        self.validators.iter().map(Validator::view)
    }

    /// The key figures, as of the last merge.
    #[must_use]
    pub fn stats(&self) -> ConsensusStats {
        self.counters.stats(self.validators.len(), self.active)
    }

    fn intern(&mut self, hotkey: &Hotkey) -> Option<u16> {
        if let Some(index) = self.by_hotkey.get(hotkey) {
            return Some(*index);
        }
        let index = u16::try_from(self.validators.len()).ok()?;
        self.validators.push(Validator::new(hotkey.clone(), &self.policy));
        self.by_hotkey.insert(hotkey.clone(), index);
        Some(index)
    }
}

fn tell(kept: &mut Vec<Event>, events: impl IntoIterator<Item = Event>) {
    let room = EVENTS_MAX.saturating_sub(kept.len());
    kept.extend(events.into_iter().take(room));
}
