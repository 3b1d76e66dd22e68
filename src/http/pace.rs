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

/// A body that breaks off when it comes too slowly.
struct Paced {
    inner: Payload,
    pace: Pace,
    received: u64,
    waited: Duration,
    waits_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Makes the request's body keep the pace, for whoever reads it.
pub(super) fn keep(limits: &LimitsConfig, request: &mut ServiceRequest) {
    let inner = request.take_payload();
    if matches!(inner, Payload::None) {
        return;
    }
    let pace = Pace::of(limits);
    let (waited, waits_since, timer) = (Duration::ZERO, None, None);
    let paced = Paced { inner, pace, received: 0, waited, waits_since, timer };
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
                this.waited += since.elapsed();
            }
            if let Some(Ok(bytes)) = &next {
                this.received += bytes.len() as u64;
            }
            return Poll::Ready(next);
        }
        let since = *this.waits_since.get_or_insert_with(Instant::now);
        let left = this.pace.time(this.received).saturating_sub(this.waited);
        let until = since + left.min(Duration::from_secs(SILENCE_SECS_MAX));
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
    use tokio::time::{advance, sleep};

    use super::*;

    const PACE: Pace = Pace { grace: Duration::from_secs(10), per_sec: 1_000 };

    /// A body of chunks that come so many milliseconds after one another, and how much of it is read
    /// by one who takes some time for each.
    async fn read(chunks: Vec<(u64, usize)>, reader_millis: u64) -> (usize, bool) {
        let payload = stream::unfold(chunks.into_iter(), async |mut chunks| {
            let (millis, bytes) = chunks.next()?;
            sleep(Duration::from_millis(millis)).await;
            Some((Ok(Bytes::from(vec![0; bytes])), chunks))
        });
        let inner = Payload::Stream { payload: Box::pin(payload) };
        let (waited, waits_since, timer) = (Duration::ZERO, None, None);
        let mut paced = Paced { inner, pace: PACE, received: 0, waited, waits_since, timer };
        let mut got = 0;
        while let Some(chunk) = paced.next().await {
            match chunk {
                Ok(bytes) => got += bytes.len(),
                Err(error) => return (got, is_too_slow(&error)),
            }
            advance(Duration::from_millis(reader_millis)).await;
        }
        (got, false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_a_second_is_cut_after_the_grace_and_the_least_pace_passes() {
        assert_eq!(read(vec![(1_000, 1); 60], 0).await, (9, true));
        assert_eq!(read(vec![(1_000, 1_000); 60], 0).await, (60_000, false));
        assert_eq!(read(vec![(1_000, 900); 200], 0).await, (98 * 900, true));
        assert_eq!(read(vec![(9_000, 1); 1], 0).await, (1, false), "the grace is there for all");
        assert_eq!(read(vec![(60_000, 1)], 0).await, (0, true));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_fast_may_not_be_silent_for_ever() {
        let silence = 1_000 * SILENCE_SECS_MAX;
        assert_eq!(read(vec![(1, 1_000_000), (silence - 1_000, 1)], 0).await, (1_000_001, false));
        assert_eq!(read(vec![(1, 1_000_000), (silence + 1_000, 1)], 0).await, (1_000_000, true));
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_slowness_is_not_the_senders() {
        assert_eq!(read(vec![(100, 10); 60], 5_000).await, (600, false));
    }
}
