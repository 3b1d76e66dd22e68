//! Files and voices: taken in once per idempotency key, forgotten when nothing needs them.

use std::collections::btree_map::Entry;

use super::{Made, Remembered, Tables};
use crate::domain::ids::FileId;
use crate::domain::task::TaskState;
use crate::domain::units::Millis;
use crate::store::*;

impl Tables {
    /// What a key stood for before; `None` when it is new (and now stands for `made`).
    pub(super) fn remember(
        &mut self,
        caller: &str,
        idempotency: Idempotency,
        made: Made,
        created_at: Millis,
    ) -> Option<Result<Made, ()>> {
        let Idempotency { key, body_hash } = idempotency;
        match self.idempotency.entry((caller.to_owned(), key)) {
            Entry::Occupied(known) => {
                let known = known.get();
                let alike = std::mem::discriminant(&known.made) == std::mem::discriminant(&made);
                let same = alike && known.body_hash == body_hash;
                Some(if same { Ok(known.made) } else { Err(()) })
            }
            Entry::Vacant(fresh) => {
                fresh.insert(Remembered { body_hash, made, created_at });
                None
            }
        }
    }

    /// The first command under an idempotency key decides what the key stands for.
    pub(super) fn put_file(&mut self, command: PutFile) -> FilePut {
        let PutFile { file, idempotency, .. } = command;
        if let Some(key) = idempotency {
            match self.remember(&file.owner, key, Made::File(file.id), file.created_at) {
                Some(Ok(Made::File(id))) => return FilePut::Existing(id),
                Some(_) => return FilePut::Mismatch,
                None => {}
            }
        }
        self.files.entry(file.id).or_insert(file);
        FilePut::New
    }

    /// Those with a moment first, by moment; then those without, by age.
    pub(super) fn forget_files(&mut self, command: ForgetFiles) -> Forgotten {
        let dated = self.files.values().filter_map(|file| Some((file.expires_at?, file.id)));
        let mut dated: Vec<_> = dated.filter(|(at, _)| *at <= command.now).collect();
        dated.sort_unstable();
        let undated = self.files.values().filter(|file| file.expires_at.is_none());
        let undated = undated.map(|file| (file.created_at, file.id));
        let mut undated: Vec<_> = undated.filter(|(at, _)| *at <= command.undated_before).collect();
        undated.sort_unstable();
        let rows_max = usize::try_from(command.rows_max).unwrap_or(usize::MAX);
        let due = dated.into_iter().chain(undated).take(rows_max).map(|(_, id)| id);
        let mut forgotten = Forgotten::default();
        for id in due.collect::<Vec<_>>() {
            if self.is_needed(id, command.done_after) {
                forgotten.needed += 1;
                if let Some(file) = self.files.get_mut(&id) {
                    file.expires_at = Some(command.again_at);
                }
            } else {
                forgotten.gone += 1;
                self.files.remove(&id);
            }
        }
        forgotten
    }

    /// Whether a voice, an open task, or one that may yet be judged needs the file.
    fn is_needed(&self, id: FileId, done_after: Millis) -> bool {
        let output_of = self.files.get(&id).and_then(|file| file.task);
        let uses =
            |t: &TaskRecord| t.task.input == TaskInput::File(id) || Some(t.task.id) == output_of;
        let waits = |t: &TaskRecord| match t.finished_at {
            None => true,
            Some(at) => t.state == TaskState::Done && at > done_after,
        };
        self.tasks.values().any(|t| uses(t) && waits(t))
            || self.voices.values().any(|voice| voice.sample == Some(id))
    }

    pub(super) fn unreferenced(&self, mut sha256: Vec<String>) -> Vec<String> {
        sha256.retain(|name| !self.files.values().any(|file| file.sha256 == *name));
        sha256
    }

    /// A name is an owner's once. What is refused leaves its idempotency key free.
    pub(super) fn put_voice(&mut self, command: PutVoice) -> VoicePut {
        let PutVoice { voice, voices_max, idempotency, .. } = command;
        let key = idempotency.as_ref().map(|known| (voice.owner.clone(), known.key.clone()));
        if let Some(key) = idempotency {
            match self.remember(&voice.owner, key, Made::Voice(voice.id), voice.created_at) {
                Some(Ok(Made::Voice(id))) => return VoicePut::Existing(id),
                Some(_) => return VoicePut::Mismatch,
                None => {}
            }
        }
        let put = self.put_new_voice(voice, voices_max);
        if let Some(key) = key.filter(|_| put != VoicePut::New) {
            self.idempotency.remove(&key);
        }
        put
    }

    fn put_new_voice(&mut self, voice: VoiceRow, voices_max: u64) -> VoicePut {
        let own = || self.voices.values().filter(|known| known.owner == voice.owner);
        if let Some(known) = own().find(|known| known.name == voice.name) {
            return if known.id == voice.id { VoicePut::New } else { VoicePut::NameTaken };
        }
        if own().count() as u64 >= voices_max {
            return VoicePut::Full;
        }
        if let Some(sample) = voice.sample {
            let Some(file) = self.files.get_mut(&sample) else { return VoicePut::NoSample };
            file.expires_at = Some(NEVER);
        }
        self.voices.insert(voice.id, voice);
        VoicePut::New
    }

    pub(super) fn delete_voice(&mut self, command: DeleteVoice) -> bool {
        let Some(voice) = self.voices.remove(&command.id) else { return false };
        let others = self.voices.values().any(|other| other.sample == voice.sample);
        let sample = voice.sample.filter(|_| !others);
        if let Some(file) = sample.and_then(|id| self.files.get_mut(&id)) {
            file.expires_at = Some(command.sample_until);
        }
        true
    }

    /// One's own comes before a shared one, the oldest of those first.
    pub(super) fn voice_named(&self, owner: &str, name: &str) -> Option<VoiceRow> {
        let named = || self.voices.values().filter(|voice| voice.name == name);
        let own = named().find(|voice| voice.owner == owner);
        own.or_else(|| named().find(|voice| voice.shared_at.is_some())).cloned()
    }

    pub(super) fn voices_of_sample(&self, file: FileId) -> Vec<VoiceRow> {
        self.voices.values().filter(|voice| voice.sample == Some(file)).cloned().collect()
    }

    pub(super) fn voice_page(&self, page: &VoicePage) -> Vec<VoiceRow> {
        let seen = |voice: &&VoiceRow| {
            page.owner.as_ref().is_none_or(|owner| voice.is_seen_by(owner))
                && page.after.is_none_or(|after| voice.id > after)
        };
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        self.voices.values().filter(seen).take(limit).cloned().collect()
    }
}
