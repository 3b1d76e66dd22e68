//! Who takes part: miners made known, everybody's keys, and what a lease looks like to a miner.

use std::error::Error;
use std::io;
use std::ops::Range;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::server::{Child, VALIDATORS, miner_key, validator_key};
use super::wire::{Answer, Wire};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Validators that report: one more than a verdict needs.
const REPORTERS: u16 = 3;

/// Makes the first miners known, all alike but for their hotkeys.
pub(crate) async fn report(
    server: &Child,
    miners: u16,
    capacity: u32,
) -> Result<(), Box<dyn Error>> {
    report_some(server, 0..miners, capacity).await
}

/// Tells that these miners serve, and no others.
pub(crate) async fn report_some(
    server: &Child,
    miners: Range<u16>,
    capacity: u32,
) -> Result<(), Box<dyn Error>> {
    let statuses: Vec<Value> = miners
        .map(|uid| {
            json!({
                "uid": uid, "hotkey": miner_key(uid).hotkey(), "stake": 500.0, "is_serving": true,
                "performance_score": 0.8, "current_load": 0, "max_capacity": capacity,
            })
        })
        .collect();
    for number in 0..REPORTERS.min(VALIDATORS) {
        let body = json!({
            "validator_uid": 10_000 + number, "epoch": 1, "miner_statuses": statuses,
        })
        .to_string();
        let target = "/api/v1/validators/miner-status";
        let key = validator_key(number);
        let signed = server.sign(&key, "POST", target, body.as_bytes());
        let mut wire = Wire::connect(&server.address, "").await?;
        wire.post(target, "application/json", &signed, body.as_bytes()).await?.ok()?;
    }
    Ok(())
}

/// Header lines with the API key of each.
pub(crate) struct People {
    pub(crate) client: String,
    pub(crate) miners: Vec<String>,
    pub(crate) validators: Vec<String>,
}

impl People {
    /// Makes the keys of a client, of the first miners and of the first validators.
    pub(crate) async fn of(
        server: &Child,
        miners: u16,
        validators: u16,
    ) -> Result<Self, Box<dyn Error>> {
        let mut people =
            Self { client: server.key("client").await?, miners: vec![], validators: vec![] };
        for uid in 0..miners {
            let key = server.key(&format!("miner:{}", miner_key(uid).hotkey())).await?;
            people.miners.push(key);
        }
        for number in 0..validators {
            let key = server.key(&format!("validator:{}", validator_key(number).hotkey())).await?;
            people.validators.push(key);
        }
        Ok(people)
    }
}

impl<'a> Answer<'a> {
    /// The body of an answer that was not refused.
    pub(crate) fn ok(self) -> io::Result<&'a [u8]> {
        match self.status {
            200..300 => Ok(self.body),
            status => {
                let text = String::from_utf8_lossy(self.body);
                Err(io::Error::other(format!("{status}: {text}")))
            }
        }
    }
}

/// A lease, as far as a miner here needs it.
#[derive(serde::Deserialize)]
pub(crate) struct Lease<'a> {
    pub(crate) task_id: &'a str,
    #[serde(borrow)]
    pub(crate) lease: Token<'a>,
    #[serde(borrow)]
    pub(crate) input_text: Option<Text<'a>>,
}

/// Its token.
#[derive(serde::Deserialize)]
pub(crate) struct Token<'a> {
    pub(crate) token: &'a str,
}

/// Its input.
#[derive(serde::Deserialize)]
pub(crate) struct Text<'a> {
    pub(crate) text: &'a str,
}

impl Lease<'_> {
    /// Which task it is: the second word of its text.
    pub(crate) fn number(&self) -> io::Result<usize> {
        let text = self.input_text.as_ref().map_or("", |input| input.text);
        let number = text.split(' ').nth(1).and_then(|number| number.parse().ok());
        number.ok_or_else(|| io::Error::other("a task of somebody else"))
    }

    /// The body that answers it.
    pub(crate) fn answer(&self, uid: u16, data: &str) -> String {
        format!(
            "{{\"task_id\":\"{}\",\"miner_uid\":{uid},\"lease_token\":\"{}\",\
             \"response_data\":{data}}}",
            self.task_id, self.lease.token
        )
    }
}

/// Where a miner answers.
pub(crate) const RESPOND: &str = "/api/v1/miner/response";

/// Where a miner waits for work, a second at most, so that it sees the end of a run.
pub(crate) fn work_of(uid: u16) -> String {
    format!("/api/v1/miners/{uid}/tasks?status=assigned&wait=1")
}

/// Waits for all of a crew; what each of them brought.
pub(crate) async fn joined<T: 'static>(
    mut crew: JoinSet<Result<T, Failure>>,
) -> io::Result<Vec<T>> {
    let mut all = Vec::with_capacity(crew.len());
    while let Some(done) = crew.join_next().await {
        all.push(done.map_err(io::Error::other)?.map_err(io::Error::other)?);
    }
    Ok(all)
}
