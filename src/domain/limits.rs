//! Every limit and default on one page, each with its reason. What an operator may change is a
//! key of the configuration with the value here as its default; the rest is fixed.
//!
//! The relations between them hold by this test:
//! ```
//! use pithead::domain::limits::*;
//! // A lease must be able to expire and be tried again several times within the deadline.
//! assert!(i64::from(ATTEMPTS_MAX) * (OFFER_MILLIS + RUN_MILLIS) < DEADLINE_MILLIS);
//! // A miner that beats at a third of the extension survives two lost beats.
//! assert!(HEARTBEAT_MILLIS / 3 > SWEEP_MILLIS);
//! // A long-poll ends before a stale lease would, and before proxies usually cut.
//! assert!(WAIT_SECS_MAX * 1_000 <= RUN_MILLIS);
//! // The body limit of a report holds the largest subnet with room for extra fields.
//! assert!(REPORT_BYTES_MAX / REPORT_MINERS_MAX >= 256);
//! // A file can hold as many task values as a calculation takes.
//! assert!(WEIGHTS_BYTES_MAX / WEIGHT_SCORES_MAX as u64 >= 100);
//! // The clock window of a signature is far inside the memory of nonces.
//! assert!(SIGNATURE_PAST_MILLIS + SIGNATURE_FUTURE_MILLIS < NONCE_MEMORY_MILLIS);
//! // No address has all connections or all places for requests without a proof.
//! assert!(CONNECTIONS_PER_IP * 4 <= IN_FLIGHT_MAX + PARKED_MAX && CALLER_SHARE > 1);
//! // The largest file passes a line of 10 Mbit/s, with room for others on it.
//! assert!(BYTES_PER_SEC_MIN.get() * 10 <= 10_000_000 / 8);
//! // One client cannot fill the queue.
//! assert!(OPEN_PER_CLIENT_MAX * 10 <= OPEN_TASKS_MAX);
//! // An idle stream shows that it lives more often than proxies cut what is silent.
//! assert!(STREAM_BEAT_MILLIS * 2 < pithead::domain::units::MINUTE);
//! // No receiver can take all places of the courier, and no client either.
//! assert!(LANE_PARALLEL < OWNER_PARALLEL && OWNER_PARALLEL < DELIVERIES_PARALLEL);
//! // A delivery is given up before its row is forgotten.
//! assert!(pithead::domain::webhook::PAUSES_MILLIS.iter().sum::<i64>() * 2 < DELIVERIES_KEPT_MILLIS);
//! // One SQLite statement binds at most 32,766 values; the widest row has 30.
//! assert!(BATCH_ROWS_MAX * 30 < 32_766);
//! ```

use std::num::NonZeroU32;
use std::time::Duration;

use super::units::{DAY, HOUR, MINUTE, SECOND};

/// A task ends within this time unless the client asks for another deadline.
pub const DEADLINE_MILLIS: i64 = HOUR;
/// Shortest deadline a client may ask for: one offer must fit.
pub const DEADLINE_SECS_MIN: i64 = 5;
/// Longest deadline a client may ask for.
pub const DEADLINE_SECS_MAX: i64 = 7 * 24 * 3_600;
/// A polling miner fetches an offered lease within this time, or another gets it.
pub const OFFER_MILLIS: i64 = 30 * SECOND;
/// A fetched lease lives this long without a heartbeat.
pub const RUN_MILLIS: i64 = 120 * SECOND;
/// A heartbeat keeps a lease alive for at least this long.
pub const HEARTBEAT_MILLIS: i64 = 30 * SECOND;
/// Failures of one slot until the slot is given up.
pub const ATTEMPTS_MAX: u16 = 3;
/// First pause before a lost slot is tried again; doubles with each attempt.
pub const BACKOFF_MILLIS: i64 = SECOND;
/// Longest pause before a lost slot is tried again.
pub const BACKOFF_MILLIS_MAX: i64 = MINUTE;
/// How often due leases and deadlines are looked for. A look is one index read, no write.
pub const SWEEP_MILLIS: i64 = SECOND;
/// Rows that one sweep moves at most, so that other commands are not held up.
pub const SWEEP_ROWS_MAX: u64 = 500;
/// Ended tasks that go into the archive in one transaction, so that other commands are not held up.
pub const ARCHIVE_ROWS_MAX: u64 = 128;

/// Answers that a task wants unless the client says otherwise.
pub const REDUNDANCY: u16 = 3;
/// Most answers that one task may want.
pub const REDUNDANCY_MAX: u16 = 16;
/// Answers without which a task has failed at its deadline.
pub const MIN_RESPONSES: u16 = 1;

/// Largest JSON or form body where nothing larger is named.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Miners per report: a subnet has up to 65,536 uids, none has had more than a few hundred.
pub const REPORT_MINERS_MAX: usize = 8_192;
/// Bytes per report.
pub const REPORT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of the reports that `pithead consensus merge` reads: an hour of 64 validators on the largest
/// subnets seen, well within the memory of a small machine.
pub const MERGE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of a snapshot as it is sent: so many rows of a kilobyte.
pub const SNAPSHOT_BYTES_MAX: usize = NEURONS_MAX * 1_024;
/// Whoever is refused since the snapshot is too old may ask again after so many seconds: validators
/// send one every few minutes.
pub const SNAPSHOT_AGAIN_SECS: u64 = 30;
/// Rows of a snapshot of the metagraph: sixteen times what subnets have today.
pub const NEURONS_MAX: usize = 4_096;
/// Largest number of a block: a million years of them.
pub const BLOCK_MAX: i64 = 1 << 42;
/// Blocks beyond the believed one, and beyond those that its age explains, for which weights may be
/// submitted: a day of them.
pub const BLOCKS_AHEAD_MAX: i64 = 7_200;
/// Least time between two blocks, for that: half of what it should be.
pub const BLOCK_MILLIS_MIN: i64 = 6 * SECOND;
/// Submissions of one validator that no epoch has counted: two months of them without any snapshot,
/// some kilobytes each.
pub const SUBMISSIONS_OPEN_MAX: u64 = 4_096;
/// Blocks of which one validator's snapshots wait to be believed: it may be so far ahead of the
/// others. A snapshot of 256 rows is some 60 kB.
pub const OFFERED_BLOCKS_MAX: usize = 4;
/// Characters that are kept of what the chain said against a submission.
pub const CHAIN_ERROR_CHARS_MAX: usize = 500;
/// Kinds that one calculation of weights takes: ten times what any subnet has.
pub const WEIGHT_KINDS_MAX: usize = 64;
/// Miners that one calculation of weights takes: as many as there are uids.
pub const WEIGHT_MINERS_MAX: usize = 65_536;
/// Task values that one calculation of weights takes, some hundred bytes each: a full range of uids
/// at sixteen kinds.
pub const WEIGHT_SCORES_MAX: usize = WEIGHT_MINERS_MAX * 16;
/// Bytes that `pithead weights compute` reads: so many values at a hundred bytes, with room for
/// spaces.
pub const WEIGHTS_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// An hour's scores are summed so long after its end: those of its last moment are written by then.
pub const FOLD_AFTER_MILLIS: i64 = MINUTE;
/// Hours that are summed at one look, so that a database without sums gets them bit by bit.
pub const FOLD_HOURS_MAX: u64 = 100;
/// Days that pushed scores and sums by hour stay, where the configuration says nothing else: a month.
pub const WEIGHTS_DAYS: u32 = 30;
/// Single scores stay so much longer than the sums by hour that are made of them.
pub const SCORES_LONGER_MILLIS: i64 = DAY;
/// How long sums by day stay: a year and a month.
pub const DAYS_KEPT_MILLIS: i64 = 400 * DAY;
/// Scores that one request pushes at most: a subnet of 256 miners at four kinds.
pub const PUSHED_SCORES_MAX: usize = 1_000;
/// Submissions of which one record tells: one of each validator, where subnets have up to 64.
pub const SUBMISSIONS_TOLD_MAX: usize = 64;
/// Validators whose submissions are looked at for the records: as many as subnets have places.
pub const SUBMITTERS_MAX: u64 = 256;
/// News of the chain goes into the records of running periods after this time at the latest, and no
/// more often: all of them are made anew.
pub const CREDIT_EVERY_MILLIS: i64 = MINUTE;
/// Closed registrations that are emptied in one transaction. Each has up to some ten thousand sums and
/// records, and other commands wait meanwhile.
pub const EMPTIED_MAX: u64 = 4;
/// Scores pushed within so many hours of a period's end still count in its records.
pub const RECORDS_LATE_HOURS: i64 = 24;
/// Characters that the audit log keeps of a name: twice the longest hotkey, and a moment.
pub const AUDIT_TEXT_CHARS_MAX: usize = 120;
/// Bytes that it keeps of what else is to be known of an entry: a page.
pub const AUDIT_DETAIL_BYTES_MAX: usize = 4 * 1024;
/// Lists in lists that it keeps there.
pub const AUDIT_DEPTH_MAX: usize = 8;
/// Refused credentials that the log is told of in one hour, each claim once: enough to see who tries,
/// and no more than two megabytes a week.
pub const AUTH_FAILURES_TOLD_MAX: usize = 32;
/// Entries of the log that are read at once to be checked.
pub const AUDIT_PAGE: u64 = 1_000;
/// An entry that could not be written is tried again after this time.
pub const AUDIT_AGAIN_MILLIS: i64 = 5 * SECOND;
/// Tries of that: an hour of a database that is away.
pub const AUDIT_TRIES_MAX: u32 = 720;
/// Uids that an entry names of a vector that drifts: enough to see where to look.
pub const DRIFT_SHOWN: usize = 3;
/// Hours before the newest one of which one must have scores for its silence to be a gap.
pub const GAP_BACK_HOURS: i64 = 24;
/// Days in a row with scores after which a validator's silence is a gap.
pub const GAP_VOICE_DAYS: i64 = 3;
/// Making weights rests after each step for so many times what the step took: it has a
/// fifteenth of the time, and tasks the rest.
pub const RUN_RESTS: u32 = 14;
/// It never rests longer than this.
pub const RUN_REST_MAX: Duration = Duration::from_secs(10);
/// Weights that could not be made are tried again after this time.
pub const RUN_AGAIN_MILLIS: i64 = 10 * SECOND;
/// Reports per minute and validator.
pub const REPORTS_PER_MINUTE: u32 = 120;
/// Tasks per minute and client.
pub const TASKS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(6_000).unwrap();
/// The part of all requests in flight, and of all parked polls, that one caller may have: one in so
/// many.
pub const CALLER_SHARE: usize = 4;
/// The part of the places for requests that prove nothing, half of all, that one address may have:
/// one in so many. Whoever is honest is there for a millisecond.
pub const ADDRESS_SHARE: usize = 8;
/// A caller may have as many as this however small the gate: an SDK opens a dozen connections.
pub const CALLER_PLACES_MIN: usize = 16;
/// Bytes of one response.
pub const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one audio input.
pub const AUDIO_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Bytes of one video input.
pub const VIDEO_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Bytes of one document input.
pub const DOCUMENT_BYTES_MAX: u64 = 50 * 1024 * 1024;
/// Days that a file stays, where the configuration says nothing else: a month of looking back.
pub const FILES_DAYS: u32 = 30;
/// Most days that a file may be told to stay: a hundred years, so that sums of moments stay in range.
pub const FILES_DAYS_MAX: u32 = 36_500;
/// A file that ends within this time is taken for no new task: until the task is taken in, nothing
/// keeps it. Far longer than any submit takes.
pub const FILE_GRACE_MILLIS: i64 = HOUR;
/// A file that was due and is still needed is looked at again after this time.
pub const FILE_AGAIN_MILLIS: i64 = DAY;
/// Files that one look forgets at most, so that other commands are not held up.
pub const FILES_FORGOTTEN_MAX: u64 = 500;
/// Looks of one round at files that are due; the rest waits for the next minute.
pub const FILES_LOOKS_MAX: usize = 20;
/// A blob without a row is deleted when nobody touched it for so long: a crash may lie between the
/// two, and so may a clock of a bucket that goes wrong.
pub const BLOB_REST_MILLIS: i64 = DAY;
/// Old blobs that the writer is asked about at once.
pub const BLOBS_ASKED_MAX: usize = 128;
/// Bytes of a file on its way in that are held in memory; a larger one goes to the disk.
pub const SPOOL_MEMORY_BYTES: usize = 64 * 1024;
/// Bytes of one part of a put into a bucket: the least that S3 takes.
pub const BUCKET_PART_BYTES: usize = 5 * 1024 * 1024;
/// Parts of a put on their way at once. With the one that fills, this bounds the memory of a put.
pub const BUCKET_PARTS_AT_ONCE: usize = 2;
/// Further tries of a request to a bucket that failed.
pub const BUCKET_RETRIES_MAX: usize = 3;
/// Seconds after which a request to a bucket is not tried again: the caller waits meanwhile.
pub const BUCKET_RETRY_SECS: u64 = 30;
/// Voices that one owner may have.
pub const VOICES_PER_OWNER: u64 = 200;
/// Bytes of a voice's sample: a minute of uncompressed sound.
pub const SAMPLE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Characters of a voice's description.
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Bytes a second that a body must come with, and an answer must be read with, on average: half a
/// megabit, which any line has that carries 100 MB at all.
pub const BYTES_PER_SEC_MIN: NonZeroU32 = NonZeroU32::new(64 * 1024).unwrap();
/// Seconds that a sender or reader may be behind that pace: a lost packet or two, a hand-over between
/// cells.
pub const SLOW_GRACE_SECS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Seconds that nothing at all may come or be taken, however fast it was before.
pub const SILENCE_SECS_MAX: u64 = 30;
/// Bytes of an answer that the system holds for one reader, else some megabytes: enough for a megabyte
/// a second over a fifth of a second, and a thousand slow readers hold no gigabytes.
pub const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Seconds that the headers of a request may take.
pub const HEADERS_SECS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Seconds that a connection may rest between two requests: longer than proxies keep theirs (60), so
/// that none sends into one that closes.
pub const KEEP_ALIVE_SECS: NonZeroU32 = NonZeroU32::new(75).unwrap();
/// Seconds until a connection is cut on which a body came too slowly: enough to read the answer.
pub const LINGER_SECS: u64 = 2;
/// Requests per minute and address that prove nothing: ten a second are far more than people and
/// monitors need, and checking as many signatures takes less than a thousandth of a core.
pub const UNPROVEN_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).unwrap();
/// Addresses whose unproven requests are counted one by one, some fifty bytes each.
pub const ADDRESSES_MAX: usize = 65_536;
/// While so many are known, all others together may send this many times what one may: a thousand
/// signatures a second are a tenth of a core.
pub const NEWCOMERS_SHARE: u32 = 100;
/// Connections of one address: a thousand miners behind it, and no more than a part of all.
pub const CONNECTIONS_PER_IP: usize = 1_024;
/// Proxies that a request may pass on its way.
pub const FORWARDED_HOPS_MAX: usize = 16;
/// Characters of a name (model, voice, file) that we store.
pub const NAME_CHARS_MAX: usize = 120;

/// Seconds that a long-poll may wait.
pub const WAIT_SECS_MAX: i64 = 60;
/// Seconds that a call of the OpenAI form waits for its result; its task ends then.
pub const WAITED_RESULT_SECS: i64 = 300;
/// Long-polls that one miner may park at once; the oldest is answered empty beyond that.
pub const POLLS_PER_MINER: usize = 64;
/// Clients that may wait on one task at once.
pub const WATCHERS_PER_TASK: usize = 64;
/// Requests in flight beyond which the gate answers 503. Parked polls do not count.
pub const IN_FLIGHT_MAX: usize = 4_096;
/// Polls parked at once over all miners and clients.
pub const PARKED_MAX: usize = 20_000;
/// Rows that one page of a list holds at most.
pub const PAGE_MAX: u64 = 200;
/// Done tasks whose answers' slots are kept in memory for their judges, some hundred bytes each.
pub const ANSWERED_KEPT: usize = 8_192;
/// Rows of files that came with a task and are kept in memory for its miners, some hundred bytes
/// each.
pub const INPUTS_KEPT: usize = 8_192;
/// Done tasks that a validator is told at once to judge.
pub const TO_JUDGE_MAX: usize = 50;
/// Done tasks that one statement looks at for what is left to judge: some milliseconds.
pub const DONE_LOOKED_MAX: u64 = 500;
/// Validators of which is remembered what is left to judge, some 30 kB each at most. Subnets have up
/// to 64; one that is forgotten looks along all done tasks once more.
pub const JUDGES_KEPT: usize = 256;
/// That memory begins anew so often: a commit whose outcome was unknown may have passed it by.
pub const JUDGES_KEPT_MILLIS: i64 = HOUR;
/// Rows of usage in one answer.
pub const USAGE_ROWS_MAX: u64 = 10_000;
/// Commands that one transaction takes at most.
pub const BATCH_COMMANDS_MAX: usize = 512;
/// Commands that may wait for the writer; beyond that the caller waits for room.
pub const WRITER_QUEUE_MAX: usize = 8_192;
/// Rows that one statement carries at most.
pub const BATCH_ROWS_MAX: usize = 128;
/// Tasks of one batch.
pub const BATCH_TASKS_MAX: usize = 1_000;
/// Tasks of one batch that are written at once.
pub const BATCH_PARALLEL: usize = 64;
/// Leases that one call of a validator may take.
pub const DISTRIBUTE_MAX: usize = 100;
/// Tasks that may be open at once; beyond that submit answers 503.
pub const OPEN_TASKS_MAX: usize = 1_000_000;
/// Tasks that one client may have open at once: a tenth of all, so that one cannot shut the others
/// out.
pub const OPEN_PER_CLIENT_MAX: usize = 100_000;

/// Requests per minute of an API key or a hotkey: a thousand a second, more than a busy client needs,
/// and too few to fill the server.
pub const REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60_000).unwrap();
/// Most requests per minute that an API key may be given: as good as no limit.
pub const REQUESTS_PER_MINUTE_MAX: u32 = 100_000_000;
/// Most requests at once that an API key may be given; the gate's own share holds below that.
pub const KEY_IN_FLIGHT_MAX: u32 = 1_000_000;
/// Most tasks per day that an API key may be given.
pub const TASKS_PER_DAY_MAX: u32 = 1_000_000_000;
/// With so many budgets, those that are whole again are forgotten: some 100 kB.
pub const BUDGETS_SWEPT_FROM: usize = 1_024;
/// Hotkeys that an operator may shut out at once: as many as a subnet has neurons in its wildest dreams,
/// and each request still asks one map.
pub const QUARANTINE_MAX: u64 = 4_096;
/// Characters of the reason: it goes whole into the audit log.
pub const QUARANTINE_REASON_CHARS_MAX: usize = 500;
/// Days after which a hotkey that is shut out may be free again by itself at most.
pub const QUARANTINE_DAYS_MAX: i64 = 3_650;
/// Days after which an API key may end at most.
pub const KEY_DAYS_MAX: i64 = 3_650;
/// For how many hours the secret before a rotation is valid too, unless said otherwise: a day to bring
/// the new one to where it is used.
pub const KEY_OVERLAP_HOURS: i64 = 24;
/// Most hours of that: a month.
pub const KEY_OVERLAP_HOURS_MAX: i64 = 30 * 24;

/// Oldest signature that is accepted.
pub const SIGNATURE_PAST_MILLIS: i64 = 10 * SECOND;
/// How far ahead of our clock a signer may be.
pub const SIGNATURE_FUTURE_MILLIS: i64 = 2 * SECOND;
/// How long a nonce is remembered.
pub const NONCE_MEMORY_MILLIS: i64 = 2 * MINUTE;
/// How long the answer to an idempotency key is kept.
pub const IDEMPOTENCY_MILLIS: i64 = DAY;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_MAX: usize = 128;

/// What happened to validators of late: so many events are shown.
pub const EVENTS_SHOWN: usize = 200;
/// A miner not mentioned for this long is stale.
pub const MINER_TIMEOUT_MILLIS: i64 = 15 * MINUTE;
/// Report periods of its validators that a miner may miss before it is stale, where those are
/// longer than the timeout.
pub const MINER_TIMEOUT_PERIODS: i64 = 3;
/// How often stale miners are retired.
pub const MINER_SWEEP_MILLIS: i64 = 5 * MINUTE;
/// The window that the documents name, told to their clients. What counts is whether a validator is
/// active by its own report period: five minutes would hardly ever hold two reports.
pub const CONSENSUS_TIMEOUT_MINUTES: f64 = 5.0;
/// Capacity of a miner whose reports name none.
pub const CAPACITY: u32 = 5;
/// Consecutive failures at a kind after which a miner is left alone with it for a while.
pub const BREAKER_FAILURES: u32 = 3;
/// First pause of a miner that keeps failing; doubles with each further failure.
pub const BREAKER_MILLIS: i64 = 30 * SECOND;
/// Longest pause of a miner that keeps failing.
pub const BREAKER_MILLIS_MAX: i64 = 30 * MINUTE;
/// How often changed records of miners are written: what a crash may lose of them.
pub const RECORDS_MILLIS: i64 = 30 * SECOND;
/// How often the consensus is told what we saw of miners.
pub const OBSERVED_MILLIS: i64 = 10 * SECOND;
/// Records kept of miners that went silent, so that one that returns is no stranger.
pub const RESTING_MAX: usize = 16_384;

/// Webhooks of one owner: each event is written and sent once for each of them.
pub const WEBHOOKS_PER_OWNER: u64 = 16;
/// Longest URL that is told something, in bytes; what longer ones carry belongs into a body.
pub const CALLBACK_URL_BYTES_MAX: usize = 2_048;
/// A receiver that has not answered within this time has failed; well-behaved ones queue the work.
pub const DELIVERY_MILLIS_MAX: i64 = 15 * SECOND;
/// Bytes of a receiver's answer that are read: its status is what counts.
pub const DELIVERY_ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Characters of a receiver's answer that are kept, to find out why it refuses.
pub const DELIVERY_ANSWER_CHARS_MAX: usize = 300;
/// Deliveries on their way at once, each a connection.
pub const DELIVERIES_PARALLEL: usize = 64;
/// Of those, for one endpoint or one host of callbacks: a slow one holds up only itself.
pub const LANE_PARALLEL: usize = 4;
/// Of those, for one owner: whoever has many slow receivers holds up only himself.
pub const OWNER_PARALLEL: usize = 16;
/// Receivers with something due that one look takes in; the next look goes on behind them.
pub const LANES_MAX: u64 = 1_024;
/// How long deliveries are kept: they can be looked up and sent again for a week.
pub const DELIVERIES_KEPT_MILLIS: i64 = 7 * DAY;
/// For how long the secret before a rotation signs too.
pub const OLD_SECRET_MILLIS: i64 = DAY;

/// How long what `/readyz` and `/metrics` found is told to all who ask: they are open to everybody and
/// need no permit, so that a flood of them must not reach the database. Shorter than probes come.
pub const PROBE_MILLIS: u64 = 1_000;

/// How often a stream of events shows that it lives.
pub const STREAM_BEAT_MILLIS: i64 = 15 * SECOND;
/// How often a stream reads its task when no hint came: hints may be lost.
pub const STREAM_LOOK_MILLIS: i64 = 2 * SECOND;
/// Longest life of one stream; its client comes again and goes on where it was.
pub const STREAM_MILLIS_MAX: i64 = 10 * MINUTE;
