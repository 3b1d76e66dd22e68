//! What clients are told of their tasks, where to, and when it is tried again. How a message is
//! signed is in `identity`, how it is sent in `outside`.

use std::net::IpAddr;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use super::address::may_be_told;
use super::ids::{DeliveryId, TaskId, WebhookId};
use super::limits::CALLBACK_URL_BYTES_MAX;
use super::task::{Priority, TaskState, TaskStatus, text_enum};
use super::units::{HOUR, MINUTE, Millis, SECOND};

text_enum! {
    /// What happened to a task.
    EventType {
        /// The first answer came.
        FirstResponse = "task.first_response",
        /// Enough answers came.
        Done = "task.done",
        /// A quorum of validators has judged all answers.
        Approved = "task.approved",
        /// Every slot was given up.
        Failed = "task.failed",
        /// Its client took it back.
        Cancelled = "task.cancelled",
        /// The deadline passed with too few answers.
        Expired = "task.expired",
    }
}

impl EventType {
    /// What an ended task's owner is told; nothing of one that is open.
    #[must_use]
    pub const fn of(state: TaskState) -> Option<Self> {
        match state {
            TaskState::Open => None,
            TaskState::Done => Some(Self::Done),
            TaskState::Approved => Some(Self::Approved),
            TaskState::Failed => Some(Self::Failed),
            TaskState::Cancelled => Some(Self::Cancelled),
            TaskState::Expired => Some(Self::Expired),
        }
    }

    /// Whether it is told to the task's own `callback_url`: the task ended.
    #[must_use]
    pub const fn calls_back(self) -> bool {
        match self {
            Self::Done | Self::Failed | Self::Cancelled | Self::Expired => true,
            Self::FirstResponse | Self::Approved => false,
        }
    }
}

/// Types of events in the form in which they are stored: separated by spaces, all when empty.
#[must_use]
pub fn wants(events: &str, event: EventType) -> bool {
    events.is_empty() || events.split(' ').any(|wanted| wanted == event.as_str())
}

/// Status of a task in this state for a message about it.
#[must_use]
pub const fn status_of(state: TaskState) -> TaskStatus {
    match state {
        // Somebody has answered, or there were nothing to tell.
        TaskState::Open => TaskStatus::Processing,
        TaskState::Done => TaskStatus::Done,
        TaskState::Approved => TaskStatus::Approved,
        TaskState::Failed => TaskStatus::Failed,
        TaskState::Cancelled => TaskStatus::Cancelled,
        TaskState::Expired => TaskStatus::Expired,
    }
}

/// The id of an event's delivery to a receiver: by the time of the event first, so that pages by id
/// are pages by time; the rest follows from what is delivered to whom, so that every store gives the
/// same.
#[must_use]
pub fn delivery_id(at: Millis, task: TaskId, event: EventType, lane: &str) -> DeliveryId {
    let digest = Sha256::new()
        .chain_update(task.0.as_bytes())
        .chain_update(event.as_str())
        .chain_update(lane)
        .finalize();
    let mut rest = [0_u8; 10];
    rest.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    let millis = u64::try_from(at.0).unwrap_or_default();
    DeliveryId(uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid())
}

/// The lane of an endpoint.
#[must_use]
pub fn lane_of_webhook(id: WebhookId) -> String {
    format!("webhook:{id}")
}

/// The lane of callbacks to this URL: all to one host and port share it.
#[must_use]
pub fn lane_of_callback(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(Url::host_str).unwrap_or_default();
    let port = parsed.as_ref().and_then(Url::port_or_known_default).unwrap_or_default();
    format!("callback:{host}:{port}")
}

/// Pauses between tries; the first one is made at once. After the last the delivery is given up.
pub const PAUSES_MILLIS: [i64; 6] =
    [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR];

/// When a delivery is tried again after so many failed tries, up to a tenth later than planned, so
/// that a receiver that comes back is not hit by all at once; `None` when it is given up.
#[must_use]
pub fn next_try(id: DeliveryId, failed: u32, now: Millis) -> Option<Millis> {
    let place = usize::try_from(failed.checked_sub(1)?).ok()?;
    let pause = *PAUSES_MILLIS.get(place)?;
    // The last bytes of an id follow from a hash: as good as random, and the same on every host.
    let spread = i64::from(id.0.as_u128() as u32 ^ failed.wrapping_mul(0x9e37_79b9));
    Some(now.plus(pause + spread % (pause / 10)))
}

/// A URL that may be told something.
///
/// # Errors
/// What is wrong with it, to be said after its field's name.
pub fn receiver(text: &str, private_addresses: bool) -> Result<Url, String> {
    if text.len() > CALLBACK_URL_BYTES_MAX {
        return Err(format!("must have at most {CALLBACK_URL_BYTES_MAX} bytes"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must not hold blanks or control characters".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if private_addresses => {}
        _ => return Err("must begin with `https://`".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment (`#`)".to_owned());
    }
    match url.port_or_known_default() {
        Some(80 | 443 | 1_024..) => {}
        _ => return Err("must use port 80 or 443, or one from 1024 up".to_owned()),
    }
    let literal: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(v4)) => Some(v4.into()),
        Some(Host::Ipv6(v6)) => Some(v6.into()),
        Some(Host::Domain(_)) => None,
        None => return Err("must name a host".to_owned()),
    };
    if literal.is_some_and(|address| !may_be_told(address, private_addresses)) {
        return Err("must lead to a public address".to_owned());
    }
    Ok(url)
}

/// What a message says of its task. Nothing of it changes after the event, so that every try sends
/// the same bytes.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// What happened.
    pub event: EventType,
    /// When.
    pub at: Millis,
    /// The task.
    pub task: TaskId,
    /// Its kind.
    pub kind: &'a str,
    /// Its status then.
    pub status: TaskStatus,
    /// Its urgency.
    pub priority: Priority,
    /// Submitted.
    pub created_at: Millis,
    /// Ended, if it had by then.
    pub finished_at: Option<Millis>,
    /// Answers then.
    pub responses: u16,
    /// The task of which it is another try.
    pub retry_of: Option<TaskId>,
}

impl Message<'_> {
    /// The body: references, no answers.
    #[must_use]
    pub fn body(&self, public_url: &str) -> Value {
        let kind = self.kind.replace('_', "-");
        json!({
            "type": self.event,
            "timestamp": self.at.rfc3339(),
            "data": {
                "task_id": self.task,
                "task_type": self.kind,
                "status": self.status,
                "priority": self.priority,
                "created_at": self.created_at.rfc3339(),
                "finished_at": self.finished_at.map(Millis::rfc3339),
                "responses": self.responses,
                "result_url": format!("{public_url}/api/v1/{kind}/{}/result", self.task),
                "retry_of": self.retry_of,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(n: u128) -> DeliveryId {
        DeliveryId(Uuid::from_u128(n))
    }

    #[test]
    fn seven_tries_with_the_pauses_of_the_schedule_and_then_none() {
        let now = Millis(1_000);
        for n in 0..500_u128 {
            for (failed, pause) in (1..).zip(PAUSES_MILLIS) {
                let at = next_try(id(n * 0x9e37_79b9), failed, now).unwrap().since(now);
                assert!((pause..pause + pause / 10).contains(&at), "{failed}: {at}");
            }
            assert_eq!(next_try(id(n), 7, now), None);
            assert_eq!(next_try(id(n), 0, now), None);
        }
    }

    #[test]
    fn retries_are_spread() {
        let at = |n: u128| next_try(id(n), 2, Millis(0)).unwrap();
        let mut all: Vec<_> = (0..100).map(at).collect();
        all.sort_unstable();
        all.dedup();
        assert!(all.len() > 90, "{}", all.len());
    }

    #[test]
    fn ids_follow_time_and_tell_events_and_receivers_apart() {
        let task = TaskId(Uuid::from_u128(5));
        let first = delivery_id(Millis(1_000), task, EventType::Done, "a");
        assert_eq!(first, delivery_id(Millis(1_000), task, EventType::Done, "a"));
        assert_ne!(first, delivery_id(Millis(1_000), task, EventType::Done, "b"));
        assert_ne!(first, delivery_id(Millis(1_000), task, EventType::Failed, "a"));
        assert_ne!(first, delivery_id(Millis(1_000), TaskId(Uuid::nil()), EventType::Done, "a"));
        assert!(first < delivery_id(Millis(1_001), task, EventType::Done, "a"));
    }

    #[test]
    fn urls_that_could_lead_elsewhere_are_refused() {
        for text in [
            "",
            "x",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://example.com/",
            "https://",
            "https://user@example.com/",
            "https://user:word@example.com/",
            "https://:word@example.com/",
            "https://example.com:22/",
            "https://example.com:0/",
            "https://example.com:1023/",
            "https://example.com/#part",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://example.com/a b",
            "https://example.com/\n",
            "javascript:alert(1)",
            "https://[fe80::1%25eth0]/",
        ] {
            assert!(receiver(text, false).is_err(), "{text}");
        }
        assert!(receiver(&format!("https://example.com/{}", "a".repeat(2_048)), false).is_err());
        for text in [
            "https://example.com",
            "https://example.com:8443/hook?key=1",
            "https://8.8.8.8/",
            "HTTPS://Example.com/",
            "https://localhost/",
        ] {
            assert!(receiver(text, false).is_ok(), "{text}");
        }
        assert!(receiver("http://127.0.0.1:8080/", true).is_ok());
        assert!(receiver("http://user@127.0.0.1:8080/", true).is_err());
        assert!(receiver("http://0.0.0.0:8080/", true).is_err());
    }

    #[test]
    fn callbacks_of_one_host_share_a_lane() {
        let lane = lane_of_callback("https://Example.com/one?a");
        assert_eq!(lane, "callback:example.com:443");
        assert_eq!(lane, lane_of_callback("https://example.com:443/two"));
        assert_ne!(lane, lane_of_callback("https://example.com:8443/two"));
    }

    #[test]
    fn an_empty_list_of_events_wants_all() {
        assert!(wants("", EventType::Failed));
        assert!(wants("task.done task.failed", EventType::Failed));
        assert!(!wants("task.done task.failed", EventType::Approved));
    }
}
