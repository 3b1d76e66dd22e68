//! Requests that prove nothing, counted by address: each takes a token of its address when it comes,
//! and gets it back once it has proven to be somebody's who is known here. Without one, requests
//! that would need a signature check are refused before anything is read, and so are those without
//! credentials. A request with an API key goes on, since looking that up costs next to nothing: who
//! shares an address with an attacker is not shut out; a wrong one gets the same refusal.

use std::cell::Cell;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use super::address::IpKey;
use super::error::{ApiError, Code, refusal};
use super::{Web, address, intake};
use crate::domain::limits::{ADDRESSES_MAX, NEWCOMERS_SHARE};
use crate::outside::Clock;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// See the module's docs. `governor` cannot look without taking, and what a request proves is known
/// only afterwards.
#[derive(Debug)]
pub struct Strangers {
    per_minute: NonZeroU32,
    clock: Clock,
    known: Mutex<Known>,
}

/// Buckets, each as the moment at which it is full again, in nanoseconds of the uptime; those that
/// are full need not be kept.
#[derive(Debug, Default)]
struct Known {
    full_at: HashMap<IpKey, u64>,
    /// The one of all that there is no place for.
    newcomers: u64,
    swept_at: u64,
}

/// The same bucket with a token of this worth less.
///
/// # Errors
/// The time until it has one.
fn without_one(full_at: u64, token: u64, now: u64) -> Result<u64, u64> {
    let full_at = full_at.max(now).saturating_add(token);
    match full_at.saturating_sub(now).saturating_sub(MINUTE) {
        0 => Ok(full_at),
        wait => Err(wait),
    }
}

impl Known {
    /// Forgets full buckets, but not all the time; whether there is room for another.
    fn room(&mut self, now: u64) -> bool {
        if self.full_at.len() >= ADDRESSES_MAX && now >= self.swept_at.saturating_add(SECOND) {
            self.swept_at = now;
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        self.full_at.len() < ADDRESSES_MAX
    }
}

impl Strangers {
    /// So many a minute of each address, all at once if it likes.
    #[must_use]
    pub fn new(per_minute: NonZeroU32, clock: Clock) -> Self {
        Self { per_minute, clock, known: Mutex::default() }
    }

    fn token(&self) -> u64 {
        (MINUTE / u64::from(self.per_minute.get())).max(1)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.uptime().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes a token of an address.
    ///
    /// # Errors
    /// The seconds until it has one; nothing is taken then.
    fn take(&self, of: IpKey) -> Result<(), u64> {
        let (now, token) = (self.now(), self.token());
        // A poisoned lock cannot have left half a step behind.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let secs = |wait: u64| wait.div_ceil(SECOND);
        if let Some(full_at) = known.full_at.get_mut(&of) {
            *full_at = without_one(*full_at, token, now).map_err(secs)?;
        } else if known.room(now) {
            known.full_at.insert(of, now.saturating_add(token));
        } else {
            let token = token / u64::from(NEWCOMERS_SHARE);
            known.newcomers = without_one(known.newcomers, token, now).map_err(secs)?;
        }
        Ok(())
    }

    /// Gives it back.
    fn give_back(&self, of: IpKey) {
        let token = self.token();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.full_at.get_mut(&of) {
            Some(full_at) => *full_at = full_at.saturating_sub(token),
            None => {
                let token = token / u64::from(NEWCOMERS_SHARE);
                known.newcomers = known.newcomers.saturating_sub(token);
            }
        }
    }

    fn refusal(&self, secs: u64) -> ApiError {
        metrics::counter!(crate::telemetry::HTTP_REFUSED_STRANGERS).increment(1);
        let what = "requests of one address that prove nothing are taken";
        ApiError::rate_limited(what, self.per_minute.get(), secs)
    }
}

/// Whether a request has proven who sent it, as far as it is known by now.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    proven: Cell<bool>,
    /// Whose token it took.
    taken: Cell<Option<IpKey>>,
}

impl Standing {
    /// Of the request with these extensions.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// It has: at once, so that whoever then waits for long holds no token.
    pub(super) fn prove(&self, web: &Web) {
        self.0.proven.set(true);
        self.give_back(web);
    }

    fn give_back(&self, web: &Web) {
        if let Some(of) = self.0.taken.take() {
            web.strangers.give_back(of);
        }
    }

    /// Takes a token of this address.
    fn take(&self, web: &Web, of: IpKey) -> Result<(), u64> {
        web.strangers.take(of)?;
        self.0.taken.set(Some(of));
        Ok(())
    }
}

fn is_signed(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("x-bittensor-"))
}

fn has_key(headers: &HeaderMap) -> bool {
    headers.contains_key("x-api-key") || headers.contains_key("authorization")
}

/// Middleware before it is known who calls.
pub(super) async fn watch(
    web: web::Data<Web>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if intake::is_probe(&request) {
        return next.call(request).await;
    }
    let from = address::of(request.request());
    let standing = Standing::default();
    request.extensions_mut().insert(from);
    request.extensions_mut().insert(standing.clone());
    let headers = request.headers();
    let cheap = !is_signed(headers) && (has_key(headers) || web.config.auth.dev);
    let late = standing.take(&web, from).err();
    match late {
        Some(secs) if !cheap => return Err(web.strangers.refusal(secs).into()),
        _ if cheap => {}
        _ => intake::take_address(&web, &request, from)?,
    }
    let answer = next.call(request).await;
    if standing.0.proven.get() {
        return answer;
    }
    // Who is over its budget, or says that it is somebody who is, was refused before anything was
    // checked: it cost nothing, and whoever shares its address is not to pay for it.
    if late.is_none() && refusal(&answer) == Some(Code::RateLimited) {
        standing.give_back(&web);
        return answer;
    }
    match late {
        Some(secs) => Err(web.strangers.refusal(secs).into()),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn strangers(per_minute: u32) -> (Strangers, Clock) {
        let clock = Clock::default();
        (Strangers::new(NonZeroU32::new(per_minute).unwrap(), clock.clone()), clock)
    }

    fn from(number: u32) -> IpKey {
        IpAddr::V4(Ipv4Addr::from_bits(number)).into()
    }

    fn taken(strangers: &Strangers, of: u32, tries: usize) -> usize {
        let one = |_: &usize| strangers.take(from(of)).is_ok();
        (0..tries).filter(one).count()
    }

    #[test]
    fn an_address_has_so_many_a_minute() {
        let (strangers, clock) = strangers(60);
        assert_eq!(taken(&strangers, 1, 100), 60);
        assert_eq!(strangers.take(from(1)), Err(1));
        assert_eq!(taken(&strangers, 2, 100), 60, "each has its own");
        strangers.give_back(from(2));
        assert_eq!(taken(&strangers, 2, 100), 1, "what is given back is there again");
        clock.advance(2_500);
        assert_eq!(taken(&strangers, 1, 100), 2);
        clock.advance(600_000);
        assert_eq!(taken(&strangers, 1, 100), 60, "what was not used does not add up");
        clock.advance(1_100);
        assert_eq!(taken(&strangers, 1, 100), 1, "what was refused cost nothing");
    }

    #[test]
    fn a_flood_of_addresses_neither_grows_nor_shuts_out_who_is_known() {
        let (strangers, clock) = strangers(2);
        let most = u32::try_from(ADDRESSES_MAX).unwrap();
        for number in 0..most + 10 {
            strangers.take(from(number)).ok();
        }
        let count = || strangers.known.lock().unwrap().full_at.len();
        assert_eq!(count(), ADDRESSES_MAX);
        let share = usize::try_from(2 * NEWCOMERS_SHARE).unwrap();
        assert_eq!(taken(&strangers, most + 11, 10 * share), share - 10, "one bucket for the rest");
        assert!(strangers.take(from(most + 12)).is_err());
        assert_eq!(taken(&strangers, 7, 5), 1, "who was known has its own");
        clock.advance(61_000);
        assert!(strangers.take(from(most + 12)).is_ok());
        assert_eq!(count(), 1, "full buckets are forgotten");
    }
}
