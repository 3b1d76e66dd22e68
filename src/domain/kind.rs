//! Task kinds: what goes in, what comes out, and within which limits. The registry is plain data
//! from the configuration; six kinds are built in.

use serde::{Deserialize, Serialize};

use super::limits;

/// What a client hands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A sound file.
    Audio,
    /// A film.
    Video,
    /// Text in the request.
    Text,
    /// A text document as a file.
    Document,
}

impl Input {
    /// Name of the multipart field that carries the file; `None` for text.
    #[must_use]
    pub const fn file_field(self) -> Option<&'static str> {
        match self {
            Self::Audio => Some("audio_file"),
            Self::Video => Some("video_file"),
            Self::Document => Some("document_file"),
            Self::Text => None,
        }
    }
}

/// One kind of task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskKind {
    /// Name in JSON, with underscores; also the capability that miners claim.
    pub name: String,
    /// What goes in.
    pub input: Input,
    /// Keys of which a response must hold at least one.
    pub output_keys: Vec<String>,
    /// Fewest characters of a text input, after trimming.
    #[serde(default)]
    pub text_chars_min: usize,
    /// Most characters of a text input.
    #[serde(default)]
    pub text_chars_max: usize,
    /// Largest file input, in bytes.
    #[serde(default)]
    pub file_bytes_max: u64,
    /// Days that files of its tasks stay; absent for the general number.
    #[serde(default)]
    pub files_days: Option<u32>,
    /// Languages, as ISO 639-1 codes.
    pub languages: Vec<String>,
    /// Whether a `target_language` other than the source is wanted.
    #[serde(default)]
    pub translates: bool,
    /// Answers wanted when the client does not say.
    #[serde(default = "default_redundancy")]
    pub redundancy: u16,
    /// Whether a trusted miner's answer may do alone when the client does not say.
    #[serde(default)]
    pub adaptive: bool,
    /// Time until the task must have ended, in seconds.
    #[serde(default = "default_deadline_secs")]
    pub deadline_secs: i64,
    /// Time that a miner has for it without a heartbeat, in seconds.
    #[serde(default = "default_run_secs")]
    pub run_secs: i64,
    /// Share of this kind in rewards, in millionths.
    #[serde(default = "default_weight")]
    pub weight_millionths: i64,
    /// Whether weights spread its scores around their mean by a sigmoid.
    #[serde(default)]
    pub sigmoid: bool,
}

fn default_redundancy() -> u16 {
    limits::REDUNDANCY
}
fn default_deadline_secs() -> i64 {
    limits::DEADLINE_MILLIS / 1_000
}
fn default_run_secs() -> i64 {
    limits::RUN_MILLIS / 1_000
}
fn default_weight() -> i64 {
    super::units::ONE
}

impl TaskKind {
    /// Name in a URL path, with hyphens.
    #[must_use]
    pub fn path(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether `code` is one of this kind's languages.
    #[must_use]
    pub fn speaks(&self, code: &str) -> bool {
        self.languages.iter().any(|known| known == code)
    }
}

/// Position of a kind in the registry: small, so that queues and rosters can index by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindIndex(pub u16);

/// All kinds that this server takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindRegistry {
    kinds: Vec<TaskKind>,
}

impl KindRegistry {
    /// The six built-in kinds, with those of the same name replaced by `configured` and new ones
    /// added.
    #[must_use]
    pub fn with(configured: Vec<TaskKind>) -> Self {
        let mut kinds = built_in();
        for kind in configured {
            match kinds.iter_mut().find(|known| known.name == kind.name) {
                Some(known) => *known = kind,
                None => kinds.push(kind),
            }
        }
        Self { kinds }
    }

    /// A kind by its name, with underscores or hyphens.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(KindIndex, &TaskKind)> {
        let wanted = name.replace('-', "_");
        let place = self.kinds.iter().position(|kind| kind.name == wanted)?;
        let index = u16::try_from(place).ok()?;
        self.kinds.get(place).map(|kind| (KindIndex(index), kind))
    }

    /// A kind by its place.
    #[must_use]
    pub fn get(&self, index: KindIndex) -> Option<&TaskKind> {
        self.kinds.get(usize::from(index.0))
    }

    /// The largest file that any kind takes, in bytes.
    #[must_use]
    pub fn file_bytes_max(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.file_bytes_max).max().unwrap_or(0)
    }

    /// All kinds, in registry order.
    pub fn iter(&self) -> impl Iterator<Item = &TaskKind> {
        self.kinds.iter()
    }
}

impl Default for KindRegistry {
    fn default() -> Self {
        Self::with(Vec::new())
    }
}

/// Languages that the documents name.
const LANGUAGES: [&str; 12] =
    ["en", "es", "fr", "de", "it", "pt", "ru", "ja", "ko", "zh", "ar", "hi"];

fn kind(name: &str, input: Input, output_keys: &[&str]) -> TaskKind {
    TaskKind {
        name: name.to_owned(),
        input,
        output_keys: output_keys.iter().map(|&key| key.to_owned()).collect(),
        text_chars_min: 0,
        text_chars_max: 0,
        file_bytes_max: 0,
        files_days: None,
        languages: LANGUAGES.iter().map(|&code| code.to_owned()).collect(),
        translates: false,
        redundancy: default_redundancy(),
        adaptive: false,
        deadline_secs: default_deadline_secs(),
        run_secs: default_run_secs(),
        weight_millionths: default_weight(),
        sigmoid: false,
    }
}

fn built_in() -> Vec<TaskKind> {
    let translated = ["translated_text", "translation"];
    let text =
        |kind: TaskKind, min, max| TaskKind { text_chars_min: min, text_chars_max: max, ..kind };
    vec![
        TaskKind {
            file_bytes_max: limits::AUDIO_BYTES_MAX,
            ..kind("transcription", Input::Audio, &["transcript"])
        },
        text(kind("tts", Input::Text, &["audio_file", "audio_data"]), 10, 10_000),
        text(kind("summarization", Input::Text, &["summary"]), 50, 50_000),
        TaskKind {
            file_bytes_max: limits::VIDEO_BYTES_MAX,
            run_secs: 300,
            ..kind("video_transcription", Input::Video, &["transcript"])
        },
        TaskKind {
            translates: true,
            ..text(kind("text_translation", Input::Text, &translated), 1, 50_000)
        },
        TaskKind {
            file_bytes_max: limits::DOCUMENT_BYTES_MAX,
            translates: true,
            run_secs: 300,
            ..kind("document_translation", Input::Document, &translated)
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_kinds_are_built_in_and_found_by_path_or_name() {
        let registry = KindRegistry::default();
        assert_eq!(registry.iter().count(), 6);
        for name in ["video-transcription", "video_transcription"] {
            let (index, kind) = registry.find(name).unwrap();
            assert_eq!(kind.name, "video_transcription");
            assert_eq!(registry.get(index), Some(kind));
        }
        assert!(registry.find("weather").is_none());
    }

    #[test]
    fn a_configured_kind_replaces_its_namesake_and_a_new_one_is_added() {
        let mut louder = kind("tts", Input::Text, &["audio_file"]);
        louder.text_chars_max = 5;
        let registry =
            KindRegistry::with(vec![louder, kind("weather", Input::Text, &["forecast"])]);
        assert_eq!(registry.iter().count(), 7);
        assert_eq!(registry.find("tts").unwrap().1.text_chars_max, 5);
        assert!(registry.find("weather").is_some());
    }
}
