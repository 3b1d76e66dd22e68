//! Weights without a server: a file of task values in, the calculation out, so that anyone can check
//! us. What is wrong is said of the field and the place it stands at.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::policy::PolicyName;
use super::record::Calculation;
use super::{Miner, TaskValue, WeightedKind, WeightsError, compute};
use crate::domain::ids::MinerUid;
use crate::domain::report::quote_bare_words;

/// A text that no weights can be made of.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OfflineError {
    /// Not a JSON object with the fields of the input.
    #[error("the input is no object of `policy`, `kinds` and `scores`: {0}")]
    BadInput(String),
    /// A field that cannot be read.
    #[error("`{place}` {reason}")]
    BadField {
        /// Path of the field; places count from 0.
        place: String,
        /// A phrase that completes "the field ..".
        reason: String,
    },
    /// Fields that can be read and not be used.
    #[error(transparent)]
    Unusable(#[from] WeightsError),
}

/// The whole as raw text, so that what is wrong with a field is said of that field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input<'a> {
    #[serde(borrow)]
    policy: Option<&'a RawValue>,
    #[serde(borrow)]
    kinds: Option<&'a RawValue>,
    #[serde(borrow)]
    scores: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    weight: Option<&'a RawValue>,
    #[serde(borrow)]
    sigmoid: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value<'a> {
    #[serde(borrow)]
    uid: Option<&'a RawValue>,
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    score: Option<&'a RawValue>,
}

/// The weights of `{"policy", "kinds": [{"name", "weight", "sigmoid"}], "scores": [{"uid", "kind",
/// "score"}]}`. Without a policy it is the default one, without `sigmoid` scores count as they are.
///
/// # Errors
/// [`OfflineError`] with the first field that cannot be read or used.
pub fn offline(json: &str) -> Result<Calculation, OfflineError> {
    match split(json) {
        Ok(input) => read(&input),
        // Python writes a bare `NaN`; put in quotes it becomes a plain refusal of that field.
        Err(error) => match quote_bare_words(json) {
            Some(quoted) => read(&split(&quoted)?),
            None => Err(error),
        },
    }
}

fn split(json: &str) -> Result<Input<'_>, OfflineError> {
    // A list would be taken for the fields in their order.
    if !json.trim_start().starts_with('{') {
        return Err(OfflineError::BadInput("it must begin with `{`".to_owned()));
    }
    serde_json::from_str(json).map_err(|error| OfflineError::BadInput(cut(&error.to_string())))
}

fn read(input: &Input<'_>) -> Result<Calculation, OfflineError> {
    let name = match input.policy {
        Some(raw) => parse("policy", raw, "must be `original` or `default`")?,
        None => PolicyName::Default,
    };
    let kinds = entries("kinds", input.kinds)?;
    let kinds = kinds.iter().enumerate().map(|(index, raw)| kind(index, raw));
    let kinds: Vec<WeightedKind> = kinds.collect::<Result<_, _>>()?;
    let scores = entries("scores", input.scores)?;
    let read = scores.iter().enumerate().map(|(index, raw)| value(index, raw));
    let read: Vec<(MinerUid, String, f64)> = read.collect::<Result<_, _>>()?;
    let values = read.iter().map(|(uid, kind, score)| {
        let miner = Miner::from(*uid);
        TaskValue { miner, kind, score: *score }
    });
    let values: Vec<TaskValue<'_>> = values.collect();
    Ok(compute(&name.policy(), &kinds, &values)?)
}

fn kind(index: usize, raw: &RawValue) -> Result<WeightedKind, OfflineError> {
    let place = |field| format!("kinds[{index}].{field}");
    let kind: Kind<'_> = object(&format!("kinds[{index}]"), raw)?;
    let sigmoid = match kind.sigmoid {
        Some(raw) => parse(&place("sigmoid"), raw, "must be true or false")?,
        None => false,
    };
    Ok(WeightedKind {
        name: needed(&place("name"), kind.name, "must be a text")?,
        weight: needed(&place("weight"), kind.weight, "must be a number, 0 to 1")?,
        sigmoid,
    })
}

fn value(index: usize, raw: &RawValue) -> Result<(MinerUid, String, f64), OfflineError> {
    let place = |field| format!("scores[{index}].{field}");
    let value: Value<'_> = object(&format!("scores[{index}]"), raw)?;
    Ok((
        needed(&place("uid"), value.uid, "must be a whole number, 0 to 65535")?,
        needed(&place("kind"), value.kind, "must be a text")?,
        needed(&place("score"), value.score, "must be a number, 0 to 1")?,
    ))
}

/// The entries of a list that must be there.
fn entries<'a>(field: &str, raw: Option<&'a RawValue>) -> Result<Vec<&'a RawValue>, OfflineError> {
    let raw = raw.ok_or_else(|| bad(field, "is missing"))?;
    serde_json::from_str(raw.get()).map_err(|_| bad(field, "must be a list of objects"))
}

/// An entry by its fields.
fn object<'a, T: Deserialize<'a>>(place: &str, raw: &'a RawValue) -> Result<T, OfflineError> {
    if !raw.get().starts_with('{') {
        return Err(bad(place, "must be an object"));
    }
    serde_json::from_str(raw.get()).map_err(|error| {
        let error = error.to_string();
        // Lines and columns count from the entry's own beginning, which nobody sees.
        let what = error.split(" at line ").next().unwrap_or_default();
        bad(place, &format!("is wrong: {}", cut(what)))
    })
}

fn needed<T: DeserializeOwned>(
    place: &str,
    raw: Option<&RawValue>,
    reason: &str,
) -> Result<T, OfflineError> {
    parse(place, raw.ok_or_else(|| bad(place, "is missing"))?, reason)
}

fn parse<T: DeserializeOwned>(
    place: &str,
    raw: &RawValue,
    reason: &str,
) -> Result<T, OfflineError> {
    serde_json::from_str(raw.get()).map_err(|_| bad(place, reason))
}

fn bad(place: &str, reason: &str) -> OfflineError {
    OfflineError::BadField { place: place.to_owned(), reason: reason.to_owned() }
}

/// A phrase that may quote the input, cut to what a line can hold.
fn cut(phrase: &str) -> String {
    phrase.chars().take(200).collect()
}
