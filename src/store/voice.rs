//! Voices: what a client calls them, and the commands on them.

use super::{Idempotency, Nonce};
use crate::domain::ids::{FileId, VoiceId};
use crate::domain::units::Millis;

/// A voice's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceRow {
    /// Key.
    pub id: VoiceId,
    /// Whose; unique together with the name.
    pub owner: String,
    /// What tasks call it.
    pub name: String,
    /// Language that it speaks.
    pub language: String,
    /// How it sounds, in words.
    pub description: Option<String>,
    /// A recording of it.
    pub sample: Option<FileId>,
    /// Put down.
    pub created_at: Millis,
    /// Everybody sees it since then; `None` for the owner's alone.
    pub shared_at: Option<Millis>,
}

impl VoiceRow {
    /// Whether this owner sees it.
    #[must_use]
    pub fn is_seen_by(&self, owner: &str) -> bool {
        self.owner == owner || self.shared_at.is_some()
    }
}

/// See [`super::Store::put_voice`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutVoice {
    /// The voice.
    pub voice: VoiceRow,
    /// Voices that one owner may have.
    pub voices_max: u64,
    /// Its idempotency key.
    pub idempotency: Option<Idempotency>,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// Answer to [`PutVoice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoicePut {
    /// Written down; its sample does not expire while the voice is there.
    New,
    /// The same request made this voice before.
    Existing(VoiceId),
    /// The idempotency key stands for another request.
    Mismatch,
    /// The owner has a voice of that name.
    NameTaken,
    /// The owner has as many as it may have.
    Full,
    /// The file of the sample is gone.
    NoSample,
}

/// See [`super::Store::delete_voice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteVoice {
    /// The voice.
    pub id: VoiceId,
    /// When its sample may be forgotten, unless another voice has it too.
    pub sample_until: Millis,
}

/// Which voices to list, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoicePage {
    /// Whose, and shared ones; `None` for everybody's.
    pub owner: Option<String>,
    /// Only voices younger than this one.
    pub after: Option<VoiceId>,
    /// How many at most.
    pub limit: u64,
}
