//! The Python of the README, taken from there and run: a validator reports, a client asks, a miner
//! answers, the validator judges.

use serde_json::Value;
use tokio::process::Command;

use super::{MINER_UID, Stage, VALIDATOR_UID, said};

/// Lines that a program of the README may have.
const LINES_MAX: usize = 30;

/// The program whose first line is `# name`.
pub(super) fn program(name: &str) -> String {
    let readme = include_str!("../../../README.md");
    let marker = format!("```python\n# {name}\n");
    let begin = readme.find(&marker).unwrap_or_else(|| panic!("the README has no `{name}`"));
    let code = &readme[begin + "```python\n".len()..];
    code[..code.find("```").unwrap()].to_owned()
}

#[test]
fn the_readmes_python_is_short() {
    for name in ["validator.py", "miner.py", "client.py", "receiver.py"] {
        let lines = program(name).lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
    }
}

pub(super) fn run(stage: &Stage, name: &str) -> Command {
    let mut command = stage.python();
    command.arg("-c").arg(program(name)).env("ROUNDS", "1");
    command
}

fn validator(stage: &Stage) -> Command {
    let mut command = run(stage, "validator.py");
    let miners = format!("{{\"{MINER_UID}\": \"{}\"}}", stage.address("miner"));
    command.env("WALLET", "pithead/validator").env("MINERS", miners);
    command.env("VALIDATOR_UID", VALIDATOR_UID.to_string());
    command
}

#[tokio::test]
async fn the_readmes_python_does_a_whole_task() {
    let Some(stage) = Stage::set().await else { return };
    said(validator(&stage)).await;
    let mut miner = run(&stage, "miner.py");
    miner.env("WALLET", "pithead/miner").env("MINER_UID", MINER_UID.to_string());
    let (mined, answer) = tokio::join!(said(miner), said(run(&stage, "client.py")));
    assert!(mined.contains("done"), "the miner says: {mined}");
    assert!(answer.contains("summary"), "the client says: {answer}");
    let judged = said(validator(&stage)).await;
    assert!(judged.contains("approved"), "the validator says: {judged}");
    let tasks = reqwest::Client::new()
        .get(stage.server.url() + "/api/v1/tasks")
        .header("x-api-key", &stage.client_key)
        .send();
    let tasks: Value = tasks.await.unwrap().json().await.unwrap();
    assert_eq!(tasks["count"], 1, "{tasks}");
    assert_eq!(tasks["tasks"][0]["status"], "approved", "{tasks}");
    stage.server.stop().await;
}
