//! The real program under load, killed with -9 at random moments and started again on the same
//! data: what it acknowledged to anybody must still be so, once, and every task must end in time.
//!
//! `PITHEAD_KILLS=100` kills so often on SQLite and a fifth as often on PostgreSQL;
//! `PITHEAD_KILL_SEED` repeats the moments and the crowd's choices (not the machine's timing).
//!
//! # Each guard removed, one at a time, on SQLite
//!
//! Caught here: `attempt`, `holder` and `state` of an answer (`kill::rogue::lie`, `kill::rogue::race`),
//! `state = 'queued'` of a grant, `state = 'open'` of a cancel, and the uniqueness of idempotency keys.
//! `live + n <= capacity` is the second of two: the Distributor reserves in memory first. With the
//! memory's guard gone the row's holds alone; with both gone `kill::check::room` finds the miners.
//!
//! What a miner says of its lease goes through its actor, which knows its tokens; so these are seen by
//! the suite of the store. Here the run passed without them, or did not end in time to tell:
//!
//! * grant: `attempt` `store::lease::a_slot_is_leased_at_its_next_attempt_only`; capacity
//!   `store::lease::room_goes_out_by_rank`; open registration
//!   `store::lease::a_closed_registration_gets_no_lease`
//! * fetch: `store::lease::another_attempt_is_not_fetched`, `store::lease::only_the_holder_fetches`,
//!   `store::lease::an_offer_is_fetched_once`
//! * heartbeat: `attempt` `store::fences::the_same_miner_again_does_not_complete_its_stale_attempt`;
//!   holder and state `store::lease::a_lost_lease_has_no_heartbeat`; only later
//!   `store::lease::a_heartbeat_never_shortens_a_lease`
//! * release: holder and state `store::end::only_the_holder_gives_back`
//! * superseding live slots only: `store::end::cancel_keeps_what_was_answered`
//! * judging done tasks only: `store::evaluate::only_done_tasks_are_judged`
//!
//! These should change nothing, as another predicate of the same transaction says the same. That is
//! argued from the statements; not every one of them was tried: `attempt` in
//! the look before a release (its rows are found again by token), `attempt` and `state` of `LOSE`
//! (after that look), `state` in the sweep's look (only leases expire), `state = 'open'` in `SETTLE`
//! (leases live on open tasks only), `state = 'done'` of an approval (read just before), the outer
//! `state` of `END_LATE` (the inner one).

mod check;
mod crowd;
mod rogue;
mod server;
mod site;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pithead::identity::Keypair;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::postgres;
use crowd::Person;
use server::{Place, Server};
use site::{Ask, Credentials, Site, now_millis};

const CLIENTS: u16 = 4;
const MINERS: u16 = 6;
/// Leases that a miner may hold: together far fewer than the clients want.
const CAPACITY: usize = 3;
const VALIDATORS: u16 = 3;
/// Uid of the first validator.
const FIRST_VALIDATOR: u16 = 100;
const SWEEP_MILLIS: i64 = 250;
/// From the deadline to the row on a machine that does other things too.
const SLACK_MILLIS: i64 = 2_000;

/// Leases and sweeps are short, so that all of them happen between two kills.
const CONFIG: &str = r#"
sweep_millis = 250
[auth]
hotkey_api_keys = true
[limits]
reports_per_minute = 1000000
[lease]
offer_millis = 700
heartbeat_millis = 700
attempts_max = 3
backoff_millis = 50
backoff_millis_max = 400
[evaluation]
quorum = 2
[[kinds]]
name = "summarization"
input = "text"
output_keys = ["summary"]
text_chars_min = 1
text_chars_max = 1000
languages = ["en"]
run_secs = 1
[[kinds]]
name = "transcription"
input = "audio"
output_keys = ["transcript"]
file_bytes_max = 100000
languages = ["en"]
run_secs = 1
"#;

fn miner_key(uid: u16) -> Keypair {
    Keypair::from_label(&format!("kill/miner/{uid}"))
}

fn validator_key(number: u16) -> Keypair {
    Keypair::from_label(&format!("kill/validator/{number}"))
}

fn write_config(place: &Place) {
    let mut text = CONFIG.to_owned();
    for number in 0..VALIDATORS {
        let (hotkey, uid) = (validator_key(number).hotkey().clone(), FIRST_VALIDATOR + number);
        text += &format!(
            "[[auth.hotkeys]]\nhotkey = \"{hotkey}\"\nrole = \"validator\"\nuid = {uid}\n\
             stake = 1000.0\n"
        );
    }
    std::fs::write(server::config(&place.folder), text).unwrap();
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("`{name}={text}`")))
}

/// One run.
struct Run {
    place: Place,
    site: Arc<Site>,
    seed: u64,
    rng: StdRng,
    /// When the server was away, Unix ms.
    away: Vec<(i64, i64)>,
}

impl Run {
    async fn key(&self, admin: &Credentials, scope: &str) -> Credentials {
        let body = json!({ "scopes": scope });
        let made = self.site.ask(admin, &Ask::post("key", "/api/v1/admin/keys", &body)).await;
        let (_, answer, _) = made.unwrap();
        Credentials::Key(answer["key"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned())
    }

    fn person(&self, who: Credentials, name: &str, uid: u16) -> Person {
        Person::new(&self.site, who, name.to_owned(), uid, self.seed)
    }

    /// Everybody begins: the clients, and the others. Half of the miners and validators sign, the others have API keys.
    async fn people(&self, admin: &Credentials) -> (JoinSet<()>, JoinSet<()>) {
        let (mut clients, mut crew) = (JoinSet::new(), JoinSet::new());
        let statuses: Vec<Value> = (0..MINERS)
            .map(|uid| {
                json!({
                    "uid": uid, "hotkey": miner_key(uid).hotkey(), "stake": 100.0,
                    "is_serving": true, "performance_score": 0.8, "current_load": 0,
                    "max_capacity": CAPACITY,
                    "task_type_specialization": ["transcription", "summarization"],
                })
            })
            .collect();
        let mut validators = Vec::new();
        for number in 0..VALIDATORS {
            let keypair = validator_key(number);
            let hotkey = keypair.hotkey().to_string();
            let who = match number % 2 {
                0 => Credentials::Signs(Box::new(keypair)),
                _ => self.key(admin, &format!("validator:{hotkey}")).await,
            };
            let me = self.person(who, "validator", FIRST_VALIDATOR + number);
            crowd::report(&me, &statuses, 0).await;
            validators.push((me, hotkey));
        }
        for (me, hotkey) in validators {
            crew.spawn(crowd::validator(me, statuses.clone(), hotkey));
        }
        for uid in 0..MINERS {
            // Two connections each.
            for name in ["miner a", "miner b"] {
                let keypair = miner_key(uid);
                let who = match uid % 2 {
                    0 => self.key(admin, &format!("miner:{}", keypair.hotkey())).await,
                    _ => Credentials::Signs(Box::new(keypair)),
                };
                crew.spawn(crowd::miner(self.person(who, name, uid)));
            }
        }
        for number in 0..CLIENTS {
            let who = self.key(admin, "client").await;
            clients.spawn(crowd::client(self.person(who, &format!("client {number}"), number)));
        }
        (clients, crew)
    }

    async fn pause(&mut self, millis: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(millis))).await;
    }

    /// Kills the server at some moment; now and then its successor while that starts, too.
    async fn kill(&mut self, server: Server) -> Server {
        self.pause(200..1_800).await;
        let gone = now_millis();
        server.kill().await;
        if self.rng.random_range(0..4) == 0 {
            let after = Duration::from_millis(self.rng.random_range(0..150));
            self.place.start_and_kill(after).await;
        }
        let server = self.place.start().await;
        self.site.moved(&server.url);
        self.site.meet().await;
        self.away.push((gone, now_millis()));
        server
    }

    /// Waits until nothing is open, and all that is done was judged.
    async fn drain(&self, admin: &Credentials) {
        let validator = Credentials::Signs(Box::new(validator_key(0)));
        let limit = now_millis() + 40_000;
        loop {
            // One number: a task that goes back into the queue cannot slip through.
            let queue = Ask::get("drain", "/api/v1/validator/integration");
            let (_, queue, _) = self.site.ask(&validator, &queue).await.unwrap();
            let done = Ask::get("drain", "/api/v1/tasks?limit=1&status=done");
            let (_, done, _) = self.site.ask(admin, &done).await.unwrap();
            let open = &queue["queue_statistics"]["open_tasks"];
            if *open == 0 && done["count"] == 0 {
                return;
            }
            assert!(now_millis() < limit, "open: {open}, not judged: {done}; {}", self.told());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn told(&self) -> String {
        self.site.ledger(|ledger| {
            let told: Vec<_> = ledger
                .told
                .iter()
                .map(|((what, status), n)| format!("{what} {status}: {n}"))
                .collect();
            format!("seed {}; {}", self.seed, told.join(", "))
        })
    }
}

/// See the module's docs.
async fn survives(database: Option<String>, kills: u64) {
    let folder = tempfile::tempdir().unwrap();
    let seed = from_env("PITHEAD_KILL_SEED").unwrap_or_else(rand::random);
    println!("PITHEAD_KILL_SEED={seed}");
    let place = Place { folder: folder.path().to_owned(), database };
    write_config(&place);
    let site = Arc::new(Site::new());
    let mut run = Run { place, site, seed, rng: StdRng::seed_from_u64(seed), away: Vec::new() };
    let mut server = run.place.start().await;
    run.site.moved(&server.url);
    run.site.meet().await;
    let admin = Credentials::Key(server.admin_key.clone().unwrap());
    let (mut clients, mut crew) = run.people(&admin).await;
    for _ in 0..kills {
        server = run.kill(server).await;
    }
    run.site.closing.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    run.drain(&admin).await;
    run.site.over.store(true, Ordering::Relaxed);
    while let Some(ended) = crew.join_next().await {
        ended.unwrap();
    }
    // Not even the last one may say goodbye.
    server.kill().await;
    check::all(&run, kills).await;
}

#[tokio::test]
async fn what_was_acknowledged_outlives_kills_under_load_on_sqlite() {
    survives(None, from_env("PITHEAD_KILLS").unwrap_or(8)).await;
}

#[tokio::test]
async fn what_was_acknowledged_outlives_kills_under_load_on_postgres() {
    let Some(url) = postgres::database().await else { return };
    let kills = from_env("PITHEAD_KILLS").map_or(3, |kills| kills.div_ceil(5));
    survives(Some(url), kills).await;
}
