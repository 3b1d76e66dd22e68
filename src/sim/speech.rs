//! The language of the simulation: 32 words, each with its own tone.
//!
//! A client *speaks* words into a WAV file, a miner *hears* them in the bytes that it downloaded,
//! and a validator hears the same file to judge the miner. So a transcript can only be right when
//! the audio really travelled, and nobody needs to be told the truth behind the server's back.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::sim::wav;

/// How long one word is spoken.
pub const WORD_MILLIS: u32 = 200;
const LOWEST_HERTZ: f64 = 400.0;
/// Far enough apart for [`wav::pitch`] to tell neighbours from each other.
const STEP_HERTZ: f64 = 40.0;

/// The vocabulary.
pub const WORDS: [&str; 32] = [
    "amber", "basin", "cable", "delta", "ember", "fault", "grain", "haul", "iron", "joint", "kiln",
    "lamp", "mine", "north", "ore", "pit", "quartz", "rail", "shaft", "timber", "under", "vein",
    "winch", "yard", "zinc", "copper", "drill", "flint", "gold", "hoist", "ledge", "slate",
];

/// Words at random.
pub fn sentence(rng: &mut StdRng, count: usize) -> Vec<&'static str> {
    (0..count).map(|_| any_word(rng)).collect()
}

/// One word at random.
pub fn any_word(rng: &mut StdRng) -> &'static str {
    WORDS[rng.random_range(0..WORDS.len())]
}

/// A WAV file with one tone per word; words outside the vocabulary get a tone of it too.
#[must_use]
pub fn speak<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut samples = Vec::new();
    for word in words {
        wav::add_tone(&mut samples, LOWEST_HERTZ + STEP_HERTZ * index(word) as f64, WORD_MILLIS);
    }
    wav::write(&samples)
}

/// The words in a file, one per [`WORD_MILLIS`]. Any bytes give some words.
#[must_use]
pub fn hear(file: &[u8]) -> Vec<&'static str> {
    let word_len = (wav::RATE * WORD_MILLIS / 1_000) as usize;
    wav::read(file)
        .chunks(word_len)
        .map(|tone| {
            let steps = ((wav::pitch(tone) - LOWEST_HERTZ) / STEP_HERTZ).round().max(0.0);
            WORDS[(steps as usize).min(WORDS.len() - 1)]
        })
        .collect()
}

/// What [`hear`] makes of a spoken word: itself, or its stand-in from the vocabulary.
#[must_use]
pub fn sound(word: &str) -> &'static str {
    WORDS[index(word)]
}

fn index(word: &str) -> usize {
    let known = WORDS.iter().position(|candidate| *candidate == word);
    known.unwrap_or_else(|| word.bytes().map(usize::from).sum::<usize>() % WORDS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spoken_is_heard() {
        assert_eq!(hear(&speak(WORDS)), WORDS);
        let foreign = ["Hello", "wörld", ""];
        assert_eq!(hear(&speak(foreign)), foreign.map(sound));
    }

    #[test]
    fn any_bytes_give_the_same_words_to_everybody() {
        let bytes: Vec<u8> = (0..9_999_u32).map(|n| (n * 31 % 251) as u8).collect();
        assert_eq!(hear(&bytes), hear(&bytes));
        assert!(hear(b"").is_empty());
    }
}
