//! Requests that are malformed or tampered with, of many sorts: none may be accepted, and none may do
//! harm.

use std::error::Error;
use std::fmt;
use std::net::Ipv4Addr;

use super::super::server::{miner_key, validator_key};
use super::super::wire::Wire;
use super::Siege;

const REQUESTS: usize = 10_000;
/// They come from so many addresses, so that none is refused for their number alone.
const ADDRESSES: usize = 100;
const SORTS: usize = 16;
const TARGET: &str = "/api/v1/tts";
const BODY: &str = "{\"text\":\"a sentence that somebody else signed\",\"redundancy\":1}";

/// What came of them.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    refused: usize,
    pub(super) accepted: usize,
    pub(super) faults: usize,
    /// Well-formed ones without an answer.
    pub(super) unanswered: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refused, accepted, faults, unanswered } = self;
        write!(f, "{refused} refused, {accepted} accepted, {faults} 5xx, {unanswered} unanswered")
    }
}

/// The bytes of a request of this sort, and whether it is well-formed HTTP.
fn bytes(siege: &Siege, sort: usize, number: usize) -> (Vec<u8>, bool) {
    let server = &siege.server;
    let signer = validator_key(1);
    let good = server.sign(&signer, "POST", TARGET, BODY.as_bytes());
    let line = |name: &str, value: &str| -> String {
        let replaced = good.lines().map(|line| {
            let found = line.split(':').next().is_some_and(|n| n.eq_ignore_ascii_case(name));
            if found { format!("{name}: {value}\r\n") } else { format!("{line}\r\n") }
        });
        replaced.collect()
    };
    let key = &siege.people.client;
    let (mut method, mut target, mut body) = ("POST", TARGET.to_owned(), BODY.to_owned());
    let old = (u64::try_from(number).unwrap_or_default() + 1_000_000_000_000_000_000).to_string();
    let proof = match sort {
        0 => {
            body = body.replace("somebody", "nobody! ");
            good
        }
        1 => {
            target.push_str("?a=1");
            good
        }
        2 => {
            method = "PUT";
            good
        }
        3 => line("X-Bittensor-Nonce", &old),
        4 => line("X-Bittensor-Nonce", "4000000000000000000"),
        5 => line("X-Bittensor-Receiver", signer.hotkey().as_str()),
        6 => line("X-Bittensor-Hotkey", miner_key(0).hotkey().as_str()),
        7 => line("X-Bittensor-Signature", &format!("0x{}", "00".repeat(64))),
        8 => format!("{good}X-Bittensor-Nonce: {old}\r\n"),
        9 => line("X-Bittensor-Version", "9"),
        10 => String::new(),
        11 => "x-api-key: pit_AAAAAAAAAAA_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\r\n".to_owned(),
        12 => format!("{key}{}", key.replace("pit_", "pit-")),
        13 => {
            body.truncate(number % BODY.len());
            key.clone()
        }
        14 => {
            let double = "content-length: 5\r\ntransfer-encoding: chunked\r\n";
            let raw = format!("POST {TARGET} HTTP/1.1\r\nhost: x\r\n{key}{double}\r\n0\r\n\r\n");
            return (raw.into_bytes(), false);
        }
        _ => {
            let noise = (0..200).map(|at| (number * 31 + at * 97) as u8);
            return (b"POST ".iter().copied().chain(noise).chain(*b"\r\n\r\n").collect(), false);
        }
    };
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\n{proof}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    (head.into_bytes(), true)
}

pub(super) async fn measure(siege: &Siege) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = Outcome::default();
    for number in 0..REQUESTS {
        let source = Ipv4Addr::new(127, 0, 1, u8::try_from(1 + number % ADDRESSES)?);
        let (bytes, well_formed) = bytes(siege, number % SORTS, number);
        let mut wire = Wire::connect_from(source, &siege.server.address, "").await?;
        match wire.raw(&bytes).await.map(|answer| answer.status) {
            Ok(200..400) => outcome.accepted += 1,
            Ok(500..) => outcome.faults += 1,
            Ok(_) => outcome.refused += 1,
            Err(_) if well_formed => outcome.unanswered += 1,
            Err(_) => outcome.refused += 1,
        }
    }
    Ok(outcome)
}
