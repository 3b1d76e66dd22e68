//! A hotkey's key pair (sr25519) and the file that Bittensor wallets keep it in.
//!
//! The secret is a 32-byte seed, expanded the way Substrate does. It leaves this type only through
//! [`Keypair::save`]; `Debug` shows the address alone.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use schnorrkel::{ExpansionMode, MiniSecretKey, PublicKey, Signature};
use serde::{Deserialize, Serialize};

use crate::domain::ids::Hotkey;
use crate::identity::ss58;

/// The signing context of Substrate: part of every signature.
const CONTEXT: &[u8] = b"substrate";
/// The number of sr25519 in a wallet's `cryptoType`.
const SR25519: u8 = 1;
/// A hotkey file has about 500 bytes; more is another file.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Length of a signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// A hotkey with its secret.
pub struct Keypair {
    seed: MiniSecretKey,
    pair: schnorrkel::Keypair,
    hotkey: Hotkey,
}

/// Why a hotkey file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system said no; also when the file to create already exists.
    #[error("hotkey file `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The content is no unencrypted sr25519 hotkey; `reason` never quotes it.
    #[error("hotkey file `{}`: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// The JSON that wallets write. Fields that we do not need are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyFile {
    secret_seed: Option<String>,
    ss58_address: String,
    crypto_type: Option<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewKeyFile<'a> {
    account_id: &'a str,
    public_key: &'a str,
    private_key: &'a str,
    secret_seed: &'a str,
    ss58_address: &'a str,
    crypto_type: u8,
}

impl Keypair {
    /// A new random key pair.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_mini(MiniSecretKey::generate())
    }

    /// The key pair of a 32-byte seed: same seed, same hotkey, here and in every wallet.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let bytes: [u8; 32] = *seed;
        Self::from_mini(MiniSecretKey::from_bytes(&bytes).unwrap_or_else(|_| {
            unreachable!("schnorrkel takes any 32 bytes as a seed");
        }))
    }

    /// A key pair that anyone can derive from its public label (the seed is its blake2b-256):
    /// for simulations and tests, never for a key that is worth something.
    #[must_use]
    pub fn from_label(label: &str) -> Self {
        Self::from_seed(&Blake2b::<U32>::digest(label.as_bytes()).into())
    }

    fn from_mini(seed: MiniSecretKey) -> Self {
        let pair = seed.expand_to_keypair(ExpansionMode::Ed25519);
        let address = ss58::encode(&pair.public.to_bytes());
        let hotkey = Hotkey::parse(&address)
            .unwrap_or_else(|_| unreachable!("an ss58 address is a well-formed hotkey"));
        Self { seed, pair, hotkey }
    }

    /// The address.
    #[must_use]
    pub fn hotkey(&self) -> &Hotkey {
        &self.hotkey
    }

    /// Signs; two signatures of the same message differ, and both verify.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.pair.sign_simple(CONTEXT, message).to_bytes()
    }

    /// Reads an unencrypted hotkey file, `wallets/<coldkey>/hotkeys/<hotkey>`.
    ///
    /// # Errors
    /// [`KeyFileError`] when it cannot be read, holds no seed, or its address is not the seed's.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let io_error = |source| KeyFileError::Io { path: path.to_owned(), source };
        let file = fs::File::open(path).map_err(io_error)?;
        warn_if_readable_by_others(path, &file);
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(io_error)?;
        Self::from_json(&text)
            .map_err(|reason| KeyFileError::Content { path: path.to_owned(), reason })
    }

    /// Writes a new hotkey file, readable by its owner only, that Bittensor wallets can open.
    /// It appears complete or not at all.
    ///
    /// # Errors
    /// [`KeyFileError::Io`]; with kind `AlreadyExists` when there is a file already, since a key
    /// that is overwritten is lost.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        create_whole(path, self.to_json().as_bytes())
            .map_err(|source| KeyFileError::Io { path: path.to_owned(), source })
    }

    /// Loads the file, or makes a new key pair and saves it there. Two processes that start at
    /// once end up with the same key.
    ///
    /// # Errors
    /// As [`Keypair::load`] and [`Keypair::save`].
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        match Self::load(path) {
            Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let fresh = Self::generate();
        match fresh.save(path) {
            Ok(()) => Ok(fresh),
            Err(KeyFileError::Io { source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists =>
            {
                Self::load(path)
            }
            Err(error) => Err(error),
        }
    }

    fn from_json(text: &str) -> Result<Self, &'static str> {
        // The parser's own message could quote the secret.
        let file: KeyFile = serde_json::from_str(text)
            .map_err(|_| "not the JSON of an unencrypted hotkey (encrypted keys are not read)")?;
        if file.crypto_type.is_some_and(|kind| kind != SR25519) {
            return Err("only sr25519 keys are supported");
        }
        let seed = file.secret_seed.ok_or("it has no `secretSeed`")?;
        let digits = seed.strip_prefix("0x").unwrap_or(&seed);
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes)
            .map_err(|_| "`secretSeed` is not 32 bytes of hex")?;
        let keypair = Self::from_seed(&bytes);
        if keypair.hotkey.as_str() == file.ss58_address {
            Ok(keypair)
        } else {
            Err("`ss58Address` does not belong to `secretSeed`")
        }
    }

    fn to_json(&self) -> String {
        let public = format!("0x{}", hex::encode(self.pair.public.to_bytes()));
        let file = NewKeyFile {
            account_id: &public,
            public_key: &public,
            private_key: &format!("0x{}", hex::encode(self.pair.secret.to_bytes())),
            secret_seed: &format!("0x{}", hex::encode(self.seed.as_bytes())),
            ss58_address: self.hotkey.as_str(),
            crypto_type: SR25519,
        };
        serde_json::to_string(&file).unwrap_or_else(|_| unreachable!("plain text fields"))
    }
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keypair").field("hotkey", &self.hotkey).finish_non_exhaustive()
    }
}

/// Whether `signature` is the one of `public` over `message`. About 70 microseconds.
#[must_use]
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
    let (Ok(key), Ok(signature)) =
        (PublicKey::from_bytes(public), Signature::from_bytes(signature))
    else {
        return false;
    };
    key.verify_simple(CONTEXT, message, &signature).is_ok()
}

/// Writes a private file beside its final name and links it there: a link, unlike a rename, never
/// replaces a file that is already there.
fn create_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!(".hotkey-{:016x}", rand::random::<u64>()));
    let written = write_private(&draft, content).and_then(|()| fs::hard_link(&draft, path));
    // The draft holds the secret too: it goes whatever happened.
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    fs::File::open(folder)?.sync_all()
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn warn_if_readable_by_others(path: &Path, file: &fs::File) {
    #[cfg(unix)]
    if let Ok(about) = file.metadata()
        && std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 != 0
    {
        tracing::warn!(path = %path.display(), "hotkey file is readable by others; chmod 600 it");
    }
    #[cfg(not(unix))]
    let _ = (path, file);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by the Bittensor SDK 11.3.0 for the seed 07 07 .. 07.
    const WALLET_FILE: &str = r#"{"publicKey":"0x7c0f469d3bd340bae718203fa30ca071a5e37c751e891dbded837b213d45d91d","secretSeed":"0x0707070707070707070707070707070707070707070707070707070707070707","privateKey":"0xa535c7bfff6f541c20d5d8c4bd3ed35ca3a5800b091545d1c98f69493907050f9c7d6db3506d65dbac7c052aaee4857425210c9bc54030c826e54055983452a5","ss58Address":"5EsNLFaGe9XK5LzWH3i6eC2Wqv6YqZS1442N1C4yeSdP6uxy","cryptoType":1,"accountId":"0x7c0f469d3bd340bae718203fa30ca071a5e37c751e891dbded837b213d45d91d"}"#;

    #[test]
    fn hotkey_file_of_a_wallet_is_read_and_written_alike() {
        let keypair = Keypair::from_json(WALLET_FILE).unwrap();
        assert_eq!(keypair.hotkey().as_str(), "5EsNLFaGe9XK5LzWH3i6eC2Wqv6YqZS1442N1C4yeSdP6uxy");
        let theirs: serde_json::Value = serde_json::from_str(WALLET_FILE).unwrap();
        let ours: serde_json::Value = serde_json::from_str(&keypair.to_json()).unwrap();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn broken_hotkey_files_are_refused_without_quoting_them() {
        let other_seed = WALLET_FILE.replacen("0x07", "0x08", 1);
        let ed25519 = WALLET_FILE.replace("\"cryptoType\":1", "\"cryptoType\":0");
        let seedless = WALLET_FILE.replace("secretSeed", "unknown");
        for text in ["", "$NACL..", "{}", &WALLET_FILE[..200], &other_seed, &ed25519, &seedless] {
            let reason = Keypair::from_json(text).unwrap_err();
            assert!(!reason.contains("0707"), "{reason}");
        }
    }

    #[test]
    fn saved_file_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wallet/hotkeys/default");
        let keypair = Keypair::load_or_create(&path).unwrap();
        assert_eq!(Keypair::load_or_create(&path).unwrap().hotkey(), keypair.hotkey());

        let refused = Keypair::generate().save(&path).unwrap_err();
        assert!(
            matches!(refused, KeyFileError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
        );
        assert_eq!(Keypair::load(&path).unwrap().hotkey(), keypair.hotkey());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn signatures_verify_for_their_message_and_key_only() {
        let keypair = Keypair::from_label("miner-1");
        let public = ss58::decode(keypair.hotkey().as_str()).unwrap();
        let signature = keypair.sign(b"message");
        assert!(verify(&public, b"message", &signature));
        assert!(!verify(&public, b"messagf", &signature));
        assert!(!verify(&[7; 32], b"message", &signature));
        assert_ne!(signature, keypair.sign(b"message"));
    }

    #[test]
    fn labels_give_stable_keys_and_debug_shows_no_secret() {
        let keypair = Keypair::from_label("miner-1");
        assert_eq!(keypair.hotkey(), Keypair::from_label("miner-1").hotkey());
        assert_ne!(keypair.hotkey(), Keypair::from_label("miner-2").hotkey());
        let shown = format!("{keypair:?}");
        assert!(!shown.contains(&hex::encode(keypair.seed.as_bytes())));
        assert!(shown.contains(keypair.hotkey().as_str()));
    }
}
