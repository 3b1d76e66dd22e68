//! What `POST /v1/audio/transcriptions` adds to the miner's own time: the upload, the task, the way
//! to the miner and back, each step durable. One client asks, one call after the other; the miner
//! writes into its transcript how long it took itself.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use super::Args;
use super::figures::{Spread, nanos};
use super::people::{Failure, Lease, People, RESPOND, joined, report, work_of};
use super::server::Child;
use super::wire::Wire;

const CALLS: usize = 500;
/// Calls before those, to warm up.
const FIRST: usize = 50;
const CAPACITY: u32 = 5;
/// What a miner takes for its work, at least.
const WORK: Duration = Duration::from_millis(50);
/// By how much miners differ where they do.
const DIFFERENCE_MILLIS: u64 = 50;
/// Bytes of the sound: a second of 8-bit speech.
const SOUND_BYTES: usize = 8_000;

pub(crate) async fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let server = Child::start(args).await?;
    report(&server, args.miners, CAPACITY).await?;
    let people = People::of(&server, args.miners, 0).await?;
    let state = Arc::new(State::default());
    let mut miners: JoinSet<Result<(), Failure>> = JoinSet::new();
    for (uid, key) in (0_u16..).zip(&people.miners) {
        let wire = Wire::connect(&server.address, key).await?;
        miners.spawn(mine(state.clone(), wire, uid));
    }
    let mut wire = Wire::connect(&server.address, &people.client).await?;
    let (whole, added) = calls(&mut wire).await?;
    state.differ.store(true, Ordering::Relaxed);
    let (_, differing) = calls(&mut wire).await?;
    state.over.store(true, Ordering::Relaxed);
    joined(miners).await?;
    println!("\ncalls                           {CALLS}, miners work for {} ms", WORK.as_millis());
    println!("                                     p50      p95      p99");
    whole.print("call to answer");
    added.print("beyond the miner's own time");
    differing.print("the same, up to 50 ms apart");
    if args.json {
        let told = serde_json::json!({
            "call_ms": whole.json(),
            "overhead_ms": added.json(),
            "overhead_apart_ms": differing.json(),
        });
        println!("{told}");
    }
    Ok(())
}

/// What the miners are told.
#[derive(Default)]
struct State {
    over: AtomicBool,
    /// Whether they take differently long, as those of a network do. When all of a task take equally
    /// long, the answers that come too late are refused while the client gets the first one.
    differ: AtomicBool,
}

/// One call after the other: from call to answer, and what of it is not the miner's.
async fn calls(wire: &mut Wire) -> Result<(Spread, Spread), Box<dyn Error>> {
    let (mut whole, mut added) = (Vec::new(), Vec::new());
    let body = upload();
    for call in 0..FIRST + CALLS {
        let began = Instant::now();
        let kind = "multipart/form-data; boundary=load";
        let answer = wire.post("/v1/audio/transcriptions", kind, "", &body).await?.ok()?;
        let took = nanos(began.elapsed());
        let answer: Value = serde_json::from_slice(answer)?;
        let own: u64 = answer["text"].as_str().ok_or("no text")?.parse()?;
        if call >= FIRST {
            whole.push(took);
            added.push(took.saturating_sub(own));
        }
        // The slower miners of this call are told that it is over.
        tokio::time::sleep(WORK + WORK / 5).await;
    }
    Ok((Spread::of(whole), Spread::of(added)))
}

/// Answers with the nanoseconds that it took itself.
async fn mine(state: Arc<State>, mut wire: Wire, uid: u16) -> Result<(), Failure> {
    let target = work_of(uid);
    while !state.over.load(Ordering::Relaxed) {
        let body = wire.get(&target).await?.ok()?.to_vec();
        let came = Instant::now();
        for lease in serde_json::from_slice::<Vec<Lease<'_>>>(&body)? {
            let mut work = WORK;
            if state.differ.load(Ordering::Relaxed) {
                work += Duration::from_millis(rand::random_range(0..DIFFERENCE_MILLIS));
            }
            tokio::time::sleep(work.saturating_sub(came.elapsed())).await;
            let data = format!("{{\"transcript\":\"{}\"}}", came.elapsed().as_nanos());
            let body = lease.answer(uid, &data);
            let answer = wire.post(RESPOND, "application/json", "", body.as_bytes()).await?;
            // The first answer is the result; the leases of the others end with it.
            if answer.status != 410 {
                answer.ok()?;
            }
        }
    }
    Ok(())
}

/// A small sound file with the fields that OpenAI's clients send.
fn upload() -> Vec<u8> {
    let mut sound = b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0".to_vec();
    sound.resize(sound.len() + SOUND_BYTES, 0x80);
    let mut body = b"--load\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
        --load\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
        content-type: audio/wav\r\n\r\n"
        .to_vec();
    body.extend(sound);
    body.extend(b"\r\n--load--\r\n");
    body
}
