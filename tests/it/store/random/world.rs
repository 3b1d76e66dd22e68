//! What the next random command is: few tasks, few miners with little room, tokens that live, are
//! stale, or are bent in one point.

use std::collections::BTreeSet;

use pithead::domain::ids::{LeaseToken, MinerUid, TaskId};
use pithead::domain::lease::{LeasePolicy, LossReason};
use pithead::domain::task::{SlotState, TaskState};
use pithead::domain::units::{DAY, Millis};
use pithead::store::*;

use super::super::make::*;
use super::{Command, Dice};

/// What the generator knows.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) secs: i64,
    /// The newest tasks, as they stand.
    pub(super) tasks: Vec<TaskRecord>,
    /// Deliveries that are left to do.
    pub(super) deliveries: Vec<DeliveryRow>,
    /// Ids given out.
    pub(super) new: u128,
    /// Miners that were registered.
    pub(super) registered: BTreeSet<u128>,
}

type Lease = (LeaseToken, Holder);

impl World {
    pub(super) fn command(&mut self) -> Command {
        self.secs += i64::from(self.dice.small(6));
        if self.dice.one_in(30) {
            return match self.dice.below(7) {
                0 => Command::Adopt(self.adopt()),
                1 => Command::Note(self.facts()),
                _ => Command::PutSubmission(self.submission()),
            };
        }
        match self.dice.below(146) {
            0..12 => Command::Enqueue(self.enqueue()),
            12..31 => Command::Assign(self.assign()),
            31..32 => Command::Widen(self.widen()),
            32..34 => Command::Hedge(self.hedge()),
            34..41 => Command::Fetch(self.fetch()),
            41..46 => Command::Heartbeat(self.heartbeat()),
            46..62 => Command::Respond(self.respond()),
            62..69 => Command::Release(self.release()),
            69..71 => Command::Cancel(self.cancel()),
            71..78 => Command::Sweep(self.sweep()),
            78..92 => Command::Evaluate(self.evaluate()),
            92..98 if self.dice.one_in(12) => Command::Deregister(self.deregister()),
            92..98 => Command::Register(self.register()),
            98..106 => self.record(),
            106..113 => self.telling(),
            113..128 => self.of_files(),
            128..141 => self.ledger(),
            _ => self.weighing(),
        }
    }

    pub(super) fn now(&self) -> Millis {
        at(self.secs)
    }

    pub(super) fn nonce(&mut self) -> Option<Nonce> {
        let n = i64::from(self.dice.small(200));
        if self.dice.one_in(4) {
            nonce(n).map(|n| Nonce { seen_at: self.now(), ..n })
        } else {
            None
        }
    }

    fn policy(&mut self) -> LeasePolicy {
        LeasePolicy { attempts_max: 1 + self.dice.small(3), ..policy() }
    }

    fn holder(&mut self) -> Holder {
        let n = u128::from(self.dice.small(6));
        if self.dice.one_in(6) { validator(n) } else { miner(n) }
    }

    fn enqueue(&mut self) -> Enqueue {
        self.new += 1;
        let again = self.dice.one_in(12);
        let n = if again { u128::from(self.dice.small(9)) } else { self.new };
        let slots = 1 + self.dice.small(3);
        let mut new = task(n, slots);
        new.enough = 1 + self.dice.small(slots.into());
        new.min_responses = 1 + self.dice.small(slots.into());
        new.created_at = self.now();
        new.deadline = self.now().plus(20_000 + i64::from(self.dice.small(300)) * 1_000);
        let mut sent = None;
        if self.dice.one_in(3) {
            let n = u128::from(self.dice.small(3));
            new.input = TaskInput::File(file_id(n));
            sent = self.dice.one_in(2).then(|| file(n).file);
        }
        if self.dice.one_in(4) {
            new.owner = "bob".to_owned();
        }
        if self.dice.one_in(4) {
            let host = self.dice.small(2);
            new.callback_url = Some(format!("https://receiver{host}.example/{n}"));
        }
        let key = self.dice.small(5).to_string();
        let body_hash = [u8::from(self.dice.one_in(2)); 32];
        let idempotency = self.dice.one_in(3).then_some(Idempotency { key, body_hash });
        let input_units = i64::from(self.dice.small(99));
        Enqueue { task: new, file: sent, input_units, idempotency, nonce: self.nonce() }
    }

    /// Leases for up to three slots of one task, most of them waiting.
    fn assign(&mut self) -> Assign {
        let open: Vec<_> =
            self.tasks.iter().filter(|t| t.state == TaskState::Open).cloned().collect();
        let from = if self.dice.one_in(10) { &self.tasks } else { &open };
        let Some(of) = self.dice.pick(from) else { return assign(0, []) };
        let mut grants = Vec::new();
        for slot in &of.slots {
            if self.dice.one_in(4) {
                continue;
            }
            let attempt = slot.attempt + if self.dice.one_in(8) { self.dice.small(3) } else { 1 };
            let lives = 10_000 + i64::from(self.dice.small(60)) * 1_000;
            grants.push(Grant {
                slot: slot.slot,
                attempt,
                holder: self.holder(),
                fetched: self.dice.one_in(2),
                expires_at: self.now().plus(lives),
            });
        }
        Assign { task: of.task.id, grants, now: self.now() }
    }

    fn widen(&mut self) -> Widen {
        let task = self.dice.pick(&self.tasks).map_or(task_id(0), |of| of.task.id);
        let slots = 1 + self.dice.small(3);
        let to = Replication { slots, enough: 1 + self.dice.small(slots.into()) };
        Widen { task, to, now: self.now() }
    }

    /// Mostly for a lease that lives, on the task's next slot.
    fn hedge(&mut self) -> Hedge {
        let (of, _) = self.lease();
        let task = self.tasks.iter().find(|task| task.task.id == of.task);
        let next = task.map_or(1, |task| u16::try_from(task.slots.len()).unwrap());
        let slot = if self.dice.one_in(9) { self.dice.small(4) } else { next };
        let expires_at = self.now().plus(10_000 + i64::from(self.dice.small(60)) * 1_000);
        let (holder, fetched) = (self.holder(), self.dice.one_in(2));
        Hedge {
            of,
            grant: Grant { slot, attempt: 1, holder, fetched, expires_at },
            now: self.now(),
        }
    }

    /// A lease that lives, or was lost, or was answered; sometimes bent in one point.
    fn lease(&mut self) -> Lease {
        let mut leases: Vec<Lease> = Vec::new();
        for of in &self.tasks {
            for slot in &of.slots {
                let lease = |holder| (of_token(of, slot.slot, slot.attempt), holder);
                let times = if slot.state.leased() { 12 } else { 1 };
                leases.extend(slot.holder.iter().flat_map(|h| vec![lease(*h); times]));
            }
            leases.extend(of.attempts.iter().map(|lost| (lost.token, lost.holder)));
        }
        let (mut token, mut holder) =
            self.dice.pick(&leases).unwrap_or_else(|| (token(1, 0, 1), miner(1)));
        match self.dice.below(20) {
            0 => token.attempt += 1,
            1 => token.attempt = token.attempt.saturating_sub(1),
            2 => token.slot += 1,
            3 => holder = self.holder(),
            _ => {}
        }
        (token, holder)
    }

    fn fetch(&mut self) -> Fetch {
        let offers = self.tasks.iter().flat_map(|of| {
            let offered = of.slots.iter().filter(|slot| slot.state == SlotState::Offered);
            offered.filter_map(|s| Some((of_token(of, s.slot, s.attempt), s.holder?)))
        });
        let offers: Vec<Lease> = offers.collect();
        let picked = if self.dice.one_in(4) { None } else { self.dice.pick(&offers) };
        let (token, holder) = picked.unwrap_or_else(|| self.lease());
        let own = offers.iter().filter(|(_, by)| *by == holder).map(|(token, _)| *token);
        let mut tokens: Vec<_> = own.chain([token]).collect();
        tokens.sort_unstable();
        tokens.dedup();
        fetch(holder, tokens, self.now())
    }

    fn heartbeat(&mut self) -> Heartbeat {
        let (token, holder) = self.lease();
        let until = self.now().plus(i64::from(self.dice.small(60)) * 1_000);
        Heartbeat { nonce: self.nonce(), ..heartbeat(token, holder, until) }
    }

    fn respond(&mut self) -> Respond {
        let (token, holder) = self.lease();
        let word = if self.dice.one_in(3) { "other" } else { "word" };
        Respond { nonce: self.nonce(), ..respond(token, holder, word, self.now()) }
    }

    fn release(&mut self) -> Release {
        let (token, holder) = self.lease();
        let reason = self.dice.pick(LossReason::ALL).unwrap();
        let (policy, nonce) = (self.policy(), self.nonce());
        Release { policy, nonce, now: self.now(), ..release(token, holder, reason) }
    }

    fn cancel(&mut self) -> Cancel {
        let id = self.dice.pick(&self.tasks).map_or(task_id(0), |of| of.task.id);
        let owner = if self.dice.one_in(4) { "bob" } else { "alice" }.to_owned();
        Cancel { task: id, owner, now: self.now() }
    }

    fn sweep(&mut self) -> Sweep {
        let rows_max = [1, 2, 3, 100][usize::from(self.dice.small(4))];
        Sweep { now: self.now(), policy: self.policy(), rows_max }
    }

    fn evaluate(&mut self) -> Evaluate {
        let done: Vec<_> =
            self.tasks.iter().filter(|t| t.state == TaskState::Done).cloned().collect();
        let from = if self.dice.one_in(4) { &self.tasks } else { &done };
        let of = self.dice.pick(from);
        let (id, slots) = of.map_or((task_id(0), vec![]), |of| (of.task.id, of.slots));
        let mut judgements = Vec::new();
        for slot in slots {
            let skip = if slot.state == SlotState::Answered { 5 } else { 1 };
            let skipped = self.dice.one_in(skip) && !self.dice.one_in(9);
            if !skipped {
                let accuracy = share(i64::from(self.dice.small(3)) * 45);
                judgements.push(JudgementRow {
                    slot: slot.slot,
                    accuracy,
                    whole: self.dice.one_in(3),
                });
            }
        }
        Evaluate {
            task: id,
            judgements,
            quorum: 1 + usize::from(self.dice.small(2)),
            nonce: self.nonce(),
            now: self.now(),
            ..evaluate(0, u128::from(self.dice.small(3)), &[])
        }
    }

    /// Four uids, each with two hotkeys that take turns, rarely: as somebody new, or renamed.
    fn register(&mut self) -> Register {
        let n = u128::from(self.dice.small(4));
        let name = if self.dice.one_in(6) { "usurper" } else { "miner" };
        let block = if self.dice.one_in(3) { 10 + i64::from(self.dice.small(2)) } else { 0 };
        // What opens is new; what is known goes on under its id, or opens again.
        self.new += 1;
        let is_first = self.registered.insert(n);
        Register {
            id: registration_id(if is_first { n } else { 1_000 + self.new }),
            hotkey: hotkey(&format!("{name}{n}")),
            registered_block: block,
            coldkey: self.dice.one_in(3).then(|| hotkey("cold")),
            policy: self.policy(),
            now: self.now(),
            ..register(n, self.dice.small(4).into())
        }
    }

    fn deregister(&mut self) -> Deregister {
        let id = registration_id(self.dice.small(4).into());
        Deregister { id, policy: self.policy(), now: self.now() }
    }

    /// Files and voices: few of each, whose keys and names meet.
    fn of_files(&mut self) -> Command {
        let n = u128::from(self.dice.small(5));
        let owner = if self.dice.one_in(3) { "bob" } else { "alice" }.to_owned();
        let idempotency = self.dice.one_in(3).then(|| Idempotency {
            key: self.dice.small(9).to_string(),
            body_hash: [u8::try_from(self.dice.below(2)).unwrap(); 32],
        });
        match self.dice.below(10) {
            0..3 => {
                let mut put = PutFile { nonce: self.nonce(), idempotency, ..file(n) };
                put.file.owner = owner;
                put.file.sha256 = n.to_string().repeat(64);
                put.file.created_at = self.now();
                let stays = i64::from(self.dice.small(200)) * 1_000;
                put.file.expires_at = (!self.dice.one_in(4)).then(|| self.now().plus(stays));
                put.file.task = self.dice.one_in(3).then(|| self.some_task());
                Command::PutFile(put)
            }
            3 | 4 => Command::ForgetFiles(ForgetFiles {
                now: self.now(),
                undated_before: self.now().plus(-100_000),
                done_after: self.now().plus(-100_000),
                again_at: self.now().plus(50_000),
                rows_max: 1 + self.dice.below(3),
            }),
            5 => Command::Unreferenced((0..4).map(|n: u32| n.to_string().repeat(64)).collect()),
            6..9 => {
                // Two ids for each name of each owner.
                let id = n
                    + if owner == "bob" { 5 } else { 0 }
                    + if self.dice.one_in(4) { 10 } else { 0 };
                let mut put = voice(id, &format!("voice{n}"));
                put.voice.owner = owner;
                put.voice.created_at = self.now();
                let sample = u128::from(self.dice.small(5));
                put.voice.sample = self.dice.one_in(2).then(|| file_id(sample));
                put.voice.shared_at = self.dice.one_in(3).then(|| self.now());
                Command::PutVoice(PutVoice { nonce: self.nonce(), idempotency, ..put })
            }
            _ => {
                let id = voice_id(self.dice.below(20).into());
                Command::DeleteVoice(DeleteVoice { id, sample_until: self.now().plus(9_000) })
            }
        }
    }

    fn some_task(&mut self) -> TaskId {
        self.dice.pick(&self.tasks).map_or(task_id(0), |of| of.task.id)
    }

    fn record(&mut self) -> Command {
        let n = u128::from(self.dice.small(4));
        match 2 + self.dice.below(9) {
            2 => Command::Validator(ValidatorRow { uid: self.dice.small(9), ..known_validator(n) }),
            3 | 4 => {
                self.new += 1;
                let mut put = report(self.new, n, self.secs);
                put.report.partial = self.dice.one_in(2);
                put.report.signed_order = self.secs / 10;
                Command::PutReport(PutReport { nonce: self.nonce(), ..put })
            }
            5 => {
                let body = serde_json::json!({ "at": self.secs });
                let uid = MinerUid(self.dice.small(4));
                let round = self.secs;
                let track = TrackRow { validator: validator_id(n), body: body.clone() };
                let told = self.facts();
                let minutes = RoundRow { round, closed_at: self.now(), body: b"minutes".to_vec() };
                Command::CloseRound(CloseRound {
                    verdicts: vec![VerdictRow { uid, round, body }],
                    tracks: vec![track],
                    minutes: self.dice.one_in(2).then_some(minutes),
                    facts: told.facts,
                    netuid: told.netuid,
                    now: told.now,
                })
            }
            6 | 8 => self.keys(),
            7 => {
                let rows = (0..self.dice.small(4)).map(|_| {
                    let kind = format!("kind{}", self.dice.below(2));
                    kind_record(u128::from(self.dice.small(4)), &kind, self.secs)
                });
                let rows = rows.collect();
                let work = (0..self.dice.small(4)).map(|_| self.work()).collect();
                Command::PutKindRecords(PutKindRecords { rows, work })
            }
            9 => Command::Archive(Archive {
                ended_before: self.now().plus(-100_000),
                forget_before: self.now().plus(-400_000),
                rows_max: 1 + self.dice.below(3),
            }),
            _ => {
                let old = self.now().plus(-200_000);
                Command::Prune(Prune {
                    nonces: old,
                    idempotency: old,
                    reports: old,
                    deliveries: old,
                    scores: self.now().plus(-400_000),
                    hours: self.now().plus(-3_600_000),
                    days: old.plus(-DAY),
                })
            }
        }
    }
}

fn of_token(of: &TaskRecord, slot: u16, attempt: u16) -> LeaseToken {
    LeaseToken { task: of.task.id, slot, attempt }
}
