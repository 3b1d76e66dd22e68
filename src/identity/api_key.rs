//! API keys, `pit_<id>_<secret>`: the id finds the row, the secret proves the holder.
//!
//! The secret has 256 random bits, so a plain SHA-256 of it is safe to store: there is nothing to
//! guess that a slow password hash would protect.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// First part of every key: lets secret scanners and people recognise one.
const PREFIX: &str = "pit";
const ID_BYTES: usize = 8;
/// The longest base58 text of [`ID_BYTES`].
const ID_LEN_MAX: usize = 11;
const SECRET_BYTES: usize = 32;
/// Stands for a hash that is not there.
const NOBODY: [u8; 32] = [0; 32];
/// The longest base58 text of [`SECRET_BYTES`].
const SECRET_LEN_MAX: usize = 44;

/// The text is not a key: wrong prefix, alphabet or length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key (pit_<id>_<secret>)")]
pub struct BadApiKey;

/// A key with its secret, as its holder has it. The server keeps [`ApiKey::id`] and
/// [`ApiKey::hash`] only.
#[derive(Clone)]
pub struct ApiKey {
    id: String,
    secret: [u8; SECRET_BYTES],
}

impl ApiKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let id = bs58::encode(rand::random::<[u8; ID_BYTES]>()).into_string();
        Self { id, secret: rand::random() }
    }

    /// The same key with another random secret.
    #[must_use]
    pub fn rotated(&self) -> Self {
        Self { id: self.id.clone(), secret: rand::random() }
    }

    /// A new secret for the key of this id; `None` for what is no id.
    #[must_use]
    pub fn again(id: &str) -> Option<Self> {
        decode::<ID_BYTES>(id, ID_LEN_MAX).ok()?;
        Some(Self { id: id.to_owned(), secret: rand::random() })
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`BadApiKey`] for a text that [`ApiKey::reveal`] could not have given.
    pub fn parse(text: &str) -> Result<Self, BadApiKey> {
        let mut parts = text.split('_');
        let (Some(PREFIX), Some(id), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadApiKey);
        };
        decode::<ID_BYTES>(id, ID_LEN_MAX)?;
        Ok(Self { id: id.to_owned(), secret: decode(secret, SECRET_LEN_MAX)? })
    }

    /// The public half, up to 11 letters and digits: safe in logs and lists.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// SHA-256 of the secret: what is stored.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// Whether this key's secret is the one behind a stored hash. Takes equal time either way.
    #[must_use]
    pub fn matches(&self, stored: &[u8; 32]) -> bool {
        self.hash().ct_eq(stored).into()
    }

    /// Whether this key's secret is behind one of two hashes. Takes equal time whichever is there and
    /// whichever it is: what is not there is compared with a hash that nothing has.
    #[must_use]
    pub fn matches_either(&self, newest: Option<&[u8; 32]>, old: Option<&[u8; 32]>) -> bool {
        let hash = self.hash();
        let is = |stored: Option<&[u8; 32]>| {
            let there = subtle::Choice::from(u8::from(stored.is_some()));
            hash.ct_eq(stored.unwrap_or(&NOBODY)) & there
        };
        (is(newest) | is(old)).into()
    }

    /// The whole key in clear text, to show once to its holder.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}_{}_{}", self.id, bs58::encode(self.secret).into_string())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({PREFIX}_{}_..)", self.id)
    }
}

/// Exactly `N` bytes from base58; long texts are refused before the quadratic decoding.
fn decode<const N: usize>(text: &str, len_max: usize) -> Result<[u8; N], BadApiKey> {
    let mut bytes = [0; N];
    if text.len() > len_max || bs58::decode(text).onto(&mut bytes) != Ok(N) {
        return Err(BadApiKey);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_survives_its_text_form_and_matches_its_hash_only() {
        for _ in 0..100 {
            let key = ApiKey::generate();
            let read = ApiKey::parse(&key.reveal()).unwrap();
            assert_eq!(read.id(), key.id());
            assert!(read.matches(&key.hash()));
            assert!(!read.matches(&ApiKey::generate().hash()));
        }
    }

    #[test]
    fn one_of_two_hashes_is_enough_and_none_is_not() {
        let (key, other) = (ApiKey::generate(), ApiKey::generate().hash());
        let own = key.hash();
        assert!(
            key.matches_either(Some(&own), None) && key.matches_either(Some(&own), Some(&other))
        );
        assert!(key.matches_either(Some(&other), Some(&own)));
        assert!(!key.matches_either(None, None) && !key.matches_either(Some(&other), None));
        let again = key.rotated();
        assert_eq!(again.id(), key.id());
        assert!(!again.matches(&own));
    }

    #[test]
    fn other_texts_are_refused() {
        let key = ApiKey::generate().reveal();
        let (long, more, upper) =
            ("1".repeat(9_999), format!("{key}_x"), key.replacen("pit", "PIT", 1));
        let cut = &key[..key.len() - 3];
        for text in ["", "pit", "pit__", "pit_a_b", &long, &more, &upper, cut, &format!(" {key}")] {
            assert!(ApiKey::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_the_id_but_not_the_secret() {
        let key = ApiKey::generate();
        let shown = format!("{key:?}");
        assert!(shown.contains(key.id()));
        assert!(
            !key.reveal().contains(&shown) && !shown.contains(&key.reveal()[5 + key.id().len()..])
        );
    }
}
