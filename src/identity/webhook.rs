//! Signatures of messages to clients, as Standard Webhooks has them: `v1,` and the HMAC-SHA256 of
//! `<id>.<unix seconds>.<body>` in base64, under a secret that both ends know.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// First part of every secret: lets secret scanners and people recognise one.
const PREFIX: &str = "whsec_";
/// As many bits as the hash has.
const SECRET_BYTES: usize = 32;

/// A new random secret, in the form in which it is shown and stored.
#[must_use]
pub fn new_secret() -> String {
    format!("{PREFIX}{}", STANDARD.encode(rand::random::<[u8; SECRET_BYTES]>()))
}

/// One signature of a message; `None` when the secret is none.
#[must_use]
pub fn sign(secret: &str, id: &str, at_secs: i64, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{at_secs}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standards_libraries_is_reproduced() {
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn each_part_counts_and_no_two_secrets_are_alike() {
        let (secret, other) = (new_secret(), new_secret());
        let signed = sign(&secret, "a", 1, b"x").unwrap();
        assert_ne!(secret, other);
        for changed in [
            sign(&other, "a", 1, b"x"),
            sign(&secret, "b", 1, b"x"),
            sign(&secret, "a", 2, b"x"),
            sign(&secret, "a", 1, b"y"),
        ] {
            assert_ne!(changed.unwrap(), signed);
        }
        assert_eq!(sign("no secret", "a", 1, b"x"), None);
        assert_eq!(sign("whsec_%", "a", 1, b"x"), None);
    }
}
