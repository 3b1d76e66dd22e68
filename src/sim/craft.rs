//! What a perfect answer is, how a miner falls short of it, and how close an answer came.
//!
//! Pure. The share of right words in an answer follows the miner's quality, so whoever knows the
//! input can measure the miner from its answers alone.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::sim::speech;

/// Words of a text that a summary keeps, and that a judge asks for.
const SUMMARY_WORDS: usize = 16;

/// The kinds of work that the simulation knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Craft {
    /// Audio to text.
    Transcription,
    /// Text to audio.
    Tts,
    /// Long text to short text.
    Summarization,
}

impl Craft {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Transcription, Self::Tts, Self::Summarization];

    /// The task kind's name in routes and bodies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transcription => "transcription",
            Self::Tts => "tts",
            Self::Summarization => "summarization",
        }
    }

    /// From the task kind's name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|craft| craft.name() == name)
    }

    /// The words of a perfect answer.
    #[must_use]
    pub fn perfect(self, input: &Input) -> Vec<&str> {
        match (self, input) {
            (_, Input::Audio(bytes)) => speech::hear(bytes),
            (Self::Tts, Input::Text(text)) => text.split_whitespace().map(speech::sound).collect(),
            (Self::Summarization | Self::Transcription, Input::Text(text)) => {
                text.split_whitespace().take(SUMMARY_WORDS).collect()
            }
        }
    }

    /// The response of a miner that found `words`. For speech the audio is uploaded first and
    /// `file_id` names it.
    #[must_use]
    pub fn response(self, words: &[&str], file_id: Option<&str>) -> Value {
        let text = words.join(" ");
        match self {
            Self::Transcription => json!({"transcript": text, "confidence": 0.9, "language": "en"}),
            Self::Tts => json!({ "audio_file": file_id }),
            Self::Summarization => {
                json!({"summary": text, "key_points": words.iter().take(3).collect::<Vec<_>>()})
            }
        }
    }
}

/// The input of a task, as bytes or text.
#[derive(Debug, Clone)]
pub enum Input {
    /// A downloaded file.
    Audio(Vec<u8>),
    /// The text of the task.
    Text(String),
}

/// The words with each one replaced by some other word, with probability `1 - quality`.
pub fn imperfect<'a>(words: &[&'a str], quality: f64, rng: &mut StdRng) -> Vec<&'a str> {
    let keep = quality.clamp(0.0, 1.0);
    words
        .iter()
        .map(|word| if rng.random_bool(keep) { word } else { other_than(word, rng) })
        .collect()
}

fn other_than(word: &str, rng: &mut StdRng) -> &'static str {
    loop {
        let candidate = speech::any_word(rng);
        if candidate != speech::sound(word) {
            return candidate;
        }
    }
}

/// Share of the words of `truth` that `answer` has in the same place, 0..=1.
#[must_use]
pub fn accuracy(truth: &[&str], answer: &[&str]) -> f64 {
    let right = truth.iter().zip(answer).filter(|(expected, got)| expected == got).count();
    right as f64 / truth.len().max(answer.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn accuracy_of_many_words_is_the_quality() {
        let mut rng = StdRng::seed_from_u64(7);
        let truth = speech::sentence(&mut rng, 20_000);
        for quality in [0.0, 0.5, 0.9, 1.0] {
            let answer = imperfect(&truth, quality, &mut rng);
            assert!((accuracy(&truth, &answer) - quality).abs() < 0.02, "{quality}");
        }
    }

    #[test]
    fn accuracy_never_leaves_zero_to_one() {
        for (truth, answer, expected) in [
            (&["a"][..], &["a"][..], 1.0),
            (&[], &[], 0.0),
            (&["a", "b"], &["a"], 0.5),
            (&["a"], &["a", "b"], 0.5),
        ] {
            assert!((accuracy(truth, answer) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn perfect_speech_sounds_like_the_text() {
        let input = Input::Text("Hello copper mine".to_owned());
        let words = Craft::Tts.perfect(&input);
        assert_eq!(speech::hear(&speech::speak(words.iter().copied())), words);
    }
}
