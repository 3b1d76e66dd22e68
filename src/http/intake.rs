//! The gate: a permit for each request in flight, another sort for each parked long-poll. Without
//! one the answer is 503 at once, and nothing has been done: actors' mailboxes never fill. Of both
//! sorts one caller has a part at most, and gets 429 beyond it, so that nobody can shut the others
//! out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address::IpKey;
use super::auth::{Caller, keys};
use super::budget::Told;
use super::error::{ApiError, ApiResult, Code};
use super::strangers::Standing;
use super::{Web, pace};
use crate::actors::Overload;
use crate::domain::limits::{ADDRESS_SHARE, CALLER_PLACES_MIN, CALLER_SHARE};
use crate::domain::units::Millis;

/// See the module's docs.
#[derive(Debug, Clone)]
pub struct Gate {
    in_flight: Places,
    /// Of those, for requests that have not proven anything yet: the others keep the rest.
    unproven: Places,
    parked: Places,
    overload: Overload,
}

/// Places of one sort.
#[derive(Debug, Clone)]
struct Places {
    all: Arc<Semaphore>,
    most: usize,
    /// One caller has one in so many.
    share: usize,
    /// Places that each caller has now; only of those that have any.
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

/// One of a caller's places.
#[derive(Debug)]
struct Share {
    places: Places,
    caller: String,
}

/// What one request holds, in its extensions.
#[derive(Clone, Default)]
struct Held(Rc<RefCell<Holds>>);

#[derive(Default)]
struct Holds {
    permit: Option<OwnedSemaphorePermit>,
    unproven: Option<OwnedSemaphorePermit>,
    share: Option<Share>,
}

/// The place of a request that waits.
#[derive(Debug)]
pub struct Parked {
    _permit: OwnedSemaphorePermit,
    _share: Option<Share>,
}

impl Places {
    fn new(most: usize, share: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(most)), most, share, taken: Arc::default() }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Nothing panics while it is held; if something did, each count is whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for this caller, beside those that it has.
    fn share(&self, caller: &str, own: usize, what: &str) -> ApiResult<Share> {
        let most = (self.most / self.share).max(CALLER_PLACES_MIN).min(own);
        let mut taken = self.taken();
        match taken.get_mut(caller) {
            Some(count) if *count >= most => {
                let detail = format!("you have {most} {what}, which is the most for one caller");
                return Err(ApiError::new(Code::RateLimited, detail).retry_after(1));
            }
            Some(count) => *count += 1,
            None => drop(taken.insert(caller.to_owned(), 1)),
        }
        Ok(Share { places: self.clone(), caller: caller.to_owned() })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&self.caller) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.caller);
            }
        }
    }
}

impl Gate {
    /// A gate of so many permits, that notes what it refuses.
    #[must_use]
    pub fn new(in_flight: usize, parked: usize, overload: Overload) -> Self {
        let of_all = |most| Places::new(most, CALLER_SHARE);
        Self {
            in_flight: of_all(in_flight),
            unproven: Places::new((in_flight / 2).max(CALLER_PLACES_MIN), ADDRESS_SHARE),
            parked: of_all(parked),
            overload,
        }
    }

    /// Requests that wait now.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.most.saturating_sub(self.parked.all.available_permits())
    }

    /// Gives what the request holds back while it waits for something to happen.
    ///
    /// # Errors
    /// 503 when too many wait, 429 when too many of this caller do.
    pub fn park(&self, request: &HttpRequest, now: Millis) -> ApiResult<Parked> {
        let name = request.extensions().get::<Caller>().and_then(Caller::name);
        let share = name
            .map(|name| self.parked.share(&name, usize::MAX, "requests that wait"))
            .transpose()?;
        let permit = self.parked.all.clone().try_acquire_owned().map_err(|_| {
            self.overload.note(now);
            ApiError::full("too many requests wait already")
        })?;
        if let Some(Held(held)) = request.extensions().get::<Held>() {
            held.take();
        }
        Ok(Parked { _permit: permit, _share: share })
    }
}

/// Whether a request is one of the operator's probes, which always pass.
pub(super) fn is_probe(request: &ServiceRequest) -> bool {
    matches!(request.path(), "/livez" | "/readyz" | "/metrics")
}

/// Middleware: takes the permit, or refuses; from here on the body must keep its pace.
pub(super) async fn take_permit(
    web: web::Data<Web>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    pace::keep(&web.config.limits, &mut request);
    if is_probe(&request) {
        return next.call(request).await;
    }
    let Ok(permit) = web.gate.in_flight.all.clone().try_acquire_owned() else {
        metrics::counter!(crate::telemetry::HTTP_REFUSED_FULL).increment(1);
        web.gate.overload.note(web.clock.now());
        return Err(ApiError::full("too many requests are in flight").into());
    };
    let held = Held::default();
    held.0.borrow_mut().permit = Some(permit);
    request.extensions_mut().insert(held.clone());
    let answer = next.call(request).await;
    drop(held);
    answer
}

/// One of the places of an address, for a request that has not proven anything yet.
///
/// # Errors
/// 429 when it has none left.
pub(super) fn take_address(web: &Web, request: &ServiceRequest, from: IpKey) -> ApiResult<()> {
    if let Some(Held(held)) = request.extensions().get::<Held>() {
        let what = "requests in flight from your address that are not proven yet";
        let share = web.gate.unproven.share(&format!("address {from}"), usize::MAX, what)?;
        let Ok(permit) = web.gate.unproven.all.clone().try_acquire_owned() else {
            metrics::counter!(crate::telemetry::HTTP_REFUSED_FULL).increment(1);
            web.gate.overload.note(web.clock.now());
            return Err(ApiError::full("too many requests are in flight that prove nothing"));
        };
        let mut held = held.borrow_mut();
        (held.share, held.unproven) = (Some(share), Some(permit));
    }
    Ok(())
}

/// Middleware, once it is known who calls: one of the caller's places instead of the address's, or
/// 429.
pub(super) async fn take_share(
    web: web::Data<Web>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    take_callers(&web, &request)?;
    next.call(request).await
}

fn take_callers(web: &Web, request: &ServiceRequest) -> ApiResult<()> {
    let extensions = request.extensions();
    let name = match extensions.get::<Caller>() {
        Some(Caller::Developer) => None,
        // Somebody who is known, or whom a developer named; anybody can make a hotkey and sign.
        Some(caller @ Caller::Signer { nonce, .. })
            if nonce.is_none() || Told::of(request).is_charged() =>
        {
            caller.name()
        }
        Some(caller @ Caller::Key(_)) => caller.name(),
        // Who proved nothing stays in the address's place.
        Some(Caller::Nobody | Caller::Unproven(_) | Caller::Signer { .. }) | None => return Ok(()),
    };
    Standing::of(&extensions).prove(web);
    if let Some(Held(held)) = extensions.get::<Held>() {
        let mut held = held.borrow_mut();
        (held.share, held.unproven) = (None, None);
        let own = extensions.get::<Caller>().map_or(usize::MAX, keys::places);
        let share = name.map(|name| web.gate.in_flight.share(&name, own, "requests in flight"));
        held.share = share.transpose()?;
    }
    Ok(())
}
