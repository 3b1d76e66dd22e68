//! ss58 addresses of 32-byte public keys, network prefix 42 only.
//!
//! An address that decodes here has exactly one spelling: the first byte is 42 and the length is
//! fixed, so base58 leaves no second way to write it.

use blake2::{Blake2b512, Digest};

/// The generic Substrate prefix, the one that Bittensor uses.
const PREFIX: u8 = 42;
/// Prefix, key and two bytes of checksum.
const LEN: usize = 1 + KEY_LEN + 2;
const KEY_LEN: usize = 32;
/// No 35-byte value is longer in base58; longer text is refused before the quadratic decoding.
const TEXT_LEN_MAX: usize = 49;

/// Why a text is no address. Says nothing about the text itself, which may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ss58Error {
    /// Not base58, or not 35 bytes in it.
    #[error("not the base58 form of a 32-byte key")]
    Shape,
    /// The address of another network.
    #[error("address of another network (prefix 42 expected)")]
    Prefix,
    /// A typing error, most likely.
    #[error("checksum does not fit")]
    Checksum,
}

/// The address of a public key.
#[must_use]
pub fn encode(key: &[u8; KEY_LEN]) -> String {
    let mut bytes = [0; LEN];
    bytes[0] = PREFIX;
    bytes[1..=KEY_LEN].copy_from_slice(key);
    bytes[1 + KEY_LEN..].copy_from_slice(&checksum(key));
    bs58::encode(bytes).into_string()
}

/// The public key of an address.
///
/// # Errors
/// [`Ss58Error`] for everything that [`encode`] could not have written.
pub fn decode(text: &str) -> Result<[u8; KEY_LEN], Ss58Error> {
    if text.len() > TEXT_LEN_MAX {
        return Err(Ss58Error::Shape);
    }
    let mut bytes = [0; LEN];
    let written = bs58::decode(text).onto(&mut bytes).map_err(|_| Ss58Error::Shape)?;
    if written != LEN {
        return Err(Ss58Error::Shape);
    }
    if bytes[0] != PREFIX {
        return Err(Ss58Error::Prefix);
    }
    let mut key = [0; KEY_LEN];
    key.copy_from_slice(&bytes[1..=KEY_LEN]);
    if bytes[1 + KEY_LEN..] == checksum(&key) { Ok(key) } else { Err(Ss58Error::Checksum) }
}

fn checksum(key: &[u8; KEY_LEN]) -> [u8; 2] {
    let hash = Blake2b512::new()
        .chain_update(b"SS58PRE")
        .chain_update([PREFIX])
        .chain_update(key)
        .finalize();
    [hash[0], hash[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const ALICE_KEY: &str = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[test]
    fn known_address_decodes_and_encodes_back() {
        let key = decode(ALICE).unwrap();
        assert_eq!(hex::encode(key), ALICE_KEY);
        assert_eq!(encode(&key), ALICE);
    }

    #[test]
    fn every_key_has_an_address_that_leads_back() {
        for byte in 0..=255 {
            let key = [byte; KEY_LEN];
            assert_eq!(decode(&encode(&key)), Ok(key));
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let typo = ALICE.replace("KutQY", "KutQZ");
        let polkadot = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5";
        let long = "1".repeat(10_000);
        for (text, expected) in [
            ("", Ss58Error::Shape),
            ("abc123", Ss58Error::Shape),
            ("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKut0Y", Ss58Error::Shape),
            (&format!("1{ALICE}"), Ss58Error::Shape),
            (&format!(" {ALICE}"), Ss58Error::Shape),
            (&long, Ss58Error::Shape),
            (polkadot, Ss58Error::Prefix),
            (&typo, Ss58Error::Checksum),
        ] {
            assert_eq!(decode(text), Err(expected), "{text}");
        }
    }
}
