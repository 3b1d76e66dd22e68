//! Random scores and sums: few miners, voices, kinds and moments, so that keys meet.

use pithead::domain::period::{day_of, hour_of};
use pithead::domain::units::HOUR;
use pithead::store::*;

use super::super::make::*;
use super::Command;
use super::world::World;

impl World {
    pub(super) fn ledger(&mut self) -> Command {
        if self.dice.one_in(4) {
            return Command::PutHour(self.hour());
        }
        let scores = (0..self.dice.small(5)).map(|_| {
            let n = u128::from(self.dice.small(3));
            let kind = format!("kind{}", self.dice.below(2));
            // Some hours of two days, a few moments of each.
            let ago = i64::from(self.dice.small(30)) * HOUR + i64::from(self.dice.small(2));
            let scored_at = at(0).plus(-ago);
            let score = pushed(n, &kind, scored_at, i64::from(self.dice.small(2)) * 40);
            PushedScore { block: self.dice.one_in(2).then_some(7), ..score }
        });
        let scores: Vec<_> = scores.collect();
        let by = u128::from(self.dice.small(3));
        let nonce = self.nonce();
        Command::PutScores(PutScores { now: self.now(), nonce, ..put_scores(by, &scores) })
    }

    fn hour(&mut self) -> PutHour {
        let mut sums: Vec<_> = (0..self.dice.small(3))
            .map(|_| HourSum {
                registration: registration_id(u128::from(self.dice.small(3))),
                kind: format!("kind{}", self.dice.below(2)),
                scored: 1 + i64::from(self.dice.small(3)),
                score_sum: i64::from(self.dice.small(9)),
            })
            .collect();
        sums.sort();
        sums.dedup_by(|a, b| (a.registration, &a.kind) == (b.registration, &b.kind));
        PutHour { hour: hour_of(self.now()) - i64::from(self.dice.small(3)), sums }
    }

    pub(super) fn work(&mut self) -> WorkDay {
        let attempted = 1 + i64::from(self.dice.small(3));
        WorkDay {
            registration: registration_id(u128::from(self.dice.small(3))),
            kind: format!("kind{}", self.dice.below(2)),
            day: day_of(self.now()) - i64::from(self.dice.small(3)),
            attempted,
            completed: i64::from(self.dice.small(2)),
        }
    }
}

/// What is asked for besides: who scored when, and some of the days.
pub(super) async fn reads(store: &dyn Store) -> Vec<String> {
    let mut hours = store.scored_hours(ScoreHours { from: 1, to: 999 }).await.unwrap();
    hours.sort_unstable();
    vec![format!("{hours:?}"), format!("{:?}", store.score_days(1, 2).await)]
}
