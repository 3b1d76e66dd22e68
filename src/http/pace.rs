//! The pace at which a body must come: what it may take grows with what came, after a grace. Only the
//! time counts in which we wait for the sender, not that in which we write to the disk.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::LimitsConfig;
use crate::domain::limits::SILENCE_SECS_MAX;

/// How fast is fast enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    grace: Duration,
    per_sec: u32,
}

impl Pace {
    pub(super) const fn of(limits: &LimitsConfig) -> Self {
        let grace = Duration::from_secs(limits.slow_grace_secs.get() as u64);
        Self { grace, per_sec: limits.bytes_per_sec_min.get() }
    }

    /// Time that so many bytes may take.
    pub(super) fn time(self, bytes: u64) -> Duration {
        let micros = bytes.saturating_mul(1_000_000) / u64::from(self.per_sec);
        self.grace.saturating_add(Duration::from_micros(micros))
    }
}

/// What came of a body, and how long was waited for it.
struct Account {
    pace: Pace,
    received: u64,
    waited: Duration,
}

impl Account {
    const fn new(pace: Pace) -> Self {
        Self { pace, received: 0, waited: Duration::ZERO }
    }

    /// Time that the next bytes may take.
    fn left(&self) -> Duration {
        let left = self.pace.time(self.received).saturating_sub(self.waited);
        left.min(Duration::from_secs(SILENCE_SECS_MAX))
    }
}

/// A body that breaks off when it comes too slowly.
struct Paced {
    inner: Payload,
    account: Account,
    waits_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    const fn new(inner: Payload, pace: Pace) -> Self {
        Self { inner, account: Account::new(pace), waits_since: None, timer: None }
    }
}

/// Makes the request's body keep the pace, for whoever reads it.
pub(super) fn keep(limits: &LimitsConfig, request: &mut ServiceRequest) {
    let inner = request.take_payload();
    if matches!(inner, Payload::None) {
        return;
    }
    let paced = Paced::new(inner, Pace::of(limits));
    request.set_payload(Payload::Stream { payload: Box::pin(paced) });
}

/// Whether a body broke off since it came too slowly.
pub(super) fn is_too_slow(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

impl Stream for Paced {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(next) = this.inner.poll_next_unpin(cx) {
            if let Some(since) = this.waits_since.take() {
                this.account.waited += since.elapsed();
            }
            if let Some(Ok(bytes)) = &next {
                this.account.received += bytes.len() as u64;
            }
            return Poll::Ready(next);
        }
        let since = *this.waits_since.get_or_insert_with(Instant::now);
        let until = since + this.account.left();
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx).map(|()| {
            Some(Err(PayloadError::Io(io::Error::new(io::ErrorKind::TimedOut, "too slow"))))
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::time::sleep;

    use super::*;

    const PACE: Pace = Pace { grace: Duration::from_secs(10), per_sec: 1_000 };

    /// Chunks that come so many milliseconds after one another: how many bytes come through, and
    /// whether it was all of them.
    fn comes(chunks: impl IntoIterator<Item = (u64, u64)>) -> (u64, bool) {
        let mut account = Account::new(PACE);
        for (millis, bytes) in chunks {
            let took = Duration::from_millis(millis);
            if took >= account.left() {
                return (account.received, false);
            }
            account.waited += took;
            account.received += bytes;
        }
        (account.received, true)
    }

    #[test]
    fn a_byte_a_second_is_cut_after_the_grace_and_the_least_pace_passes() {
        assert_eq!(comes([(1_000, 1); 60]), (10, false));
        assert_eq!(comes([(1_000, 1_000); 600]), (600_000, true));
        assert_eq!(comes([(1_000, 900); 200]), (90 * 900, false));
        assert_eq!(comes([(9_000, 1)]), (1, true), "the grace is there for all");
        assert_eq!(comes([(60_000, 1)]), (0, false));
    }

    #[test]
    fn the_largest_file_passes_a_line_of_ten_megabits() {
        let limits = crate::config::Config::default().limits;
        let mut account = Account::new(Pace::of(&limits));
        for _ in 0..100 {
            let took = Duration::from_millis(839);
            assert!(took < account.left());
            account.waited += took;
            account.received += 1024 * 1024;
        }
    }

    #[test]
    fn who_was_fast_may_not_be_silent_for_ever() {
        let silence = 1_000 * SILENCE_SECS_MAX;
        assert_eq!(comes([(1, 1_000_000), (silence - 1_000, 1)]), (1_000_001, true));
        assert_eq!(comes([(1, 1_000_000), (silence + 1_000, 1)]), (1_000_000, false));
    }

    #[actix_web::test]
    async fn our_own_slowness_is_not_the_senders() {
        let pace = Pace { grace: Duration::from_millis(100), per_sec: 1_000_000 };
        let chunks = stream::iter(0..3).then(async |_| {
            tokio::task::yield_now().await;
            Ok(Bytes::from_static(b"x"))
        });
        let mut paced = Paced::new(Payload::Stream { payload: Box::pin(chunks) }, pace);
        let mut got = 0;
        while let Some(chunk) = paced.next().await {
            got += chunk.unwrap().len();
            sleep(Duration::from_millis(150)).await;
        }
        assert_eq!(got, 3);
    }
}
