//! `btauth/1`: requests signed by a hotkey, the protocol of the current Bittensor SDK.
//!
//! Checking has two halves, because the body arrives after the headers. [`Claim::parse`] and
//! [`Claim::check_window`] are cheap and need the headers only: most bad requests end there,
//! before a byte of body is read. [`Claim::verify`] needs the body's hash. Whether a verified
//! (hotkey, nonce) was seen before is the caller's question: remember it only after `verify`,
//! or strangers could burn the nonces of others.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::domain::ids::Hotkey;
use crate::identity::keypair::{self, Keypair, SIGNATURE_LEN};
use crate::identity::ss58;

/// Protocol version, always [`VERSION`].
pub const HEADER_VERSION: &str = "X-Bittensor-Version";
/// ss58 address of the sender.
pub const HEADER_HOTKEY: &str = "X-Bittensor-Hotkey";
/// ss58 address of the server that the request is meant for.
pub const HEADER_RECEIVER: &str = "X-Bittensor-Receiver";
/// Unix time in nanoseconds, decimal; unique per request of a hotkey.
pub const HEADER_NONCE: &str = "X-Bittensor-Nonce";
/// Signature scheme; absent means [`SCHEME`].
pub const HEADER_CRYPTO: &str = "X-Bittensor-Crypto";
/// `0x` and 128 lowercase hex digits.
pub const HEADER_SIGNATURE: &str = "X-Bittensor-Signature";
/// All headers of the protocol.
pub const HEADERS: [&str; 6] =
    [HEADER_VERSION, HEADER_HOTKEY, HEADER_RECEIVER, HEADER_NONCE, HEADER_CRYPTO, HEADER_SIGNATURE];

/// First line of the signed bytes, and the protocol's name.
pub const PROTOCOL: &str = "btauth/1";
/// Value of [`HEADER_VERSION`].
pub const VERSION: &str = "1";
/// The one scheme that is accepted.
pub const SCHEME: &str = "sr25519";

/// How old a nonce may be: what the SDK's own servers allow.
pub const AGE_SECS_MAX: u64 = 10;
/// How far in the future a nonce may lie, for clocks that run ahead.
pub const AHEAD_SECS_MAX: u64 = 2;
const SECOND_NS: u64 = 1_000_000_000;

/// Why a request is not who it claims to be. Texts never contain what was received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Headers of the wrong shape, or a signature that does not fit the request.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Signed too long ago, or too far in the future: set the clock or sign again.
    #[error(
        "signed outside the window of {AGE_SECS_MAX} s past to {AHEAD_SECS_MAX} s ahead; \
         this server's unix time in nanoseconds is {server_unix_ns}"
    )]
    Stale {
        /// The clock that was compared with.
        server_unix_ns: u64,
    },
    /// Signed for another server, or for none.
    #[error("signed for another receiver; ask GET /api/v1/identity for this server's hotkey")]
    WrongReceiver,
}

impl AuthError {
    /// The stable code of the answer.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Stale { .. } => "stale_signature",
            Self::WrongReceiver => "wrong_receiver",
        }
    }
}

/// Everything that a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// HTTP method in capitals.
    pub method: &'a str,
    /// Path and query exactly as on the wire, still percent-encoded.
    pub target: &'a str,
    /// SHA-256 of the raw body; of nothing when there is no body.
    pub body_sha256: &'a [u8; 32],
    /// Unix time in nanoseconds.
    pub nonce_ns: u64,
    /// Who signs.
    pub sender: &'a Hotkey,
    /// Who is meant; `None` signs for any receiver, which we send never and accept never.
    pub receiver: Option<&'a Hotkey>,
}

impl Envelope<'_> {
    /// The bytes to sign: eight lines, none of them ended by the sender's choice, since neither a
    /// request line nor an address can hold a line break.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let body = hex::encode(self.body_sha256);
        let receiver = self.receiver.map_or("-", Hotkey::as_str);
        let (method, target, nonce, sender) =
            (self.method, self.target, self.nonce_ns, self.sender);
        format!("{PROTOCOL}\n{SCHEME}\n{method}\n{target}\n{body}\n{nonce}\n{sender}\n{receiver}")
            .into_bytes()
    }
}

/// The headers that prove one request. `method` in capitals, `target` as it will be on the wire,
/// `nonce_ns` from [`Nonces`].
#[must_use]
pub fn sign_request(
    keypair: &Keypair,
    method: &str,
    target: &str,
    body: &[u8],
    receiver: &Hotkey,
    nonce_ns: u64,
) -> Vec<(&'static str, String)> {
    let envelope = Envelope {
        method,
        target,
        body_sha256: &Sha256::digest(body).into(),
        nonce_ns,
        sender: keypair.hotkey(),
        receiver: Some(receiver),
    };
    let signature = keypair.sign(&envelope.signed_bytes());
    vec![
        (HEADER_VERSION, VERSION.to_owned()),
        (HEADER_HOTKEY, keypair.hotkey().to_string()),
        (HEADER_RECEIVER, receiver.to_string()),
        (HEADER_NONCE, nonce_ns.to_string()),
        (HEADER_SIGNATURE, format!("0x{}", hex::encode(signature))),
    ]
}

/// Source of nonces for one sender: the time, but never the same value twice.
#[derive(Debug, Default)]
pub struct Nonces(AtomicU64);

impl Nonces {
    /// The next nonce: `now_unix_ns`, or one more than the last when the clock did not move on.
    pub fn next(&self, now_unix_ns: u64) -> u64 {
        let after = |last: u64| now_unix_ns.max(last.saturating_add(1));
        let last =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
        after(last.unwrap_or_else(|last| last))
    }
}

/// What the headers of a request say, well-formed but not yet believed.
#[derive(Clone)]
pub struct Claim {
    hotkey: Hotkey,
    public: [u8; 32],
    receiver: Option<Hotkey>,
    nonce_ns: u64,
    signature: [u8; SIGNATURE_LEN],
}

impl Claim {
    /// Reads the headers; `values` gives all values of a header, by name. `None` when the request
    /// carries no header of the protocol at all.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] for a missing, repeated or misshapen header.
    pub fn parse<'a, I>(values: impl Fn(&'static str) -> I) -> Result<Option<Self>, AuthError>
    where
        I: Iterator<Item = &'a [u8]>,
    {
        if HEADERS.iter().all(|name| values(name).next().is_none()) {
            return Ok(None);
        }
        let single = |name| single_value(values(name));
        if single(HEADER_VERSION)? != Some(VERSION) {
            return Err(malformed("`X-Bittensor-Version` must be `1`"));
        }
        if single(HEADER_CRYPTO)?.is_some_and(|scheme| scheme != SCHEME) {
            return Err(malformed("`X-Bittensor-Crypto` must be `sr25519` or absent"));
        }
        let sender = single(HEADER_HOTKEY)?.and_then(parse_address);
        let (hotkey, public) =
            sender.ok_or(malformed("`X-Bittensor-Hotkey` must be an ss58 address"))?;
        let receiver = match single(HEADER_RECEIVER)? {
            None => None,
            Some(text) => {
                let address = parse_address(text);
                Some(address.ok_or(malformed("`X-Bittensor-Receiver` must be an ss58 address"))?.0)
            }
        };
        let nonce_ns = single(HEADER_NONCE)?.and_then(parse_nonce).ok_or(malformed(
            "`X-Bittensor-Nonce` must be unix nanoseconds in decimal, without leading zeros",
        ))?;
        let signature = single(HEADER_SIGNATURE)?.and_then(parse_signature).ok_or(malformed(
            "`X-Bittensor-Signature` must be `0x` and 128 lowercase hex digits",
        ))?;
        Ok(Some(Self { hotkey, public, receiver, nonce_ns, signature }))
    }

    /// Checks that the request is meant for `receiver` and was signed just now.
    ///
    /// # Errors
    /// [`AuthError::WrongReceiver`], then [`AuthError::Stale`].
    pub fn check_window(&self, now_unix_ns: u64, receiver: &Hotkey) -> Result<(), AuthError> {
        if self.receiver.as_ref() != Some(receiver) {
            return Err(AuthError::WrongReceiver);
        }
        let too_old = now_unix_ns.saturating_sub(self.nonce_ns) > AGE_SECS_MAX * SECOND_NS;
        let too_new = self.nonce_ns.saturating_sub(now_unix_ns) > AHEAD_SECS_MAX * SECOND_NS;
        if too_old || too_new {
            return Err(AuthError::Stale { server_unix_ns: now_unix_ns });
        }
        Ok(())
    }

    /// Checks the signature over this very request and gives the proven sender. `target` is path
    /// and query as received, not decoded.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] when it does not fit.
    pub fn verify(
        &self,
        method: &str,
        target: &str,
        body_sha256: &[u8; 32],
    ) -> Result<Hotkey, AuthError> {
        let envelope = Envelope {
            method,
            target,
            body_sha256,
            nonce_ns: self.nonce_ns,
            sender: &self.hotkey,
            receiver: self.receiver.as_ref(),
        };
        if keypair::verify(&self.public, &envelope.signed_bytes(), &self.signature) {
            Ok(self.hotkey.clone())
        } else {
            Err(AuthError::Unauthenticated("the signature does not fit this request"))
        }
    }

    /// The nonce, unix nanoseconds: with the hotkey the key of replay protection.
    #[must_use]
    pub const fn nonce(&self) -> u64 {
        self.nonce_ns
    }

    /// Who the sender claims to be.
    #[must_use]
    pub const fn hotkey(&self) -> &Hotkey {
        &self.hotkey
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("hotkey", &self.hotkey).finish_non_exhaustive()
    }
}

const fn malformed(reason: &'static str) -> AuthError {
    AuthError::Unauthenticated(reason)
}

/// The only value of a header. A second one is refused: proxies and servers disagree about which
/// of two counts, and that is a way to have one checked and the other used.
fn single_value<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<&'a str>, AuthError> {
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed("a signature header occurs more than once"));
    }
    let text = str::from_utf8(value).map_err(|_| malformed("a signature header is not text"))?;
    Ok(Some(text))
}

fn parse_address(text: &str) -> Option<(Hotkey, [u8; 32])> {
    let public = ss58::decode(text).ok()?;
    Some((Hotkey::parse(text).ok()?, public))
}

fn parse_nonce(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    // `u64::from_str` alone would take a leading plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok())?
}

fn parse_signature(text: &str) -> Option<[u8; SIGNATURE_LEN]> {
    let digits = text.strip_prefix("0x")?;
    if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; SIGNATURE_LEN];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
#[path = "btauth_tests.rs"]
mod tests;
