//! How far the answers of one task agree: evidence for validators, and the choice among answers that
//! nobody has judged. Only words are compared; sound is not.
//!
//! Two texts agree by the Dice coefficient of their words and pairs of neighbouring words, each counted
//! as often as it occurs: `2 |A and B| / (|A| + |B|)`. An answer's agreement is the upper median of
//! that with each of the others, so that one answer that is out of line costs the others nothing.

use std::collections::HashMap;

use serde_json::Value;

use super::units::{ONE, Score};

/// Words of a text that are looked at: more would cost time without telling more.
const WORDS_MAX: usize = 4_000;
/// From here on scripts are written without spaces: each sign counts as a word.
const IDEOGRAPHS: char = '\u{2e80}';

/// What a text is compared by.
struct Profile {
    counts: HashMap<(String, String), u32>,
    total: u64,
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for c in text.chars() {
        if !c.is_alphanumeric() {
            open = false;
        } else if c >= IDEOGRAPHS {
            words.push(c.to_string());
            open = false;
        } else {
            if !open {
                words.push(String::new());
                open = true;
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        if words.len() > WORDS_MAX {
            break;
        }
    }
    words.truncate(WORDS_MAX);
    words
}

impl Profile {
    fn of(text: &str) -> Self {
        let words = words(text);
        let mut counts: HashMap<(String, String), u32> = HashMap::new();
        for (place, word) in words.iter().enumerate() {
            *counts.entry((word.clone(), String::new())).or_default() += 1;
            if let Some(next) = words.get(place + 1) {
                *counts.entry((word.clone(), next.clone())).or_default() += 1;
            }
        }
        let total = counts.values().map(|&count| u64::from(count)).sum();
        Self { counts, total }
    }

    fn likeness(&self, other: &Self) -> i64 {
        let total = self.total + other.total;
        if total == 0 {
            return ONE;
        }
        let common = |(key, count): (&(String, String), &u32)| {
            u64::from(*other.counts.get(key).unwrap_or(&0).min(count))
        };
        let common: u64 = self.counts.iter().map(common).sum();
        i64::try_from(2 * common * ONE.unsigned_abs() / total).unwrap_or(ONE)
    }
}

/// The text of an answer: the first of these keys that holds one.
fn text_of<'a>(answer: &'a Value, keys: &[String]) -> Option<&'a str> {
    keys.iter().find_map(|key| answer.get(key)?.as_str())
}

/// Whether answers with these keys are words: sound comes as a name or as base64, which says nothing.
fn comparable(keys: &[String]) -> bool {
    !keys.iter().any(|key| key.starts_with("audio"))
}

/// How far each answer agrees with the others, in the order given; `None` for those without a text, and
/// where there is nothing to compare with. `keys` are the kind's output keys.
#[must_use]
pub fn agreement(answers: &[&Value], keys: &[String]) -> Vec<Option<Score>> {
    let profile = |answer: &&Value| text_of(answer, keys).map(Profile::of);
    if !comparable(keys) {
        return vec![None; answers.len()];
    }
    let profiles: Vec<Option<Profile>> = answers.iter().map(profile).collect();
    let of = |place: usize| {
        let own = profiles.get(place)?.as_ref()?;
        let others = profiles.iter().enumerate().filter(|(other, _)| *other != place);
        let mut likeness: Vec<i64> =
            others.filter_map(|(_, other)| Some(own.likeness(other.as_ref()?))).collect();
        likeness.sort_unstable();
        let median = likeness.get(likeness.len() / 2)?;
        Some(Score::clamped(*median))
    };
    (0..answers.len()).map(of).collect()
}

/// Steps in which agreement ranks answers: below them the earlier one is better.
const STEP: i64 = 50_000;

/// Of at least three answers that can be compared, the one that agrees best; among equals the earlier
/// in the order given. `None` when there are fewer.
#[must_use]
pub fn most_agreed(agreements: &[Option<Score>]) -> Option<usize> {
    let known = agreements.iter().enumerate().filter_map(|(n, score)| Some((n, (*score)?)));
    let known: Vec<(usize, Score)> = known.collect();
    if known.len() < 3 {
        return None;
    }
    let rank =
        |&&(place, score): &&(usize, Score)| (score.millionths() / STEP, std::cmp::Reverse(place));
    known.iter().max_by_key(rank).map(|(place, _)| *place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(texts: &[&str]) -> Vec<Option<i64>> {
        let answers: Vec<Value> = texts.iter().map(|text| json!({ "transcript": text })).collect();
        let answers: Vec<&Value> = answers.iter().collect();
        let agreements = agreement(&answers, &["transcript".to_owned()]);
        agreements.into_iter().map(|score| score.map(Score::millionths)).collect()
    }

    #[test]
    fn the_odd_one_out_is_seen_and_costs_the_others_nothing() {
        let found = of(&["The cat sat on the mat.", "the cat sat on the mat", "buy my coin now"]);
        assert_eq!(found, [Some(ONE), Some(ONE), Some(0)]);
        let [a, b, c, d] = of(&["a b c d", "a b c d", "a b c d", "x y"])[..] else { panic!() };
        assert_eq!((a, b, c, d), (Some(ONE), Some(ONE), Some(ONE), Some(0)));
    }

    #[test]
    fn case_and_punctuation_do_not_count_and_order_does() {
        assert_eq!(of(&["Hello, world!", "hello world"]), [Some(ONE), Some(ONE)]);
        let found = of(&["one two three", "three two one"])[0].unwrap();
        assert!(found > 0 && found < ONE, "{found}");
        assert_eq!(of(&["你好世界", "你好世界。"]), [Some(ONE), Some(ONE)]);
        assert!(of(&["你好世界", "你好"])[0].unwrap() > 500_000);
    }

    #[test]
    fn sound_and_single_answers_are_not_compared() {
        let answer = json!({ "audio_data": "UklGRg==" });
        let keys = ["audio_file".to_owned(), "audio_data".to_owned()];
        assert_eq!(agreement(&[&answer, &answer], &keys), [None, None]);
        assert_eq!(of(&["alone"]), [None]);
        let number = json!({ "transcript": 7 });
        assert_eq!(agreement(&[&number, &number], &["transcript".to_owned()]), [None, None]);
    }

    #[test]
    fn the_best_agreed_of_three_is_chosen_and_the_earlier_among_equals() {
        let score = |millionths| Some(Score::clamped(millionths));
        assert_eq!(most_agreed(&[score(0), score(900_000), score(910_000)]), Some(1));
        assert_eq!(most_agreed(&[score(0), score(0), score(910_000)]), Some(2));
        assert_eq!(most_agreed(&[score(1), score(2)]), None);
        assert_eq!(most_agreed(&[score(1), None, score(2), None]), None);
    }

    proptest! {
        #[test]
        fn likeness_is_symmetric_and_whole_for_equals(a in ".{0,60}", b in ".{0,60}") {
            let (one, two) = (Profile::of(&a), Profile::of(&b));
            prop_assert_eq!(one.likeness(&two), two.likeness(&one));
            prop_assert_eq!(one.likeness(&one), ONE);
            prop_assert!((0..=ONE).contains(&one.likeness(&two)));
        }
    }
}
