//! Signed requests that are sent again and again, at once and over several connections: the first of
//! each counts, and nothing else.

use std::error::Error;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::super::Args;
use super::super::people::{Failure, joined};
use super::super::rows::Rows;
use super::super::server::validator_key;
use super::super::wire::Wire;
use super::Siege;

/// Originals: reads, submits and uploads in turn.
const ORIGINALS: usize = 20;
/// How often each is sent after the first time.
const REPLAYS: usize = 50;
const LINES: usize = 16;

/// What came of them.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Replays sent.
    pub(super) sent: usize,
    /// Answers of the 2xx class beyond one of each original.
    pub(super) answers: usize,
    /// Rows of tasks and files beyond one of each that makes one.
    pub(super) rows: i64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, answers, rows } = self;
        write!(f, "{sent} sent: {answers} second answers, {rows} second rows")
    }
}

/// The bytes of one original.
fn original(siege: &Siege, number: usize) -> Vec<u8> {
    let json = "application/json";
    let submit = format!("{{\"text\":\"sentence {number} of a replay\",\"redundancy\":1}}");
    let upload = format!(
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
         content-type: text/plain\r\n\r\nfile {number} of a replay\r\n--b--\r\n"
    );
    let (method, target, content_type, body) = match number % 3 {
        0 => ("GET", "/api/v1/tasks?limit=1", json, String::new()),
        1 => ("POST", "/api/v1/tts", json, submit),
        _ => ("POST", "/api/v1/files", "multipart/form-data; boundary=b", upload),
    };
    let proof = siege.server.sign(&validator_key(2), method, target, body.as_bytes());
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\n{proof}content-type: {content_type}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

async fn count(siege: &Siege, args: &Args) -> Result<i64, Box<dyn Error>> {
    let rows = Rows::open(&siege.server.database(args)).await?;
    let tasks = rows.number("SELECT COUNT(*) FROM task").await?;
    let files = rows.number("SELECT COUNT(*) FROM file").await?;
    rows.close().await?;
    Ok(tasks + files)
}

pub(super) async fn measure(siege: &Siege, args: &Args) -> Result<Outcome, Box<dyn Error>> {
    let before = count(siege, args).await?;
    let mut outcome = Outcome::default();
    for number in 0..ORIGINALS {
        let bytes: Arc<[u8]> = original(siege, number).into();
        let together = Arc::new(Barrier::new(LINES));
        let mut crew: JoinSet<Result<usize, Failure>> = JoinSet::new();
        // Each from an address of its own, so that none is refused for their number alone.
        let source = Ipv4Addr::new(127, 0, 2, u8::try_from(1 + number)?);
        for line in 0..LINES {
            let mut wire = Wire::connect_from(source, &siege.server.address, "").await?;
            let (bytes, together) = (bytes.clone(), together.clone());
            // Of all that are sent, one is no replay.
            let times = (1 + REPLAYS) / LINES + usize::from(line < (1 + REPLAYS) % LINES);
            crew.spawn(async move {
                together.wait().await;
                let mut taken = 0;
                for _ in 0..times {
                    taken += usize::from((200..300).contains(&wire.raw(&bytes).await?.status));
                }
                Ok(taken)
            });
        }
        let taken: usize = joined(crew).await?.into_iter().sum();
        if taken == 0 {
            return Err(format!("original {number} was refused too").into());
        }
        outcome.sent += REPLAYS;
        outcome.answers += taken - 1;
    }
    let wrote = (0..ORIGINALS).filter(|number| number % 3 > 0).count();
    outcome.rows = count(siege, args).await? - before - i64::try_from(wrote)?;
    Ok(outcome)
}
