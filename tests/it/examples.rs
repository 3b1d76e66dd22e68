//! The examples, run as a developer runs them. `cargo test` builds them beside the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pithead::app::Server;
use pithead::config::{Config, Role, RoleEntry};
use pithead::identity::Keypair;
use serde_json::{Value, json};

fn example(name: &str) -> Command {
    let program: PathBuf = Path::new(env!("CARGO_BIN_EXE_pithead")).into();
    Command::new(program.with_file_name("examples").join(name))
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?} failed: {output:?}");
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn quickstart_ends_with_everything_done_and_approved() {
    let said = text(&run(&mut example("quickstart")));
    assert!(said.contains("12 tasks submitted, 12 done, 12 approved, 0 failed"), "{said}");
}

#[test]
fn fleet_with_liars_ends_with_published_numbers_near_the_truth() {
    let args =
        "--miners 6 --validators 7 --liars 2 --clients 2 --tasks 20 --service-millis 20 --json";
    let said = text(&run(example("fleet").args(args.split(' '))));
    let report: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(report["done"], json!(20), "{said}");
    let worst = report["published_error"]["max"].as_f64().unwrap();
    assert!(worst < 0.2, "{said}");
}

#[test]
fn epoch_ends_with_everybody_paid_and_nobody_with_what_another_one_earned() {
    let said = text(&run(example("epoch").args(["--tempos", "6", "--json"])));
    let told: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&told["miners"], &told["miners_paid"]), (&json!(12), &json!(12)), "{said}");
    for sum in ["weight_sum", "incentive_sum"] {
        assert!((told[sum].as_f64().unwrap() - 1.0).abs() < 1e-3, "{sum}: {said}");
    }
    // By three validators at each of two and three kinds: of all tempos, and since the fifth.
    assert_eq!(told["hotkey_of_renamed"], told["renamed"], "{said}");
    let scores = |name: &str| told[name].as_i64().unwrap();
    assert_eq!((scores("scores_of_renamed") % 6, scores("scores_of_newcomer") % 9), (0, 0));
    assert!(scores("scores_of_renamed") / 6 >= 15, "{said}");
    assert!((1..=6).contains(&(scores("scores_of_newcomer") / 9)), "{said}");
    assert!(said.contains("10. Incentive: 0.00"), "{said}");
}

#[test]
fn disagreement_stays_within_its_figures() {
    let said = text(&run(example("disagreement").args(["--quick", "--json"])));
    let figures: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let figure = |name: &str| figures[name].as_f64().unwrap();
    for (name, most) in [
        ("honest_ratio", 1.05),
        ("error_ratio_33", 1.6),
        ("error_ratio_45", 2.0),
        ("error_ratio_60_observed", 2.0),
        ("liar_weight_after_5", 0.1),
        ("honest_quarantined", 0.001),
    ] {
        assert!(figure(name) <= most, "{name}: {said}");
    }
    assert!(figure("is_serving_right_40") >= 0.99, "{said}");
    assert!(figure("epoch_merge_domain_ms") > 0.0, "{said}");
    assert!(figure("epoch_merge_ms") > 0.0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn miner_and_validator_serve_a_task_to_its_approval() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let miner = Keypair::from_label("example miner");
    miner.save(&at("miner")).unwrap();
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".to_owned();
    config.data_dir = at("data");
    for uid in [1, 2] {
        let keypair = Keypair::from_label(&format!("example validator {uid}"));
        keypair.save(&at(&format!("validator{uid}"))).unwrap();
        let hotkey = keypair.hotkey().to_string();
        config.auth.hotkeys.push(RoleEntry { hotkey, role: Role::Validator, uid, stake: 5.0 });
    }
    let server = Server::start(config).await.unwrap();
    let (url, key) = (server.url(), server.admin_key().unwrap().to_owned());
    let period = |uid: u16| {
        let mut command = example("validator");
        command.args(["--url", &url, "--uid", &uid.to_string(), "--hotkey"]);
        command.arg(at(&format!("validator{uid}")));
        command.args(["--miner", &format!("7={}", miner.hotkey()), "--period-secs", "1"]);
        command.args(["--periods", "1"]);
        command
    };
    let http = reqwest::Client::new();
    let ask = |path: String| {
        let request = http.get(format!("{url}{path}")).bearer_auth(&key);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    for uid in [1, 2] {
        run_apart(period(uid)).await;
    }
    let submit = json!({ "text": "word ".repeat(30), "redundancy": 1 });
    let task = http.post(format!("{url}/api/v1/summarization")).bearer_auth(&key).json(&submit);
    let task: Value = task.send().await.unwrap().json().await.unwrap();
    let id = task["task_id"].as_str().unwrap().to_owned();

    let mut mine = example("miner");
    mine.args(["--url", &url, "--uid", "7", "--tasks", "1", "--hotkey"]).arg(at("miner"));
    run_apart(mine).await;
    assert_eq!(ask(format!("/api/v1/tasks/{id}")).await["status"], "done");
    run_apart(period(1)).await;
    assert_eq!(ask(format!("/api/v1/tasks/{id}")).await["status"], "approved");
    server.stop().await;
}

/// Runs a program without holding up the server in this process.
async fn run_apart(mut command: Command) {
    tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
}
