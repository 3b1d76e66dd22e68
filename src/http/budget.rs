//! How many requests per minute an API key or a hotkey may send. Only what is proven is charged, so
//! that nobody can use up the budget of another; who has used up its own is refused before its
//! signature is checked, so that a flood costs little. Each answer to somebody who was charged tells
//! how the budget stands.

use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use super::Web;
use super::auth::Caller;
use super::error::{ApiError, ApiResult};
use crate::domain::budget::{Budget, Standing};
use crate::domain::ids::Hotkey;
use crate::domain::limits::BUDGETS_SWEPT_FROM;
use crate::outside::Clock;

/// See the module's docs. Of API keys and known hotkeys only, and only while something is used.
#[derive(Debug)]
pub struct Budgets {
    used: Mutex<Used>,
    usual: NonZeroU32,
    clock: Clock,
}

#[derive(Debug)]
struct Used {
    of: HashMap<String, (Budget, u32)>,
    /// With so many, those that are whole again are forgotten.
    sweep_at: usize,
}

impl Budgets {
    /// With the limit of who has none of his own.
    #[must_use]
    pub fn new(usual: NonZeroU32, clock: Clock) -> Self {
        let used = Used { of: HashMap::new(), sweep_at: BUDGETS_SWEPT_FROM };
        Self { used: Mutex::new(used), usual, clock }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // Nothing panics while it is held; if something did, each budget is whole.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        // Steady: it does not go back when the system's clock is set.
        u64::try_from(self.clock.uptime().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether a hotkey that somebody claims to be has something left. Charges nothing.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub(super) fn admits(&self, claimed: &Hotkey) -> ApiResult<()> {
        let (used, now) = (self.used(), self.now());
        let Some((budget, limit)) = used.of.get(claimed.as_str()).copied() else { return Ok(()) };
        let budget = budget.at(now, limit);
        budget.admits(limit).map_err(|secs| ApiError::over_budget(budget.standing(limit), secs))
    }

    /// Charges one request.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    fn charge(&self, name: &str, own: Option<u32>) -> ApiResult<Standing> {
        let limit = own.unwrap_or(self.usual.get());
        let (mut used, now) = (self.used(), self.now());
        if let Some((budget, of)) = used.of.get_mut(name) {
            (*budget, *of) = (budget.at(now, limit), limit);
            let refused = |secs| ApiError::over_budget(budget.standing(limit), secs);
            budget.admits(limit).map_err(refused)?;
            budget.count(limit);
            return Ok(budget.standing(limit));
        }
        let mut budget = Budget::default().at(now, limit);
        budget.count(limit);
        if used.of.len() >= used.sweep_at {
            used.of.retain(|_, (budget, limit)| !budget.at(now, *limit).is_whole());
            used.sweep_at = BUDGETS_SWEPT_FROM.max(used.of.len() * 2);
        }
        used.of.insert(name.to_owned(), (budget, limit));
        Ok(budget.standing(limit))
    }
}

/// Who was charged for a request, and how the budget stood then; in the request's extensions.
#[derive(Clone, Default)]
pub struct Told(Rc<RefCell<Option<(String, Standing)>>>);

impl Told {
    /// The one of a request.
    pub(super) fn of(request: &ServiceRequest) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Charges a caller that is proven and known here.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub(super) fn charge(&self, web: &Web, caller: &Caller) -> ApiResult<()> {
        let (name, own) = match caller {
            Caller::Key(key) => (key.id.clone(), key.limits.requests_per_minute),
            // Of hotkeys that nobody knows there is no end.
            Caller::Signer { hotkey, .. }
                if web.roles.borrow().uid(hotkey).is_some()
                    || web.directory.by_hotkey(hotkey).is_some() =>
            {
                (hotkey.to_string(), None)
            }
            Caller::Signer { .. } | Caller::Nobody | Caller::Developer | Caller::Unproven(_) => {
                return Ok(());
            }
        };
        let standing = web.budgets.charge(&name, own)?;
        *self.0.borrow_mut() = Some((name, standing));
        Ok(())
    }

    /// Whether anybody was: somebody whom the server knows.
    pub(super) fn is_charged(&self) -> bool {
        self.0.borrow().is_some()
    }

    fn name(&self) -> Option<String> {
        self.0.borrow().as_ref().map(|(name, _)| name.clone())
    }

    fn tell(&self, web: &Web, headers: &mut HeaderMap) {
        let told = self.0.borrow();
        let Some((name, standing)) = told.as_ref() else { return };
        // A refusal of another limit tells of that one.
        if !headers.contains_key("x-ratelimit-limit") {
            put(headers, "x-ratelimit-limit", standing.limit.into());
            put(headers, "x-ratelimit-remaining", standing.remaining.into());
            put(headers, "x-ratelimit-reset", standing.reset_secs);
        }
        if let Some(day) = web.quotas.standing(web, name) {
            put(headers, "x-ratelimit-limit-day", day.limit.into());
            put(headers, "x-ratelimit-remaining-day", day.remaining.into());
            put(headers, "x-ratelimit-reset-day", day.reset_secs);
        }
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, number: u64) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
}

/// Middleware, once it is known who calls: charges the request, or refuses it with 429.
pub(super) async fn charge(
    web: web::Data<Web>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let told = Told::of(&request);
    if let Some(caller) = request.extensions().get::<Caller>() {
        told.charge(&web, caller)?;
    }
    if let Some(name) = told.name() {
        // Only what is told depends on it: whoever hands a task in asks again.
        web.quotas.know(&web, &name, web.clock.now()).await.ok();
    }
    next.call(request).await
}

/// Middleware around all that may refuse: tells who was charged how the budget stands.
pub(super) async fn tell(
    web: web::Data<Web>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let told = Told::default();
    request.extensions_mut().insert(told.clone());
    match next.call(request).await {
        Ok(mut answer) => {
            told.tell(&web, answer.headers_mut());
            Ok(answer)
        }
        Err(error) if told.name().is_some() => {
            let mut response = error.error_response();
            told.tell(&web, response.headers_mut());
            Err(InternalError::from_response(error, response).into())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::Code;

    fn budgets(usual: u32) -> (Budgets, Clock) {
        let clock = Clock::default();
        (Budgets::new(NonZeroU32::new(usual).unwrap(), clock.clone()), clock)
    }

    #[test]
    fn whoever_has_none_of_his_own_has_the_usual_one_and_each_has_his() {
        let (budgets, _) = budgets(3);
        for remaining in [2, 1, 0] {
            assert_eq!(budgets.charge("alice", None).unwrap().remaining, remaining);
        }
        assert_eq!(budgets.charge("alice", None).unwrap_err().code(), Code::RateLimited);
        assert_eq!(budgets.charge("bob", Some(1)).unwrap().limit, 1);
        assert!(budgets.charge("bob", Some(1)).is_err());
        assert_eq!(budgets.charge("carol", None).unwrap().remaining, 2);
    }

    #[test]
    fn a_claim_is_refused_while_nothing_is_left_and_charges_nothing() {
        let (budgets, clock) = budgets(2);
        let hotkey = Hotkey::parse("hk").unwrap();
        for _ in 0..9 {
            budgets.admits(&hotkey).unwrap();
        }
        budgets.charge("hk", None).unwrap();
        budgets.charge("hk", None).unwrap();
        assert!(budgets.admits(&hotkey).is_err());
        clock.advance(30_001);
        for _ in 0..9 {
            budgets.admits(&hotkey).unwrap();
        }
        assert_eq!(budgets.charge("hk", None).unwrap().remaining, 0);
    }

    #[test]
    fn what_is_whole_again_is_forgotten() {
        let (budgets, clock) = budgets(60);
        for n in 0..BUDGETS_SWEPT_FROM {
            budgets.charge(&n.to_string(), None).unwrap();
        }
        clock.advance(1_001);
        budgets.charge("one more", None).unwrap();
        assert_eq!(budgets.used().of.len(), 1);
    }
}
