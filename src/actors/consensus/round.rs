//! The end of a round: its verdicts are settled, its validators judged, and what it depended on is
//! written down.

use std::collections::VecDeque;

use actix::prelude::*;

use super::ConsensusSupervisor;
use crate::actors::audit;
use crate::domain::consensus::{Agreed, Event, ReputationState};
use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::limits::EVENTS_SHOWN;
use crate::domain::units::Millis;
use crate::store::{CloseRound, RoundRow, TrackRow, ValidatorRow, VerdictRow};

/// What happened to validators of late, oldest first.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    shown: VecDeque<(Millis, Event)>,
    /// Not in any minutes yet.
    unwritten: Vec<(Millis, Event)>,
}

impl Chronicle {
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Millis, Event)> {
        self.shown.iter()
    }

    fn note(&mut self, now: Millis, event: Event) {
        metrics::counter!(crate::telemetry::VALIDATOR_EVENTS, "event" => event.name()).increment(1);
        match &event {
            Event::ValidatorBack { .. } | Event::Probation { .. } | Event::Restored { .. } => {
                tracing::info!(?event, "a validator");
            }
            Event::ValidatorSilent { .. }
            | Event::ValidatorDrifting { .. }
            | Event::Quarantined { .. }
            | Event::Equivocated { .. }
            | Event::Clique { .. } => tracing::warn!(?event, "a validator"),
        }
        if self.shown.len() >= EVENTS_SHOWN {
            self.shown.pop_front();
        }
        self.unwritten.push((now, event.clone()));
        self.shown.push_back((now, event));
    }
}

/// The track records that the rows hold.
pub(super) fn tracks(validators: &[ValidatorRow]) -> Vec<(Hotkey, ReputationState)> {
    let track = |row: &ValidatorRow| match serde_json::from_value(row.track.clone()?) {
        Ok(track) => Some((row.hotkey.clone(), track)),
        Err(error) => {
            tracing::error!(validator.hotkey = %row.hotkey, %error,
                    "a track record cannot be read; the validator starts anew");
            None
        }
    };
    validators.iter().filter_map(track).collect()
}

impl ConsensusSupervisor {
    /// Ends the running round when its time is over.
    pub(super) fn close_round(&mut self, now: Millis, ctx: &mut Context<Self>) {
        let (round, length) = (self.table.round(), self.deps.config.consensus.round.max(1));
        if now.0.div_euclid(length) <= round {
            return;
        }
        // Nothing was heard since the start: there is no round to close.
        if round == i64::MIN {
            self.table.refresh(now);
            return;
        }
        let end = Millis(round.saturating_add(1).saturating_mul(length).saturating_sub(1));
        let mut changed = self.table.refresh(end);
        let mut minutes = self.table.minutes();
        let agreed = self.table.take_agreed_changes();
        // The next round begins, with what was earned in this one.
        changed.extend(self.table.refresh(now));
        let tracks = self.table.take_reputation_changes();
        self.tell(now);
        self.publish(changed, ctx);
        let happened = std::mem::take(&mut self.chronicle.unwritten);
        minutes.events.clone_from(&happened);
        let minutes = (!minutes.is_empty()).then(|| serde_json::to_vec(&minutes));
        let minutes = minutes.and_then(|body| {
            let body = body.inspect_err(|error| tracing::error!(%error, "a round has no minutes"));
            Some(RoundRow { round, closed_at: now, body: body.ok()? })
        });
        let command = CloseRound {
            verdicts: agreed.into_iter().filter_map(|row| verdict_row(round, row)).collect(),
            tracks: tracks.into_iter().filter_map(|track| self.track_row(track)).collect(),
            minutes,
            facts: happened.iter().filter_map(|(_, event)| event.fact(round)).collect(),
            netuid: self.deps.config.netuid,
            now,
        };
        if command.is_empty() {
            return;
        }
        let (deps, facts) = (self.deps.clone(), command.facts.clone());
        let written = async move {
            // What is not written is agreed and judged again from the reports; a restart in between
            // falls back to the round before. What happened in it is told all the same.
            if let Err(error) = deps.store.close_round(command).await {
                tracing::warn!(%error, "a round could not be written");
                audit::tell(&deps, facts);
            }
        };
        ctx.spawn(written.into_actor(self));
    }

    /// Passes on what happened to validators.
    pub(super) fn tell(&mut self, now: Millis) {
        for event in self.table.take_events() {
            self.chronicle.note(now, event);
        }
    }

    fn track_row(&self, (hotkey, track): (Hotkey, ReputationState)) -> Option<TrackRow> {
        let validator = *self.validators.get(&hotkey)?;
        Some(TrackRow { validator, body: serde_json::to_value(track).ok()? })
    }
}

fn verdict_row(round: i64, (uid, agreed): (MinerUid, Agreed)) -> Option<VerdictRow> {
    Some(VerdictRow { uid, round, body: serde_json::to_value(agreed).ok()? })
}
