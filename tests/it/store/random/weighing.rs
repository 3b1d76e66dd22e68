//! Random runs, and records of a few days, most of which stand already.

use pithead::domain::period::Period;
use pithead::domain::units::{DAY, Millis};
use pithead::domain::weights::Performance;
use pithead::store::*;

use super::super::make::*;
use super::super::weights::{figures, performance, records_of, weight_run};
use super::Command;
use super::world::World;

impl World {
    pub(super) fn weighing(&mut self) -> Command {
        let day = i64::from(self.dice.small(4));
        match self.dice.below(10) {
            0..2 => Command::PutRun(weight_run(self.dice.below(6).into(), self.now())),
            2 => Command::ForgetRecords(ForgetRecords {
                before: if self.dice.one_in(2) { Millis(day * DAY) } else { self.now() },
            }),
            3 => Command::ForgetMiners(ForgetMiners {
                closed_before: self.now(),
                miners_max: 1 + self.dice.below(2),
            }),
            _ => {
                let records = (0..self.dice.small(5)).map(|_| {
                    let kinds: &[&str] = match self.dice.below(3) {
                        0 => &["tts"],
                        1 => &["weather", "tts"],
                        _ => &[],
                    };
                    let weight = i64::from(self.dice.small(3)) * 50;
                    performance(self.dice.below(4).into(), weight, kinds)
                });
                let records: Vec<_> = records.collect();
                let chain = records.iter().filter_map(|of: &Performance| {
                    let told = self.dice.one_in(2).then(|| figures(self.dice.below(3) == 0))?;
                    Some((of.registration, told))
                });
                let chain = chain.collect();
                let now = self.now();
                Command::PutRecords(PutRecords { now, chain, ..records_of(day, records) })
            }
        }
    }
}

/// The answers of the reads, as text.
pub(super) async fn reads(store: &dyn Store) -> Vec<String> {
    let mut text = vec![format!("{:?}", store.weight_run(None).await)];
    for (order, limit) in [(PerformanceOrder::Weight, 99), (PerformanceOrder::Score, 3)] {
        let page = PerformancePage {
            period: Period::Daily,
            from: Millis(0),
            to: Millis(99 * DAY),
            uid: None,
            registration: None,
            kind: (limit == 3).then(|| "tts".to_owned()),
            order,
            after: None,
            limit,
        };
        text.push(format!("{:?}", store.performances(page).await));
    }
    text.push(format!("{:?}", store.newest_periods().await));
    text.push(format!("{:?}", store.average_scores(Period::Daily, Millis(DAY)).await));
    let ids = (0..9).map(registration_id).collect();
    text.push(format!("{:?}", store.registrations(ids).await));
    text
}
