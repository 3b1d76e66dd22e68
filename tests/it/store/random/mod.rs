//! Random commands: a pure function of a seed and of how the model stands, so that they hit what is
//! interesting. Few tasks, few miners with little room, stale tokens, answers twice, sweeps at
//! advancing times.

mod audit;
mod chain;
mod keys;
mod ledger;
mod telling;
mod weighing;
mod world;

use pithead::domain::ids::{DeliveryId, MinerUid, WebhookId};
use pithead::domain::task::TaskState;
use pithead::domain::units::Millis;
use pithead::store::model::ModelStore;
use pithead::store::*;

use super::left::walk;
use super::make::*;
use world::World;

/// SplitMix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let n = u64::try_from(of.len()).ok().filter(|n| *n > 0)?;
        of.get(usize::try_from(self.below(n)).ok()?).cloned()
    }

    pub(super) fn small(&mut self, n: u64) -> u16 {
        u16::try_from(self.below(n)).unwrap()
    }
}

macro_rules! commands {
    ($($method:ident($command:ident)),* $(,)?) => {
        /// Any command that writes.
        #[derive(Debug, Clone)]
        #[expect(clippy::large_enum_variant, reason = "a test has a few hundred of them")]
        pub(super) enum Command {
            $($command($command),)*
            Validator(ValidatorRow),
            CloseRound(CloseRound),
            Unreferenced(Vec<String>),
            KnowCallbackSecret(CallbackSecretRow),
            DeleteWebhook(WebhookId),
            Redeliver(DeliveryId, Millis),
        }

        impl Command {
            /// Runs it; the answer as text.
            pub(super) async fn run(&self, store: &dyn Store) -> String {
                match self.clone() {
                    $(Self::$command(command) => told(store.$method(command).await),)*
                    Self::Validator(row) => told(store.know_validator(row).await),
                    Self::CloseRound(command) => told(store.close_round(command).await),
                    Self::Unreferenced(names) => told(store.unreferenced(names).await),
                    Self::KnowCallbackSecret(row) => told(store.know_callback_secret(row).await),
                    Self::DeleteWebhook(id) => told(store.delete_webhook(id).await),
                    Self::Redeliver(id, now) => told(store.redeliver(id, now).await),
                }
            }
        }
    };
}
commands!(
    enqueue(Enqueue),
    assign(Assign),
    widen(Widen),
    hedge(Hedge),
    fetch(Fetch),
    heartbeat(Heartbeat),
    respond(Respond),
    release(Release),
    cancel(Cancel),
    sweep(Sweep),
    evaluate(Evaluate),
    register(Register),
    deregister(Deregister),
    put_report(PutReport),
    put_kind_records(PutKindRecords),
    put_scores(PutScores),
    put_hour(PutHour),
    put_file(PutFile),
    forget_files(ForgetFiles),
    adopt(Adopt),
    put_submission(PutSubmission),
    put_voice(PutVoice),
    delete_voice(DeleteVoice),
    put_key(PutKey),
    change_key(ChangeKey),
    rotate_key(RotateKey),
    revoke_key(RevokeKey),
    put_webhook(PutWebhook),
    spend(Nonce),
    rotate_webhook(RotateWebhook),
    note_delivery(NoteDelivery),
    note(Note),
    prune(Prune),
    archive(Archive),
    put_run(PutRun),
    put_records(PutRecords),
    forget_records(ForgetRecords),
    forget_miners(ForgetMiners),
);

fn told<T: std::fmt::Debug>(answer: StoreResult<T>) -> String {
    format!("{answer:?}")
}

/// The answers of every read, as text.
pub(super) async fn reads(store: &dyn Store) -> Vec<String> {
    let page = |owner: Option<&str>, states| TaskPage {
        owner: owner.map(ToOwned::to_owned),
        states,
        kind: None,
        before: Some(task_id(9)),
        limit: 5,
    };
    let mut text = vec![told(store.load(at(30)).await)];
    text.push(told(store.tasks(page(None, vec![])).await));
    text.push(told(store.tasks(page(Some("alice"), vec![TaskState::Open, TaskState::Done])).await));
    for owner in [None, Some("alice")] {
        text.push(told(store.tasks(page(owner, vec![TaskState::Open])).await));
    }
    for n in 1..=3 {
        // One transaction per command, so that also the order is the same; its numbers are not.
        text.push(format!("{:?}", walk(store, validator_id(n), 2).await));
        let among = (0..12).map(task_id).collect();
        text.push(told(store.left_among(validator_id(n), among).await));
        text.push(told(store.evaluated_by(validator_id(n), 5).await));
        text.push(told(store.file(file_id(n)).await));
        text.push(told(store.voice(voice_id(n)).await));
        text.push(told(store.voices_of_sample(file_id(n)).await));
        for owner in ["alice", "bob"] {
            text.push(told(store.voice_named(owner, &format!("voice{n}")).await));
        }
        for holder in [miner(n), validator(n)] {
            text.push(told(store.file_is_assigned(file_id(1), holder).await));
        }
    }
    let days = UsageDays { owner: None, from: 0, to: 99, limit: 3 };
    text.push(told(store.usage(days).await));
    text.push(told(store.score_hours(ScoreHours { from: 0, to: 999 }).await));
    text.push(told(store.registered((0..3).map(MinerUid).collect()).await));
    text.push(told(store.summed_hour().await));
    text.push(told(store.hour_of_scores(ScoreHours { from: 0, to: 999 }).await));
    text.push(told(store.score_days(i64::MIN, 99).await));
    text.push(told(store.work(0, 99).await));
    let days = ScoreDays { from: 0, to: 99, kind: None };
    text.push(told(store.scores(days).await));
    text.extend(audit::reads(store).await);
    text.extend(ledger::reads(store).await);
    text.extend(chain::reads(store).await);
    for (owner, after, limit) in
        [(None, None, 9), (Some("alice"), None, 2), (Some("bob"), Some(voice_id(1)), 9)]
    {
        let owner = owner.map(ToOwned::to_owned);
        text.push(told(store.voices(VoicePage { owner, after, limit }).await));
    }
    text.extend(weighing::reads(store).await);
    text.push(keys::reads(store).await);
    text.push(told(store.webhooks(None, 10).await));
    text.push(told(store.webhooks(Some("alice".to_owned()), 10).await));
    text.push(told(store.callback_secret("alice").await));
    for n in 0..4 {
        text.push(told(store.webhook(webhook_id(n)).await));
        let page = DeliveryPage { webhook: webhook_id(n), before: None, limit: 5 };
        text.push(told(store.deliveries(page).await));
    }
    for lane in store.lanes("", 100).await.unwrap() {
        text.push(told(store.due(&lane.lane, lane.next_at, 3).await));
        text.push(format!("{lane:?}"));
    }
    for n in 0..12 {
        text.push(told(store.responses(task_id(n)).await));
        text.push(told(store.evaluations(task_id(n)).await));
        text.push(told(store.task(task_id(n)).await));
        text.push(told(store.registration(registration_id(n)).await));
    }
    text
}

/// The first deliveries of every lane.
async fn waiting(model: &ModelStore) -> Vec<DeliveryRow> {
    let mut waiting = Vec::new();
    for lane in model.lanes("", 100).await.unwrap() {
        waiting.extend(model.due(&lane.lane, at(1_000_000), 3).await.unwrap());
    }
    waiting
}

/// Commands and the model's answers to them.
pub(super) async fn sequence(
    seed: u64,
    length: usize,
    model: &ModelStore,
) -> Vec<(Command, String)> {
    let mut world = World {
        dice: Dice(seed),
        secs: 0,
        tasks: vec![],
        deliveries: vec![],
        new: 0,
        registered: Default::default(),
    };
    let mut sequence = Vec::with_capacity(length);
    for _ in 0..length {
        let page = TaskPage { owner: None, states: vec![], kind: None, before: None, limit: 12 };
        world.tasks = model.tasks(page).await.unwrap();
        world.deliveries = waiting(model).await;
        let command = world.command();
        let answer = command.run(model).await;
        sequence.push((command, answer));
    }
    sequence
}
