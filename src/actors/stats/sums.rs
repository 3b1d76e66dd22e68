//! The sums of scores that one run is made of. The windows and periods of a run lie within each other:
//! what one has read the next one need not. The mean of a day that is over is that of its hours, so
//! that one row stands for 24; where newer scores count more, and where the best hour is asked for,
//! the hours are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Deps;
use crate::domain::weights::{Averaging, Grain};
use crate::store::{ScoreBucket, ScoreHours, Store, StoreResult};

/// Days since the Unix epoch.
type Day = i64;

/// See the module's docs.
pub(super) struct Sums {
    store: Arc<dyn Store>,
    /// Sums of hours from here on are kept; of days before, only those of days are.
    kept: Day,
    /// Whether the age of a score counts.
    decayed: bool,
    /// Of the sums that are there: up to this hour.
    to: i64,
    days: BTreeMap<Day, Vec<ScoreBucket>>,
    hours: BTreeMap<Day, Vec<ScoreBucket>>,
}

impl Sums {
    /// For a run up to this hour.
    pub(super) fn new(deps: &Deps, to: i64) -> Self {
        let weights = &deps.config.weights;
        let kept = (to - weights.retention_hours()).div_euclid(24) + 1;
        let decayed = weights.averaging == Averaging::Decayed;
        let (days, hours) = (BTreeMap::new(), BTreeMap::new());
        Self { store: deps.store.clone(), kept, decayed, to, days, hours }
    }

    /// The sums from one hour to another, without the latter, by hour or in part by day.
    pub(super) async fn of(
        &mut self,
        from: i64,
        to: i64,
        grain: Grain,
    ) -> StoreResult<Vec<ScoreBucket>> {
        let (first, end) = ((from + 23).div_euclid(24), to.div_euclid(24));
        let by_hour = self.decayed || grain == Grain::Hour;
        let end = if by_hour { end.min(self.kept) } else { end };
        // What is left of the first and the last day has hours only.
        let (whole, parts) = match first < end {
            true => (first..end, [from..first * 24, end * 24..to]),
            false => (0..0, [from..to, 0..0]),
        };
        let mut sums = Vec::new();
        if !whole.is_empty() {
            self.read_days(whole.start, whole.end).await?;
            sums.extend(self.days.range(whole).flat_map(|(_, rows)| rows).cloned());
        }
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let days = part.start.div_euclid(24)..(part.end - 1).div_euclid(24) + 1;
            self.read_hours(days.start, days.end).await?;
            let rows = self.hours.range(days).flat_map(|(_, rows)| rows);
            sums.extend(rows.filter(|row| part.contains(&row.hour)).cloned());
        }
        Ok(sums)
    }

    async fn read_days(&mut self, first: Day, end: Day) -> StoreResult<()> {
        let Some((first, end)) = missing(&self.days, first, end) else { return Ok(()) };
        let rows = self.store.score_days(first, end).await?;
        keep(&mut self.days, first, end, rows);
        Ok(())
    }

    async fn read_hours(&mut self, first: Day, end: Day) -> StoreResult<()> {
        let Some((first, end)) = missing(&self.hours, first, end) else { return Ok(()) };
        let hours = ScoreHours { from: first * 24, to: self.to.min(end * 24) };
        let rows = self.store.score_hours(hours).await?;
        keep(&mut self.hours, first, end, rows);
        Ok(())
    }
}

/// From the first of these days that was not read to the last one.
fn missing(read: &BTreeMap<Day, Vec<ScoreBucket>>, first: Day, end: Day) -> Option<(Day, Day)> {
    let mut missing = (first..end).filter(|day| !read.contains_key(day));
    let from = missing.next()?;
    Some((from, missing.next_back().unwrap_or(from) + 1))
}

/// Days without scores are kept as such.
fn keep(read: &mut BTreeMap<Day, Vec<ScoreBucket>>, first: Day, end: Day, rows: Vec<ScoreBucket>) {
    let mut fresh: BTreeMap<Day, Vec<ScoreBucket>> =
        (first..end).map(|day| (day, Vec::new())).collect();
    for row in rows {
        fresh.entry(row.hour.div_euclid(24)).or_default().push(row);
    }
    read.extend(fresh);
}
