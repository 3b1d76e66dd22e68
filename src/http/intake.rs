//! The gate: a permit for each request in flight, another sort for each parked long-poll. Without
//! one the answer is 503 at once, and nothing has been done: actors' mailboxes never fill.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Web;
use super::error::{ApiError, ApiResult};
use crate::actors::Overload;
use crate::domain::units::Millis;

/// See the module's docs.
#[derive(Debug, Clone)]
pub struct Gate {
    in_flight: Arc<Semaphore>,
    parked: Arc<Semaphore>,
    parked_max: usize,
    overload: Overload,
}

/// The permit of one request, in its extensions.
#[derive(Clone)]
struct Permit(Rc<RefCell<Option<OwnedSemaphorePermit>>>);

impl Gate {
    /// A gate of so many permits, that notes what it refuses.
    #[must_use]
    pub fn new(in_flight: usize, parked: usize, overload: Overload) -> Self {
        let most = Semaphore::MAX_PERMITS;
        let parked_max = parked.min(most);
        Self {
            in_flight: Arc::new(Semaphore::new(in_flight.min(most))),
            parked: Arc::new(Semaphore::new(parked_max)),
            parked_max,
            overload,
        }
    }

    /// Requests that wait now.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked_max.saturating_sub(self.parked.available_permits())
    }

    /// Gives the request's permit back while it waits for something to happen.
    ///
    /// # Errors
    /// 503 when too many wait.
    pub fn park(&self, request: &HttpRequest, now: Millis) -> ApiResult<OwnedSemaphorePermit> {
        let parked = self.parked.clone().try_acquire_owned();
        let parked = parked.map_err(|_| {
            self.overload.note(now);
            ApiError::full("too many requests wait already")
        })?;
        if let Some(Permit(permit)) = request.extensions().get::<Permit>() {
            permit.borrow_mut().take();
        }
        Ok(parked)
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
    let Ok(permit) = web.gate.in_flight.clone().try_acquire_owned() else {
        metrics::counter!(crate::telemetry::HTTP_REFUSED_FULL).increment(1);
        web.gate.overload.note(web.clock.now());
        return Err(ApiError::full("too many requests are in flight").into());
    };
    let permit = Permit(Rc::new(RefCell::new(Some(permit))));
    request.extensions_mut().insert(permit.clone());
    let answer = next.call(request).await;
    drop(permit);
    answer
}
