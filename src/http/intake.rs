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

use super::Web;
use super::auth::{Caller, keys};
use super::error::{ApiError, ApiResult, Code};
use crate::actors::Overload;
use crate::domain::limits::{CALLER_PLACES_MIN, CALLER_SHARE};
use crate::domain::units::Millis;

/// See the module's docs.
#[derive(Debug, Clone)]
pub struct Gate {
    in_flight: Places,
    parked: Places,
    overload: Overload,
}

/// Places of one sort.
#[derive(Debug, Clone)]
struct Places {
    all: Arc<Semaphore>,
    most: usize,
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
struct Held(Rc<RefCell<(Option<OwnedSemaphorePermit>, Option<Share>)>>);

/// The place of a request that waits.
#[derive(Debug)]
pub struct Parked {
    _permit: OwnedSemaphorePermit,
    _share: Option<Share>,
}

impl Places {
    fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(most)), most, taken: Arc::default() }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Nothing panics while it is held; if something did, each count is whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for this caller, beside those that it has.
    fn share(&self, caller: &str, own: usize, what: &str) -> ApiResult<Share> {
        let most = (self.most / CALLER_SHARE).max(CALLER_PLACES_MIN).min(own);
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
        Self { in_flight: Places::new(in_flight), parked: Places::new(parked), overload }
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

/// Middleware: takes the permit, or refuses. Probes of the operator always pass.
pub(super) async fn take_permit(
    web: web::Data<Web>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if matches!(request.path(), "/livez" | "/readyz" | "/metrics") {
        return next.call(request).await;
    }
    let Ok(permit) = web.gate.in_flight.all.clone().try_acquire_owned() else {
        metrics::counter!(crate::telemetry::HTTP_REFUSED_FULL).increment(1);
        web.gate.overload.note(web.clock.now());
        return Err(ApiError::full("too many requests are in flight").into());
    };
    let held = Held::default();
    held.0.borrow_mut().0 = Some(permit);
    request.extensions_mut().insert(held.clone());
    let answer = next.call(request).await;
    drop(held);
    answer
}

/// Middleware, once it is known who calls: one of the caller's places, or 429.
pub(super) async fn take_share(
    web: web::Data<Web>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let held = request.extensions().get::<Held>().cloned();
    let name = request.extensions().get::<Caller>().and_then(Caller::name);
    let own = request.extensions().get::<Caller>().map_or(usize::MAX, keys::places);
    if let (Some(Held(held)), Some(name)) = (held, name) {
        let share = web.gate.in_flight.share(&name, own, "requests in flight")?;
        held.borrow_mut().1 = Some(share);
    }
    next.call(request).await
}
