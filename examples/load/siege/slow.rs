//! Connections that hardly move: a third sends headers, a third a body, and a third reads a download,
//! each a byte a second. Whoever is cut comes again.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::super::people::Failure;
use super::super::wire::{Wire, stream_from};
use super::{ATTACKER, Attack, Siege};

const CONNECTIONS: usize = 1_000;
/// More than the buffers of both ends hold.
const FILE_BYTES: usize = 16 * 1024 * 1024;
const RECEIVES: u32 = 4_096;

/// What they send at once, before they get slow.
pub(super) struct Slow {
    heads: [String; 3],
    made: Arc<AtomicUsize>,
}

impl Slow {
    pub(super) async fn of(siege: &Siege) -> Result<Self, Box<dyn Error>> {
        let key = siege.server.key("client").await?;
        let mut wire = Wire::connect_from(ATTACKER, &siege.server.address, &key).await?;
        let mut body =
            b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
            content-type: audio/wav\r\n\r\nRIFF\0\0\0\0WAVEfmt "
                .to_vec();
        body.resize(FILE_BYTES, 7);
        body.extend(b"\r\n--b--\r\n");
        let answer =
            wire.post("/api/v1/files", "multipart/form-data; boundary=b", "", &body).await?;
        let made: Value = serde_json::from_slice(answer.ok()?)?;
        let url = made["url"].as_str().ok_or("no file was made")?;
        let heads = [
            "GET /api/v1/tasks HTTP/1.1\r\nhost: x\r\nx-a: ".to_owned(),
            format!("POST /api/v1/tts HTTP/1.1\r\nhost: x\r\n{key}content-length: 5000\r\n\r\n"),
            format!("GET {url} HTTP/1.1\r\nhost: x\r\n{key}\r\n"),
        ];
        Ok(Self { heads, made: Arc::default() })
    }

    /// Connections made, over all rounds.
    pub(super) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }
}

impl Attack for Slow {
    async fn begin(
        &self,
        siege: &Siege,
        stop: &Arc<AtomicBool>,
    ) -> Result<JoinSet<Result<(), Failure>>, Box<dyn Error>> {
        let mut crew = JoinSet::new();
        for place in 0..CONNECTIONS {
            let sort = place % self.heads.len();
            let (head, made) = (self.heads[sort].clone(), self.made.clone());
            let (address, stop) = (siege.server.address.clone(), stop.clone());
            crew.spawn(async move {
                // They do not move all in the same moment.
                tokio::time::sleep(Duration::from_millis(place as u64)).await;
                while !stop.load(Ordering::Relaxed) {
                    made.fetch_add(1, Ordering::Relaxed);
                    // Being cut is what is to be expected.
                    creep(&stop, &address, &head, sort == 2).await.ok();
                }
                Ok(())
            });
        }
        // All of them are there before good traffic is timed.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(crew)
    }
}

/// One connection, until it is cut.
async fn creep(stop: &AtomicBool, address: &str, head: &str, reads: bool) -> std::io::Result<()> {
    let mut stream = stream_from(ATTACKER, address, Some(RECEIVES)).await?;
    stream.write_all(head.as_bytes()).await?;
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if reads {
            stream.read_u8().await?;
        } else {
            stream.write_all(b"x").await?;
        }
    }
    Ok(())
}
