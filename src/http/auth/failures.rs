//! Credentials that were refused, on their way into the audit log: each claim once per hour with its
//! reason, however often it is made, and so many an hour in all, so that nobody can fill the log.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;
use actix_web::{Error, web};
use serde_json::json;

use crate::actors::audit::tell_to;
use crate::domain::audit::Fact;
use crate::domain::ids::Hotkey;
use crate::domain::limits::AUTH_FAILURES_TOLD_MAX;
use crate::domain::units::{HOUR, Millis};
use crate::http::error::{Code, refusal};
use crate::http::{Web, address};
use crate::identity::{ApiKey, btauth};

/// See the module's docs.
#[derive(Debug, Default)]
pub struct Failures(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    hour: i64,
    /// Of those who claim to be somebody whom the server knows, and of the others: neither can use up
    /// what the log is told of the other.
    claims: [HashSet<(String, String, Code)>; 2],
}

impl Failures {
    /// What the log is to be told of this one, if anything.
    fn note(
        &self,
        claim: &Claimed,
        known: bool,
        address: &str,
        code: Code,
        now: Millis,
    ) -> Option<Fact> {
        // Nothing panics while it is held; if something did, the set is whole.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = now.0.div_euclid(HOUR);
        if told.hour != hour {
            *told = Told { hour, claims: Default::default() };
        }
        let [strange, own] = &mut told.claims;
        let claims = if known { own } else { strange };
        if claims.len() > AUTH_FAILURES_TOLD_MAX {
            return None;
        }
        let is_new = claims.insert((claim.who.clone(), address.to_owned(), code));
        if !is_new {
            return None;
        }
        let since = Millis(hour * HOUR).rfc3339();
        let hour = since.get(..13).unwrap_or_default();
        if claims.len() > AUTH_FAILURES_TOLD_MAX {
            let detail = json!({ "most": AUTH_FAILURES_TOLD_MAX, "hour": since, "known": known });
            let whose = if known { "known" } else { "strange" };
            let subject = format!("{whose} claims {hour}");
            return Some(Fact::new("unknown", "auth.failed_many", &subject, &detail));
        }
        let subject = format!("{} {} {address} {hour}", claim.who, code.as_str());
        let detail = json!({
            "claimed": claim.who, "by": claim.by, "code": code.as_str(), "address": address,
        });
        Some(Fact::new("unknown", "auth.failed", &subject, &detail))
    }
}

/// Whom a request claims to come from, without anything secret.
#[derive(Debug, PartialEq, Eq)]
struct Claimed {
    who: String,
    by: &'static str,
    /// As the server may know it.
    name: Option<Name>,
}

#[derive(Debug, PartialEq, Eq)]
enum Name {
    Hotkey(Hotkey),
    Key(String),
}

impl Claimed {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if btauth::HEADERS.iter().any(|name| headers.contains_key(*name)) {
            let hotkey = text(btauth::HEADER_HOTKEY).and_then(|text| Hotkey::parse(text).ok());
            let who = hotkey.as_ref().map_or("unreadable", Hotkey::as_str).to_owned();
            return Some(Self { who, by: "signature", name: hotkey.map(Name::Hotkey) });
        }
        let bearer = text("authorization").and_then(|text| text.split_once(' '));
        let key = text("x-api-key").or(bearer.map(|(_, token)| token.trim()));
        if key.is_none() && !headers.contains_key("authorization") {
            return None;
        }
        let key = key.and_then(|text| ApiKey::parse(text).ok());
        let id = key.map(|key| key.id().to_owned());
        let who = id.as_ref().map_or_else(|| "unreadable".to_owned(), |id| format!("key:{id}"));
        Some(Self { who, by: "key", name: id.map(Name::Key) })
    }

    fn is_known(&self, web: &Web) -> bool {
        match &self.name {
            Some(Name::Hotkey(hotkey)) => {
                web.roles.borrow().uid(hotkey).is_some()
                    || web.directory.by_hotkey(hotkey).is_some()
            }
            Some(Name::Key(id)) => web.keys.one(id).is_some(),
            None => false,
        }
    }
}

/// Middleware, around the one that finds out who calls: counts credentials that were refused and has
/// them written down.
pub(in crate::http) async fn watch(
    web: web::Data<Web>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let claimed = Claimed::of(request.headers());
    let from = address::of(request.request());
    let answer = next.call(request).await;
    if let (Some(code), Some(claimed)) =
        (refusal(&answer).filter(|code| code.status() == 401), claimed)
    {
        metrics::counter!(crate::telemetry::AUTH_FAILED, "code" => code.as_str()).increment(1);
        let (now, address) = (web.clock.now(), from.to_string());
        let known = claimed.is_known(&web);
        if let Some(fact) = web.failures.note(&claimed, known, &address, code, now) {
            tell_to(web.store.clone(), web.config.netuid, [fact], now);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        };
        of.iter().map(header).collect()
    }

    #[test]
    fn a_claim_names_nothing_secret() {
        let key = ApiKey::generate();
        let secret = key.reveal();
        let who = |of: &[(&'static str, &str)]| Claimed::of(&headers(of)).map(|claim| claim.who);
        let by_id = Some(format!("key:{}", key.id()));
        assert_eq!(who(&[("x-api-key", &secret)]), by_id);
        assert_eq!(who(&[("authorization", &format!("Bearer {secret}"))]), by_id);
        let unreadable = Some("unreadable".to_owned());
        assert_eq!(who(&[("authorization", &secret)]), unreadable);
        assert_eq!(who(&[("authorization", "Basic dTpw")]), unreadable);
        assert_eq!(who(&[("x-bittensor-nonce", "1")]), unreadable);
        assert_eq!(who(&[("x-bittensor-hotkey", "5Alice")]), Some("5Alice".to_owned()));
        assert_eq!(who(&[("accept", "text/html")]), None);
    }

    #[test]
    fn each_claim_is_told_once_an_hour_and_a_flood_ends() {
        let failures = Failures::default();
        let claim = |n: usize| Claimed { who: format!("5Some{n}"), by: "signature", name: None };
        let of =
            |n, known, at| failures.note(&claim(n), known, "10.0.0.1", Code::Replayed, Millis(at));
        let note = |n, at| of(n, false, at);
        let first = note(0, HOUR + 5).unwrap();
        assert_eq!(first.subject(), "5Some0 replayed 10.0.0.1 1970-01-01T01");
        assert_eq!(note(0, 2 * HOUR - 1), None);
        assert!(
            failures.note(&claim(0), false, "10.0.0.2", Code::Replayed, Millis(HOUR)).is_some()
        );
        assert!(
            failures
                .note(&claim(0), false, "10.0.0.1", Code::StaleSignature, Millis(HOUR))
                .is_some()
        );
        assert!(note(0, 2 * HOUR).is_some(), "another hour");
        let told = (1..10 * AUTH_FAILURES_TOLD_MAX).filter_map(|n| note(n, 2 * HOUR));
        let told: Vec<_> = told.map(|fact| fact.action().to_owned()).collect();
        assert_eq!(told.len(), AUTH_FAILURES_TOLD_MAX);
        assert_eq!(told.last().unwrap(), "auth.failed_many");
        assert_eq!(of(1, true, 2 * HOUR).unwrap().action(), "auth.failed", "of somebody known");
        assert!(note(0, 3 * HOUR).is_some());
    }
}
