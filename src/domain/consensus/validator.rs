//! What the table remembers of one validator: when it reports, what it listed, what it signed
//! twice. All of it is a function of the set of its reports, not of their order of arrival.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::input::Report;
use super::policy::ConsensusPolicy;
use super::reputation::{Phase, ReputationState};
use super::verdict::VoterName;
use crate::domain::ids::{Hotkey, MinerUid, ReportId};
use crate::domain::units::{Millis, ONE, Score, Stake};

/// Signed times remembered; the period is the median of the gaps between them.
const TIMES_MAX: usize = 16;

/// Gaps below which a validator's period is not known yet: one hasty retry is no period.
const GAPS_MIN: usize = 3;

/// Sequences remembered per validator, and epochs voided. A validator that sends more reports
/// before it repeats one has long moved on to other votes.
const SEQUENCES_MAX: usize = 256;

/// The order of reports: signed time in nanoseconds, then the body's hash, so that two bodies
/// signed in one instant have the same order everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SignedOrder {
    pub(super) nanos: i64,
    pub(super) tie: u64,
}

impl SignedOrder {
    pub(super) const fn millis(self) -> Millis {
        Millis(self.nanos / 1_000_000)
    }
}

/// A validator used one (epoch, sequence) for two bodies: its votes of that epoch are void.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equivocation {
    /// The epoch label.
    pub epoch: i64,
    /// The repeated sequence.
    pub sequence: i64,
    /// The report that came first.
    pub first: ReportId,
    /// The one that contradicts it.
    pub second: ReportId,
}

/// A validator as others may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidatorView {
    /// Its hotkey.
    pub hotkey: Hotkey,
    /// Its uid, when known.
    pub uid: Option<u16>,
    /// Its stake, when known.
    pub stake: Option<Stake>,
    /// Its reputation in this round.
    pub reputation: Score,
    /// What it earned, with its last steps and their reasons.
    pub track: ReputationState,
    /// Its share of the weight, millionths; 0 when not active.
    pub base_weight: i64,
    /// Its newest report is recent enough to count.
    pub is_active: bool,
    /// Its report period, milliseconds.
    pub period_millis: i64,
    /// When it signed its newest report.
    pub last_report_at: Option<Millis>,
    /// That report.
    pub last_report_id: Option<ReportId>,
    /// Miners it lists now.
    pub miners: usize,
}

#[derive(Debug)]
struct Seen {
    epoch: i64,
    sequence: i64,
    hash: [u8; 32],
    report: ReportId,
    order: SignedOrder,
}

#[derive(Debug)]
pub(super) struct Validator {
    pub(super) hotkey: Hotkey,
    pub(super) uid: Option<u16>,
    pub(super) name: VoterName,
    pub(super) rank: u16,
    pub(super) stake: Option<Stake>,
    /// Counts in this round.
    pub(super) reputation: Score,
    /// Given from outside; counts from the next round on.
    pub(super) standing: Score,
    /// What it earned; counts from the next round on.
    pub(super) track: ReputationState,
    /// Its track changed since it was last taken for storage.
    pub(super) track_changed: bool,
    pub(super) in_clique: bool,
    /// Taken off its scores in this round.
    pub(super) bias: i64,
    /// Counts in this round, within the reputation.
    pub(super) clique_share: i64,
    pub(super) base: i64,
    pub(super) is_active: bool,
    /// Frozen for the round.
    pub(super) period: i64,
    /// As far as it showed one: from its second report on.
    shown_period: Option<i64>,
    times: Vec<i64>,
    newest: Option<(SignedOrder, ReportId)>,
    /// The newest report that is not partial, and its epoch.
    full: Option<(SignedOrder, Option<i64>)>,
    /// Miners mentioned by the newest full report or a later partial one, sorted.
    pub(super) listed: Vec<MinerUid>,
    seen: VecDeque<Seen>,
    void: VecDeque<i64>,
}

impl Validator {
    pub(super) fn new(hotkey: Hotkey, policy: &ConsensusPolicy) -> Self {
        Self {
            name: VoterName::Hotkey(hotkey.clone()),
            hotkey,
            uid: None,
            rank: 0,
            stake: None,
            reputation: Score::ONE,
            standing: Score::ONE,
            track: ReputationState::default(),
            track_changed: false,
            in_clique: false,
            bias: 0,
            clique_share: ONE,
            base: 0,
            is_active: false,
            period: policy.period_default,
            shown_period: None,
            times: Vec::new(),
            newest: None,
            full: None,
            listed: Vec::new(),
            seen: VecDeque::new(),
            void: VecDeque::new(),
        }
    }

    /// Takes note of a report's place in time. True when it is the newest full one so far.
    pub(super) fn note_time(&mut self, report: &Report) -> bool {
        let order = report.order();
        if let Err(place) = self.times.binary_search(&order.nanos) {
            self.times.insert(place, order.nanos);
            if self.times.len() > TIMES_MAX {
                self.times.remove(0);
            }
            // The upper one of two middles: one hasty retry makes nobody a frequent reporter.
            let gaps = self.gaps();
            self.shown_period = gaps.get(gaps.len() / 2).copied();
        }
        if self.newest.is_none_or(|newest| newest.0 < order) {
            self.newest = Some((order, report.id));
        }
        let is_newest_full = !report.partial && self.full.is_none_or(|full| full.0 < order);
        if is_newest_full {
            self.full = Some((order, report.epoch));
        }
        is_newest_full
    }

    /// Takes note of a client-supplied sequence; a repeated one with another body voids the epoch.
    pub(super) fn note_sequence(&mut self, report: &Report) -> Option<Equivocation> {
        let (epoch, sequence) = (report.epoch?, report.sequence?);
        let known = self.seen.iter().find(|s| s.epoch == epoch && s.sequence == sequence);
        if let Some(known) = known {
            if known.hash == report.body_hash {
                return None;
            }
            let first = known.report;
            if !self.void.contains(&epoch) {
                self.void.push_back(epoch);
                if self.void.len() > SEQUENCES_MAX {
                    self.void.pop_front();
                }
            }
            return Some(Equivocation { epoch, sequence, first, second: report.id });
        }
        let (hash, order) = (report.body_hash, report.order());
        self.seen.push_back(Seen { epoch, sequence, hash, report: report.id, order });
        if self.seen.len() > SEQUENCES_MAX {
            let oldest = self.seen.iter().enumerate().min_by_key(|(_, seen)| seen.order);
            if let Some(place) = oldest.map(|(place, _)| place) {
                self.seen.remove(place);
            }
        }
        None
    }

    /// Whether the newest full report leaves out a miner last mentioned at `order`.
    pub(super) fn leaves_out(&self, order: SignedOrder) -> bool {
        self.full.is_some_and(|full| order < full.0)
    }

    /// Whether the word on a miner last mentioned at `order` under `epoch` is void.
    pub(super) fn is_void(&self, order: SignedOrder, epoch: Option<i64>) -> bool {
        if self.leaves_out(order) {
            return self.absence_is_void();
        }
        epoch.is_some_and(|epoch| self.void.contains(&epoch))
    }

    /// Whether leaving a miner out counts nothing, since the newest full report is void.
    pub(super) fn absence_is_void(&self) -> bool {
        let epoch = self.full.and_then(|full| full.1);
        epoch.is_some_and(|epoch| self.void.contains(&epoch))
    }

    pub(super) fn is_active_at(&self, start: Millis, policy: &ConsensusPolicy) -> bool {
        let lifetime = policy.active_periods.saturating_mul(self.period);
        self.newest.is_some_and(|newest| start.since(newest.0.millis()) < lifetime)
    }

    /// What the next round will go by.
    pub(super) fn freeze(&mut self, policy: &ConsensusPolicy) {
        let earned = if policy.reputation.enabled {
            (self.bias, self.clique_share) = (self.track.bias, self.track.clique_share);
            self.track.reputation()
        } else {
            Score::ONE
        };
        self.reputation = Score::clamped(self.standing.millionths() * earned.millionths() / ONE);
        let gaps = self.gaps();
        let median = gaps.get(gaps.len().saturating_sub(1) / 2).copied();
        self.period = match median {
            Some(gap) if gaps.len() >= GAPS_MIN => gap.clamp(policy.period_min, policy.period_max),
            _ => policy.period_default,
        };
    }

    /// The gaps between its reports in milliseconds, sorted.
    fn gaps(&self) -> Vec<i64> {
        let pairs = self.times.iter().zip(self.times.iter().skip(1));
        let mut gaps: Vec<i64> = pairs.map(|(a, b)| b.saturating_sub(*a) / 1_000_000).collect();
        gaps.sort_unstable();
        gaps
    }

    /// How often it reports, in milliseconds, as far as it showed that.
    pub(super) fn shown_period(&self, policy: &ConsensusPolicy) -> Option<i64> {
        self.shown_period.map(|gap| gap.clamp(policy.period_min, policy.period_max))
    }

    /// Whether its newest report was not judged yet.
    pub(super) fn is_unjudged(&self) -> bool {
        let newest = self.newest.map(|newest| (newest.0.nanos, newest.0.tie));
        self.is_active && newest > self.track.judged
    }

    pub(super) fn mark_judged(&mut self) {
        self.track.judged = self.newest.map(|newest| (newest.0.nanos, newest.0.tie));
        self.track_changed = true;
    }

    pub(super) fn set_clique_share(&mut self, share: i64) {
        self.track_changed |= self.track.clique_share != share;
        self.track.clique_share = share;
    }

    pub(super) fn restore_track(&mut self, track: ReputationState) {
        self.in_clique = track.clique_share < ONE;
        self.track = track;
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.track.phase == Phase::Quarantined
    }

    /// Whether it fell silent or came back, as of a round's start.
    pub(super) fn note_silence(
        &mut self,
        start: Millis,
        policy: &ConsensusPolicy,
    ) -> Option<Event> {
        let last_report_at = self.newest?.0.millis();
        let silent = !self.is_active_at(start, policy);
        if silent == self.track.silent {
            return None;
        }
        (self.track.silent, self.track_changed) = (silent, true);
        let hotkey = self.hotkey.clone();
        Some(if silent {
            Event::ValidatorSilent { hotkey, last_report_at }
        } else {
            Event::ValidatorBack { hotkey }
        })
    }

    pub(super) fn view(&self) -> ValidatorView {
        ValidatorView {
            hotkey: self.hotkey.clone(),
            uid: self.uid,
            stake: self.stake,
            reputation: self.reputation,
            track: self.track.clone(),
            base_weight: self.base,
            is_active: self.is_active,
            period_millis: self.period,
            last_report_at: self.newest.map(|newest| newest.0.millis()),
            last_report_id: self.newest.map(|newest| newest.1),
            miners: self.listed.len(),
        }
    }
}
