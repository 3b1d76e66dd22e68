//! Checks against bytes and signatures that the Bittensor SDK 11.3.0 (`bittensor.http_auth`) made.

use super::*;

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
const NONCE: u64 = 1_752_076_800_000_000_000;

/// A request and the signature that the SDK gave it, always with [`NONCE`].
struct Recorded {
    method: &'static str,
    target: &'static str,
    body: &'static [u8],
    sender: &'static str,
    receiver: &'static str,
    signature: &'static str,
}

const RECORDED: [Recorded; 3] = [
    Recorded {
        method: "POST",
        target: "/generate?stream=false",
        body: br#"{"prompt": "hello"}"#,
        sender: ALICE,
        receiver: BOB,
        signature: "0x6e5551bffb5030b9102072be2c42ef5f276a65db9fee39b6ade01e3356742009754dfda352863543c4367c19697b01386de03ccb10d05c2e07bb2e4b545ba980",
    },
    Recorded {
        method: "GET",
        target: "/api/v1/miners/7/tasks?status=assigned&wait=30",
        body: b"",
        sender: BOB,
        receiver: ALICE,
        signature: "0xb67f03a630fd39364e98e25719b51ba91eec655c1656b0c35e1c21bfb13b911bca57a09ea73e6012ad13690bb76adde896da87c71f4dbe41a33d77b0c4e5908c",
    },
    Recorded {
        method: "POST",
        target: "/api/v1/validators/miner-status",
        body: b"validator_uid=48&miner_statuses=%5B%5D&epoch=100",
        sender: ALICE,
        receiver: BOB,
        signature: "0x3c30648092a0e7cb13747730fecbf0f69018c1d8dce1980a3178cdfb58b56d3cb6c9a35df95de290996016bcddab71c16b51b67b737a7788cf18252739c67984",
    },
];

type Headers = Vec<(&'static str, String)>;

fn headers(recorded: &Recorded) -> Headers {
    vec![
        (HEADER_VERSION, "1".to_owned()),
        (HEADER_HOTKEY, recorded.sender.to_owned()),
        (HEADER_RECEIVER, recorded.receiver.to_owned()),
        (HEADER_NONCE, NONCE.to_string()),
        (HEADER_SIGNATURE, recorded.signature.to_owned()),
    ]
}

fn parse(headers: &Headers) -> Result<Option<Claim>, AuthError> {
    Claim::parse(|wanted| {
        headers.iter().filter(move |(name, _)| *name == wanted).map(|(_, value)| value.as_bytes())
    })
}

fn claim(headers: &Headers) -> Claim {
    parse(headers).unwrap().unwrap()
}

fn sha256(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

fn hotkey(text: &str) -> Hotkey {
    Hotkey::parse(text).unwrap()
}

#[test]
fn signed_bytes_follow_the_published_vector() {
    let body_sha256 = sha256(br#"{"prompt": "hello"}"#);
    let envelope = Envelope {
        method: "POST",
        target: "/generate?stream=false",
        body_sha256: &body_sha256,
        nonce_ns: NONCE,
        sender: &hotkey(ALICE),
        receiver: Some(&hotkey(BOB)),
    };
    let expected = [
        "btauth/1",
        "sr25519",
        "POST",
        "/generate?stream=false",
        "341c57448e531310fbbe83f44cea2a5e838bd9e8a6b82b269f01d0dbbc23c3cc",
        "1752076800000000000",
        ALICE,
        BOB,
    ];
    assert_eq!(String::from_utf8(envelope.signed_bytes()).unwrap(), expected.join("\n"));
}

#[test]
fn signatures_of_the_sdk_verify() {
    for recorded in &RECORDED {
        let claim = claim(&headers(recorded));
        assert_eq!(claim.nonce(), NONCE);
        assert_eq!(claim.check_window(NONCE, &hotkey(recorded.receiver)), Ok(()));
        let sender = claim.verify(recorded.method, recorded.target, &sha256(recorded.body));
        assert_eq!(sender, Ok(hotkey(recorded.sender)), "{}", recorded.target);
    }
}

#[test]
fn any_change_of_the_request_breaks_the_signature() {
    let original = &RECORDED[0];
    let (method, target, body) = (original.method, original.target, sha256(original.body));
    let honest = headers(original);
    let replaced = |header: &str, value: &str| {
        let mut changed = honest.clone();
        for (name, old) in &mut changed {
            if *name == header {
                value.clone_into(old);
            }
        }
        changed
    };
    let later = (NONCE + 1).to_string();
    let cases = [
        ("method", honest.clone(), "PUT", target, body),
        ("query", honest.clone(), method, "/generate?stream=true", body),
        ("encoding", honest.clone(), method, "/generate%3Fstream=false", body),
        ("body", honest.clone(), method, target, sha256(b"other")),
        ("nonce", replaced(HEADER_NONCE, &later), method, target, body),
        ("sender", replaced(HEADER_HOTKEY, BOB), method, target, body),
        ("receiver", replaced(HEADER_RECEIVER, ALICE), method, target, body),
        ("signature", replaced(HEADER_SIGNATURE, RECORDED[2].signature), method, target, body),
    ];
    for (what, headers, method, target, body) in cases {
        let refused = claim(&headers).verify(method, target, &body).unwrap_err();
        assert_eq!(refused.code(), "unauthenticated", "{what}");
    }
}

#[test]
fn misshapen_headers_are_refused() {
    let signature = RECORDED[0].signature;
    let upper = signature.to_uppercase().replace("0X", "0x");
    let padded = format!("{signature}00");
    for (header, value) in [
        (HEADER_VERSION, "2"),
        (HEADER_VERSION, ""),
        (HEADER_HOTKEY, "abc123"),
        (HEADER_HOTKEY, "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"),
        (HEADER_RECEIVER, "-"),
        (HEADER_NONCE, ""),
        (HEADER_NONCE, "01752076800000000000"),
        (HEADER_NONCE, "+1752076800000000000"),
        (HEADER_NONCE, "-1"),
        (HEADER_NONCE, "1.5"),
        (HEADER_NONCE, "99999999999999999999"),
        (HEADER_SIGNATURE, &signature[2..]),
        (HEADER_SIGNATURE, &signature[..128]),
        (HEADER_SIGNATURE, &upper),
        (HEADER_SIGNATURE, &padded),
    ] {
        let mut headers = headers(&RECORDED[0]);
        headers.retain(|(name, _)| *name != header);
        headers.push((header, value.to_owned()));
        let refused = parse(&headers).unwrap_err();
        assert_eq!(refused.code(), "unauthenticated", "{header}: {value}");
    }
}

#[test]
fn missing_and_repeated_headers_are_refused() {
    for header in [HEADER_VERSION, HEADER_HOTKEY, HEADER_NONCE, HEADER_SIGNATURE] {
        let mut short = headers(&RECORDED[0]);
        short.retain(|(name, _)| *name != header);
        assert!(parse(&short).is_err(), "without {header}");
    }
    for position in 0..5 {
        let mut twice = headers(&RECORDED[0]);
        twice.push(twice[position].clone());
        assert!(parse(&twice).is_err(), "twice {}", twice[position].0);
    }
}

#[test]
fn scheme_may_be_named_but_not_chosen() {
    let mut named = headers(&RECORDED[0]);
    named.push((HEADER_CRYPTO, "sr25519".to_owned()));
    assert!(parse(&named).is_ok());
    named.pop();
    named.push((HEADER_CRYPTO, "ed25519".to_owned()));
    assert!(parse(&named).is_err());
}

#[test]
fn request_without_any_of_the_headers_makes_no_claim() {
    assert!(parse(&vec![]).unwrap().is_none());
    assert!(parse(&vec![(HEADER_CRYPTO, "sr25519".to_owned())]).is_err());
}

#[test]
fn window_is_ten_seconds_back_and_two_ahead() {
    let claim = claim(&headers(&RECORDED[0]));
    let bob = hotkey(BOB);
    for (now, fresh) in [
        (NONCE + AGE_SECS_MAX * SECOND_NS, true),
        (NONCE + AGE_SECS_MAX * SECOND_NS + 1, false),
        (NONCE - AHEAD_SECS_MAX * SECOND_NS, true),
        (NONCE - AHEAD_SECS_MAX * SECOND_NS - 1, false),
        (0, false),
        (u64::MAX, false),
    ] {
        let expected = if fresh { Ok(()) } else { Err(AuthError::Stale { server_unix_ns: now }) };
        assert_eq!(claim.check_window(now, &bob), expected, "{now}");
    }
}

#[test]
fn request_for_another_or_no_receiver_is_refused_before_its_age_is_told() {
    let mut unbound = headers(&RECORDED[0]);
    let bound = claim(&unbound);
    assert_eq!(bound.check_window(0, &hotkey(ALICE)), Err(AuthError::WrongReceiver));
    unbound.retain(|(name, _)| *name != HEADER_RECEIVER);
    assert_eq!(claim(&unbound).check_window(NONCE, &hotkey(BOB)), Err(AuthError::WrongReceiver));
}

#[test]
fn own_signatures_verify() {
    let keypair = Keypair::from_label("miner");
    let receiver = hotkey(BOB);
    let headers = sign_request(&keypair, "DELETE", "/a/b?c=%20d", b"body", &receiver, NONCE);
    let claim = claim(&headers);
    assert_eq!(claim.check_window(NONCE, &receiver), Ok(()));
    let sender = claim.verify("DELETE", "/a/b?c=%20d", &sha256(b"body"));
    assert_eq!(sender.as_ref(), Ok(keypair.hotkey()));
}

#[test]
fn nonces_never_repeat_and_never_go_back() {
    let nonces = Nonces::default();
    let drawn = [5, 5, 3, 100, 7].map(|now| nonces.next(now));
    assert_eq!(drawn, [5, 6, 7, 100, 101]);
}
