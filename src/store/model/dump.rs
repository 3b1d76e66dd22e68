//! All rows of all tables as text, to compare two stores row by row.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use uuid::Uuid;

use super::{Made, Tables};
use crate::domain::task::TaskState;
use crate::domain::units::{Millis, Score};
use crate::store::{DeliveryRow, SlotRow, TaskInput, TaskRecord};

/// Rows by table, each one line of `column=value` in the order of the columns, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dump(pub BTreeMap<String, Vec<String>>);

impl Dump {
    /// Adds a table.
    pub fn table(&mut self, name: &str, mut rows: Vec<String>) {
        rows.sort_unstable();
        self.0.insert(name.to_owned(), rows);
    }

    /// The rows that only one of the two has; empty when they are equal.
    #[must_use]
    pub fn difference(&self, other: &Self) -> String {
        let mut text = String::new();
        for (sign, one, two) in [('<', self, other), ('>', other, self)] {
            for (table, rows) in &one.0 {
                let others = two.0.get(table);
                for row in rows.iter().filter(|row| others.is_none_or(|o| !o.contains(row))) {
                    text.push_str(&format!("{sign} {table}: {row}\n"));
                }
            }
        }
        text
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (table, rows) in &self.0 {
            writeln!(f, "{table}")?;
            for row in rows {
                writeln!(f, "  {row}")?;
            }
        }
        Ok(())
    }
}

/// A value in a row: text as it is, hashes in hex, `-` for nothing.
pub trait Cell {
    /// Its text.
    fn cell(&self) -> String;
}

macro_rules! plain_cells {
    ($($kind:ty),*) => { $(impl Cell for $kind {
        fn cell(&self) -> String {
            self.to_string()
        }
    })* };
}
plain_cells!(String, str, bool, u16, u32, u64, i32, i64, f64, Uuid, Value);

impl Cell for Millis {
    fn cell(&self) -> String {
        self.0.to_string()
    }
}

impl Cell for Score {
    fn cell(&self) -> String {
        self.millionths().to_string()
    }
}

impl Cell for [u8] {
    fn cell(&self) -> String {
        hex::encode(self)
    }
}

impl<T: Cell> Cell for Option<T> {
    fn cell(&self) -> String {
        self.as_ref().map_or_else(|| "-".to_owned(), Cell::cell)
    }
}

impl<T: Cell + ?Sized> Cell for &T {
    fn cell(&self) -> String {
        (**self).cell()
    }
}

macro_rules! line {
    ($($column:ident = $value:expr),* $(,)?) => {
        [$(format!("{}={}", stringify!($column), Cell::cell(&$value))),*].join(" ")
    };
}

pub(super) use line;

impl Tables {
    /// All rows, as the entities name their columns.
    pub(super) fn dump(&self) -> Dump {
        let mut dump = Dump::default();
        let all = || self.tasks.values();
        dump.table("registration", self.registration_lines());
        dump.table("task", all().map(task_line).collect());
        dump.table("slot", all().flat_map(|t| t.slots.iter().map(|s| slot_line(t, s))).collect());
        dump.table("attempt", all().flat_map(attempt_lines).collect());
        dump.table("response", self.response_lines());
        dump.table("evaluation", self.evaluation_lines());
        dump.table("score", self.score_lines());
        dump.table("report", self.report_lines());
        dump.table("webhook", self.webhook_lines());
        dump.table("delivery", self.deliveries.values().map(delivery_line).collect());
        let secrets = self.callback_secrets.values();
        let secrets =
            secrets.map(|r| line!(owner = r.owner, secret = r.secret, created_at = r.created_at));
        dump.table("callback_secret", secrets.collect());
        self.dump_records(&mut dump);
        self.dump_submissions(&mut dump);
        self.dump_audit(&mut dump);
        self.dump_metagraphs(&mut dump);
        self.dump_history(&mut dump);
        self.dump_weights(&mut dump);
        self.dump_ledger(&mut dump);
        dump
    }

    fn registration_lines(&self) -> Vec<String> {
        let line = |known: &super::Registration| {
            let (row, record) = (&known.row, known.row.record);
            line!(
                id = row.id.0,
                netuid = known.netuid,
                uid = row.uid.0,
                hotkey = row.hotkey.as_str(),
                registered_block = row.registered_block,
                coldkey = row.coldkey.as_ref().map(|key| key.as_str()),
                capacity = row.capacity,
                live = row.live,
                answered = record.answered,
                lost = record.lost,
                scored = record.scored,
                score_sum = record.score_sum,
                opened_at = row.opened_at,
                closed_at = row.closed_at,
            )
        };
        self.registrations.values().map(line).collect()
    }

    fn response_lines(&self) -> Vec<String> {
        let line = |row: &crate::store::ResponseRow| {
            line!(
                task_id = row.token.task.0,
                slot = row.token.slot,
                attempt = row.token.attempt,
                holder = row.holder.id(),
                registration_id = row.registration.map(|id| id.0),
                miner_uid = row.miner_uid.0,
                body = row.body,
                body_hash = row.body_hash.as_slice(),
                claims = row.claims,
                elapsed_millis = row.elapsed_millis,
                created_at = row.created_at,
            )
        };
        self.responses.values().map(line).collect()
    }

    fn evaluation_lines(&self) -> Vec<String> {
        let line = |row: &crate::store::EvaluationRow| {
            line!(
                task_id = row.task.0,
                slot = row.slot,
                validator_id = row.validator.0,
                accuracy = row.accuracy,
                whole = row.whole,
                score = row.score,
                reward = row.reward,
                created_at = row.created_at,
            )
        };
        self.evaluations.values().map(line).collect()
    }

    fn score_lines(&self) -> Vec<String> {
        let line = |row: &crate::store::ScoreRow| {
            line!(
                task_id = row.task.0,
                slot = row.slot,
                registration_id = row.registration.0,
                kind = row.kind,
                score = row.score,
                validators = row.validators,
                scored_at = row.scored_at,
            )
        };
        self.scores.values().map(line).collect()
    }

    fn webhook_lines(&self) -> Vec<String> {
        let line = |row: &crate::store::WebhookRow| {
            line!(
                id = row.id.0,
                owner = row.owner,
                url = row.url,
                events = row.events,
                secret = row.secret,
                old_secret = row.old_secret,
                old_until = row.old_until,
                created_at = row.created_at,
                disabled_at = row.disabled_at,
                disabled_reason = row.disabled_reason,
            )
        };
        self.webhooks.values().map(line).collect()
    }

    fn report_lines(&self) -> Vec<String> {
        let line = |row: &crate::store::ReportRow| {
            line!(
                id = row.id.0,
                validator_id = row.validator.0,
                signed_order = row.signed_order,
                epoch = row.epoch,
                sequence = row.sequence,
                partial = row.partial,
                received_at = row.received_at,
                statuses = row.statuses,
                body_hash = row.body_hash.as_slice(),
                body = row.body.as_slice(),
            )
        };
        self.reports.values().map(line).collect()
    }

    fn file_lines(&self) -> Vec<String> {
        let line = |row: &crate::store::FileRow| {
            line!(
                id = row.id.0,
                owner = row.owner,
                sha256 = row.sha256,
                size = row.size,
                content_type = row.content_type,
                name = row.name,
                created_at = row.created_at,
                task_id = row.task.map(|id| id.0),
                expires_at = row.expires_at,
            )
        };
        self.files.values().map(line).collect()
    }

    fn quarantine_lines(&self) -> Vec<String> {
        let lines = self.quarantine.values().map(|row| {
            line!(
                hotkey = row.hotkey.as_str(),
                reason = row.reason,
                until = row.until,
                by = row.by,
                created_at = row.created_at,
            )
        });
        lines.collect()
    }

    fn voice_lines(&self) -> Vec<String> {
        let line = |row: &crate::store::VoiceRow| {
            line!(
                id = row.id.0,
                owner = row.owner,
                name = row.name,
                language = row.language,
                description = row.description,
                sample_file = row.sample.map(|id| id.0),
                created_at = row.created_at,
                shared_at = row.shared_at,
            )
        };
        self.voices.values().map(line).collect()
    }

    fn dump_records(&self, dump: &mut Dump) {
        let validators = self.validators.values().map(|row| {
            let (hotkey, uid) = (row.hotkey.as_str(), row.uid);
            line!(
                id = row.id.0,
                hotkey = hotkey,
                uid = uid,
                created_at = row.created_at,
                track = row.track,
            )
        });
        dump.table("validator", validators.collect());
        let verdicts = self.verdicts.values();
        let verdicts =
            verdicts.map(|row| line!(uid = row.uid.0, round = row.round, body = row.body));
        dump.table("verdict", verdicts.collect());
        let rounds = self.rounds.values().map(|row| {
            line!(round = row.round, closed_at = row.closed_at, body = row.body.as_slice())
        });
        dump.table("round", rounds.collect());
        let records = self.kind_records.values().map(|row| {
            line!(
                registration_id = row.registration.0,
                kind = row.kind,
                body = row.body,
                updated_at = row.updated_at,
            )
        });
        dump.table("miner_kind_record", records.collect());
        dump.table("file", self.file_lines());
        dump.table("voice", self.voice_lines());
        let keys = self.keys.values().map(|row| {
            line!(
                id = row.id,
                secret_hash = row.secret_hash.as_slice(),
                name = row.name,
                scopes = row.scopes,
                created_at = row.created_at,
                expires_at = row.expires_at,
                revoked_at = row.revoked_at,
                old_secret_hash = row.old_secret_hash.as_ref().map(<[u8; 32]>::as_slice),
                old_secret_until = row.old_secret_until,
                rotated_at = row.rotated_at,
                requests_per_minute = row.limits.requests_per_minute.map(i64::from),
                in_flight = row.limits.in_flight.map(i64::from),
                tasks_per_day = row.limits.tasks_per_day.map(i64::from),
            )
        });
        dump.table("api_key", keys.collect());
        dump.table("quarantine", self.quarantine_lines());
        let replays = self.replays.iter().map(|((hotkey, nonce), seen_at)| {
            line!(hotkey = hotkey.as_str(), nonce = *nonce, seen_at = *seen_at)
        });
        dump.table("replay", replays.collect());
        let idempotency = self.idempotency.iter().map(|((caller, key), known)| {
            let (made, made_id) = match known.made {
                Made::Task(id) => ("task", id.0),
                Made::File(id) => ("file", id.0),
                Made::Voice(id) => ("voice", id.0),
            };
            line!(
                caller = caller,
                key = key,
                body_hash = hex::encode(known.body_hash),
                made = made,
                made_id = made_id,
                created_at = known.created_at,
            )
        });
        dump.table("idempotency", idempotency.collect());
    }
}

fn task_line(record: &TaskRecord) -> String {
    let task = &record.task;
    let (input_text, input_file) = match &task.input {
        TaskInput::Text(text) => (Some(text.as_str()), None),
        TaskInput::File(file) => (None, Some(file.0)),
    };
    let state: TaskState = record.state;
    line!(
        id = task.id.0,
        owner = task.owner,
        kind = task.kind,
        state = state.as_str(),
        priority = task.priority.as_str(),
        slots = task.slots,
        enough = task.enough,
        min_responses = task.min_responses,
        answered = record.answered,
        failed = record.failed,
        source_language = task.source_language,
        target_language = task.target_language,
        model_id = task.model_id,
        voice_name = task.voice_name,
        input_text = input_text,
        input_file = input_file,
        run_millis = task.run_millis,
        created_at = task.created_at,
        deadline = task.deadline,
        retry_of = task.retry_of.map(|id| id.0),
        start_at = task.start_at,
        adaptive_slots = task.adaptive.map(|to| to.slots),
        adaptive_enough = task.adaptive.map(|to| to.enough),
        callback_url = task.callback_url,
        first_response_at = record.first_response_at,
        finished_at = record.finished_at,
        best_slot = record.best_slot,
    )
}

fn slot_line(task: &TaskRecord, row: &SlotRow) -> String {
    line!(
        task_id = task.task.id.0,
        slot = row.slot,
        state = row.state.as_str(),
        attempt = row.attempt,
        failures = row.failures,
        not_before = row.not_before,
        holder_kind = row.holder.map(|holder| holder.kind().as_str()),
        holder = row.holder.map(|holder| holder.id()),
        granted_at = row.granted_at,
        fetched_at = row.fetched_at,
        expires_at = row.expires_at,
        hedge_of = row.hedge_of,
        hedged_by = row.hedged_by,
    )
}

fn attempt_lines(task: &TaskRecord) -> impl Iterator<Item = String> {
    task.attempts.iter().map(|row| {
        line!(
            task_id = row.token.task.0,
            slot = row.token.slot,
            attempt = row.token.attempt,
            holder_kind = row.holder.kind().as_str(),
            holder = row.holder.id(),
            reason = row.reason.as_str(),
            granted_at = row.granted_at,
            fetched_at = row.fetched_at,
            ended_at = row.ended_at,
        )
    })
}

fn delivery_line(row: &DeliveryRow) -> String {
    let tried = row.tried.as_ref();
    line!(
        id = row.id.0,
        owner = row.owner,
        lane = row.lane,
        event = row.event.as_str(),
        status = row.status.as_str(),
        webhook_id = row.webhook.map(|id| id.0),
        url = row.url,
        task_id = row.task.0,
        responses = row.responses,
        created_at = row.created_at,
        attempts = row.attempts,
        next_at = row.next_at,
        delivered_at = row.delivered_at,
        given_up_at = row.given_up_at,
        tried_at = tried.map(|tried| tried.at),
        last_status = tried.and_then(|tried| tried.status),
        last_error = tried.and_then(|tried| tried.error.as_ref()),
        last_answer = tried.and_then(|tried| tried.answer.as_ref()),
    )
}
