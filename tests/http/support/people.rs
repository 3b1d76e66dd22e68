//! Who takes part: hotkeys that are the same in every run, and how they say who they are.

use std::sync::Arc;

use pithead::identity::Keypair;
use serde_json::{Value, json};

/// A miner or a validator.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) keys: Arc<Keypair>,
    pub(crate) uid: u16,
}

impl Peer {
    pub(crate) fn named(label: &str, uid: u16) -> Self {
        Self { keys: Arc::new(Keypair::from_label(label)), uid }
    }

    pub(crate) fn hotkey(&self) -> String {
        self.keys.hotkey().to_string()
    }

    pub(crate) fn who(&self) -> Who<'_> {
        Who::Signed(&self.keys)
    }
}

/// The miner at this uid, from 0.
pub(crate) fn miner(uid: u16) -> Peer {
    Peer::named(&format!("http-miner-{uid}"), uid)
}

/// The n-th configured validator; its uid is not a miner's.
pub(crate) fn validator(n: u16) -> Peer {
    Peer::named(&format!("http-validator-{n}"), 200 + n)
}

/// What a friendly validator says of a miner that serves everything.
pub(crate) fn status(miner: &Peer) -> Value {
    json!({
        "uid": miner.uid,
        "hotkey": miner.hotkey(),
        "stake": 500.0,
        "is_serving": true,
        "performance_score": 0.9,
        "current_load": 0,
        "max_capacity": 5,
        "task_type_specialization": [
            "transcription", "tts", "summarization", "video_transcription", "text_translation",
            "document_translation",
        ],
    })
}

/// How a call says who makes it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who<'a> {
    Nobody,
    /// `Authorization: Bearer`.
    Bearer(&'a str),
    /// `X-API-Key`, as the original's clients do.
    ApiKey(&'a str),
    Signed(&'a Keypair),
    /// `X-Dev-Hotkey`.
    Dev(&'a str),
}
