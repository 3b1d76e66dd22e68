//! How fast a kind of work is done lately, over all miners: what a single one is measured by.

use super::kind::KindRecords;
use super::latency::Latencies;
use crate::domain::kind::KindIndex;
use crate::domain::units::ONE;

/// What is left of older answers with each new one: a memory of a thousand.
const KEEP: i64 = 999_000;
/// Answers without which nobody knows what is late, in millionths of an answer; a little less than
/// twenty, since they decay.
const ANSWERS_MIN: i64 = 19 * ONE;

/// The median time from fetch to answer of each kind.
#[derive(Debug, Clone, Default)]
pub struct Paces {
    latencies: Vec<Latencies>,
    p50s: Vec<Option<i64>>,
}

impl Paces {
    /// Notes an answer `millis` after its fetch.
    pub fn note(&mut self, kind: KindIndex, millis: i64) {
        self.update(kind, |latencies| latencies.note(millis, KEEP));
    }

    /// Adds what is known of one miner, as after a restart.
    pub fn add(&mut self, records: &KindRecords) {
        for (kind, record) in records.iter() {
            self.update(kind, |latencies| latencies.add(record.latencies()));
        }
    }

    fn update(&mut self, kind: KindIndex, change: impl FnOnce(&mut Latencies)) {
        let place = usize::from(kind.0);
        if self.latencies.len() <= place {
            self.latencies.resize_with(place + 1, Latencies::default);
            self.p50s.resize(place + 1, None);
        }
        let both = self.latencies.get_mut(place).zip(self.p50s.get_mut(place));
        if let Some((latencies, p50)) = both {
            change(latencies);
            *p50 = latencies.quantile_millis(ONE / 2);
        }
    }

    /// A kind's median in milliseconds; `None` before its first answer.
    #[must_use]
    pub fn p50_millis(&self, kind: KindIndex) -> Option<i64> {
        self.p50s.get(usize::from(kind.0)).copied().flatten()
    }

    /// The time within which 95 % of the answers of a kind come, in milliseconds; `None` before there
    /// were enough.
    #[must_use]
    pub fn p95_millis(&self, kind: KindIndex) -> Option<i64> {
        let latencies = self.latencies.get(usize::from(kind.0))?;
        if latencies.count_millionths() < ANSWERS_MIN {
            None
        } else {
            latencies.quantile_millis(950_000)
        }
    }

    /// The medians of all kinds, by kind.
    #[must_use]
    pub fn p50s(&self) -> &[Option<i64>] {
        &self.p50s
    }
}
