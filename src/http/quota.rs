//! How many tasks an API key or a hotkey may hand in per day, in UTC. A day's count begins from the
//! rows of usage, which are written with the tasks themselves, and goes on in memory: exact also after
//! a restart, without any write of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Web;
use super::error::{ApiError, ApiResult, Code};
use crate::actors::distributor::{Submit, Submitted};
use crate::domain::budget::Standing;
use crate::domain::limits::USAGE_ROWS_MAX;
use crate::domain::period::{begin_of, day_of};
use crate::domain::units::{Millis, SECOND};
use crate::outside::Clock;
use crate::store::{StoreError, StoreResult, UsageDays};

/// See the module's docs. Only of those who have a quota and handed something in today.
#[derive(Debug, Clone, Default)]
pub struct Quotas(Arc<Mutex<HashMap<String, Day>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day {
    day: i64,
    used: u32,
}

/// One task of a day, given back unless it was taken in.
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub(super) struct Reserved {
    quotas: Quotas,
    owner: String,
    day: i64,
    taken_in: bool,
}

impl Reserved {
    /// Ends it. As a method, so that whoever calls it holds the whole of it until then.
    fn settle(mut self, taken_in: bool) {
        self.taken_in = taken_in;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.taken_in {
            return;
        }
        let mut days = self.quotas.days();
        if let Some(of) = days.get_mut(&self.owner).filter(|of| of.day == self.day) {
            of.used = of.used.saturating_sub(1);
        }
    }
}

/// What came of asking for one task.
enum Asked {
    Taken,
    Full,
    /// The day is another one by now.
    Unknown,
}

impl Quotas {
    fn days(&self) -> MutexGuard<'_, HashMap<String, Day>> {
        // Nothing panics while it is held; if something did, each count is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tasks per day of this owner, if that is limited.
    fn limit(web: &Web, owner: &str) -> Option<u32> {
        let own = web.keys.limits(owner).tasks_per_day;
        Some(own.unwrap_or(web.config.limits.tasks_per_day)).filter(|limit| *limit > 0)
    }

    /// Learns how many tasks the owner handed in on that day; the limit, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be read.
    pub(super) async fn know(
        &self,
        web: &Web,
        owner: &str,
        now: Millis,
    ) -> StoreResult<Option<u32>> {
        let Some(limit) = Self::limit(web, owner) else { return Ok(None) };
        let day = day_of(now);
        if self.days().get(owner).is_none_or(|of| of.day != day) {
            let used = today(web, owner, now).await?;
            let used = u32::try_from(used).unwrap_or(u32::MAX);
            self.begin(owner, Day { day, used }, &web.clock);
        }
        Ok(Some(limit))
    }

    /// The first one that learned it stands: others may have counted on since. What is not of today
    /// is forgotten, and so is a later day, of a clock that was set back.
    fn begin(&self, owner: &str, day: Day, clock: &Clock) {
        let mut days = self.days();
        // Looked at once more: who read yesterday's count must not replace today's.
        let today = day_of(clock.now()) == day.day;
        if today && days.get(owner).is_none_or(|of| of.day != day.day) {
            days.retain(|_, of| of.day == day.day);
            days.insert(owner.to_owned(), day);
        }
    }

    fn ask(&self, owner: &str, day: i64, limit: u32) -> Asked {
        match self.days().get_mut(owner) {
            Some(of) if of.day != day => Asked::Unknown,
            Some(of) if of.used >= limit => Asked::Full,
            Some(of) => {
                of.used += 1;
                Asked::Taken
            }
            None => Asked::Unknown,
        }
    }

    /// Reserves a task of today for who has a quota; the moment of today at which it is.
    ///
    /// # Errors
    /// 429 with the seconds until the day ends.
    pub(super) async fn reserve(
        &self,
        web: &Web,
        owner: &str,
    ) -> ApiResult<(Millis, Option<Reserved>)> {
        // Twice, since a day may end in between.
        for _ in 0..2 {
            let now = web.clock.now();
            let Some(limit) = self.know(web, owner, now).await? else {
                // What is handed in without a quota is not counted here.
                self.days().remove(owner);
                return Ok((now, None));
            };
            let day = day_of(now);
            match self.ask(owner, day, limit) {
                Asked::Unknown => {}
                Asked::Full => {
                    let end = begin_of(day + 1);
                    let detail = format!(
                        "at most {limit} tasks per day: the next day begins at {}",
                        end.rfc3339()
                    );
                    let secs = secs_until(end, now);
                    return Err(ApiError::new(Code::RateLimited, detail).retry_after(secs));
                }
                Asked::Taken => {
                    let (quotas, owner) = (self.clone(), owner.to_owned());
                    return Ok((now, Some(Reserved { quotas, owner, day, taken_in: false })));
                }
            }
        }
        Err(ApiError::new(Code::Unavailable, "the day changed twice meanwhile").retry_after(1))
    }

    /// How the owner's day stands, as far as that was learned.
    pub(super) fn standing(&self, web: &Web, owner: &str) -> Option<Standing> {
        let limit = Self::limit(web, owner)?;
        let now = web.clock.now();
        let day = day_of(now);
        let of = self.days().get(owner).copied().filter(|of| of.day == day)?;
        let reset_secs = secs_until(begin_of(day + 1), now);
        Some(Standing { limit, remaining: limit.saturating_sub(of.used), reset_secs })
    }
}

fn secs_until(end: Millis, now: Millis) -> u64 {
    let millis = end.since(now).max(1).unsigned_abs();
    millis.div_ceil(SECOND.unsigned_abs())
}

/// Tasks that an owner handed in today and that were taken in.
///
/// # Errors
/// [`StoreError`] when that cannot be read.
pub(super) async fn today(web: &Web, owner: &str, now: Millis) -> StoreResult<i64> {
    let (owner, day) = (Some(owner.to_owned()), day_of(now));
    let rows = web.store.usage(UsageDays { owner, from: day, to: day, limit: USAGE_ROWS_MAX });
    Ok(rows.await?.iter().map(|row| row.counts.submitted).sum())
}

/// Hands a task in with its place in the day, if it has one. Also when the client hangs up meanwhile,
/// the place is given back if and only if nothing was taken in.
///
/// # Errors
/// 503 when the database or the queue does not answer.
pub(super) async fn hand_in(
    web: &Web,
    submit: Submit,
    place: Option<Reserved>,
) -> ApiResult<Submitted> {
    let answer = web.distributor.send(submit);
    let Some(place) = place else { return Ok(answer.await??) };
    let settled = actix_web::rt::spawn(async move {
        let answer = answer.await;
        // What may have been taken in counts.
        let may_be_in =
            matches!(answer, Ok(Ok(Submitted::New { .. }) | Err(StoreError::Unknown(_))) | Err(_));
        place.settle(may_be_in);
        answer
    });
    let broken = |_| ApiError::new(Code::Internal, "handing a task in broke off");
    Ok(settled.await.map_err(broken)???)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::DAY;

    #[test]
    fn a_clock_that_jumps_ahead_and_back_leaves_no_day_that_never_comes() {
        let (quotas, clock) = (Quotas::default(), Clock::default());
        // At noon, so that no day ends meanwhile.
        clock.advance(DAY - clock.now().0 % DAY + DAY / 2);
        let today = day_of(clock.now());
        quotas.begin("alice", Day { day: today, used: 1 }, &clock);
        clock.advance(DAY);
        quotas.begin("alice", Day { day: today + 1, used: 0 }, &clock);
        quotas.begin("bob", Day { day: today + 1, used: 0 }, &clock);
        // Who is late does not take today's count away.
        quotas.begin("alice", Day { day: today, used: 1 }, &clock);
        assert!(matches!(quotas.ask("alice", today + 1, 2), Asked::Taken));
        clock.advance(-DAY);
        assert!(matches!(quotas.ask("alice", today, 2), Asked::Unknown));
        quotas.begin("alice", Day { day: today, used: 1 }, &clock);
        assert!(matches!(quotas.ask("alice", today, 2), Asked::Taken));
        assert!(matches!(quotas.ask("alice", today, 2), Asked::Full));
        assert_eq!(quotas.days().len(), 1, "entries of other days are forgotten");
    }
}
