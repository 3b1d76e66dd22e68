//! Scores that a validator gives for tasks of its own, read at the door. A bad one is refused alone and
//! never costs its neighbours.

use serde_json::Value;

use super::ids::{Hotkey, MinerUid};
use super::limits::SIGNATURE_FUTURE_MILLIS;
use super::report::{Rejection, parse_moment};
use super::units::{Millis, Score};

/// One score, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Place in the list, from 0.
    pub index: usize,
    /// Whose work.
    pub uid: MinerUid,
    /// Who that is, as the validator sees it.
    pub hotkey: Hotkey,
    /// Kind of the task.
    pub kind: String,
    /// The score.
    pub score: Score,
    /// Scored.
    pub scored_at: Millis,
    /// The chain's block of then, if it was said.
    pub block: Option<i64>,
}

/// What is taken now.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    /// Kinds that are scored.
    pub kinds: &'a [String],
    /// What time it is.
    pub now: Millis,
    /// Older scores count for nothing any more.
    pub oldest: Millis,
}

/// A miner as it is registered.
#[derive(Debug, Clone, Copy)]
pub struct Registered<'a> {
    /// Its hotkey.
    pub hotkey: &'a Hotkey,
    /// Since when.
    pub opened_at: Millis,
    /// Since which block; 0 when that is not known.
    pub block: i64,
}

/// A field at fault, and a phrase that completes "the field ..".
type Fault = (&'static str, String);

impl Door<'_> {
    /// Reads scores; good ones in the order sent, and refused ones.
    #[must_use]
    pub fn read(&self, entries: &[Value]) -> (Vec<Pushed>, Vec<Rejection>) {
        let (mut good, mut refused) = (Vec::with_capacity(entries.len()), Vec::new());
        for (index, entry) in entries.iter().enumerate() {
            match self.one(index, entry) {
                Ok(pushed) => good.push(pushed),
                Err((field, reason)) => {
                    let uid = entry.get("uid").and_then(whole);
                    refused.push(Rejection { index, uid, field: field.to_owned(), reason });
                }
            }
        }
        (good, refused)
    }

    fn one(&self, index: usize, entry: &Value) -> Result<Pushed, Fault> {
        if !entry.is_object() {
            return Err(("entry", "must be an object".to_owned()));
        }
        let uid = need(entry, "uid")?;
        let uid = whole(uid).and_then(|uid| u16::try_from(uid).ok());
        let uid = uid.ok_or_else(|| wrong("uid", "must be a whole number from 0 to 65535"))?;
        let hotkey = text(entry, "hotkey")?;
        let hotkey = Hotkey::parse(hotkey).map_err(|bad| ("hotkey", bad.to_string()))?;
        let score = need(entry, "score")?.as_f64().and_then(Score::from_f64);
        let score = score.ok_or_else(|| wrong("score", "must be a number from 0 to 1"))?;
        Ok(Pushed {
            index,
            uid: MinerUid(uid),
            hotkey,
            kind: self.kind(text(entry, "kind")?)?,
            score,
            scored_at: self.moment(need(entry, "scored_at")?)?,
            block: block(entry)?,
        })
    }

    fn kind(&self, named: &str) -> Result<String, Fault> {
        let underscores = named.replace('-', "_");
        let mut known = self.kinds.iter();
        known.find(|kind| *kind == named || **kind == underscores).cloned().ok_or_else(|| {
            wrong("kind", "is not scored here: see `GET /api/v1/kinds`, or add `[[weights.kinds]]`")
        })
    }

    fn moment(&self, value: &Value) -> Result<Millis, Fault> {
        let moment = parse_moment(&value.to_string());
        let moment = moment.map_err(|reason| wrong("scored_at", reason))?;
        if moment.since(self.now) > SIGNATURE_FUTURE_MILLIS {
            return Err(wrong("scored_at", "lies in the future: set your clock"));
        }
        if moment < self.oldest {
            return Err(("scored_at", format!("is before {}, the oldest kept", self.oldest)));
        }
        Ok(moment)
    }
}

impl Pushed {
    /// Whether it is about the miner that has its uid now.
    ///
    /// # Errors
    /// The refusal.
    pub fn about(&self, registered: Option<Registered<'_>>) -> Result<(), Rejection> {
        let Some(registered) = registered else {
            return Err(self.refuse("uid", "has no miner that is registered here"));
        };
        if *registered.hotkey != self.hotkey {
            return Err(self.refuse("hotkey", "is not the one of this uid"));
        }
        if self.scored_at < registered.opened_at {
            return Err(self.refuse("scored_at", "is before the miner was registered"));
        }
        if registered.block > 0 && self.block.is_some_and(|block| block < registered.block) {
            return Err(self.refuse("block", "is before the block of the registration"));
        }
        Ok(())
    }

    /// The refusal of this one.
    #[must_use]
    pub fn refuse(&self, field: &str, reason: &str) -> Rejection {
        Rejection {
            index: self.index,
            uid: Some(self.uid.0.into()),
            field: field.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

fn wrong(field: &'static str, reason: &str) -> Fault {
    (field, reason.to_owned())
}

fn need<'a>(entry: &'a Value, field: &'static str) -> Result<&'a Value, Fault> {
    entry.get(field).filter(|value| !value.is_null()).ok_or_else(|| wrong(field, "is missing"))
}

fn text<'a>(entry: &'a Value, field: &'static str) -> Result<&'a str, Fault> {
    need(entry, field)?.as_str().ok_or_else(|| wrong(field, "must be a text"))
}

fn block(entry: &Value) -> Result<Option<i64>, Fault> {
    let Some(block) = entry.get("block").filter(|block| !block.is_null()) else {
        return Ok(None);
    };
    let block = whole(block).filter(|block| *block >= 0);
    block.map(Some).ok_or_else(|| wrong("block", "must be a whole number, 0 or more"))
}

/// A whole number, also where it is written as `3.0`.
fn whole(value: &Value) -> Option<i64> {
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() < 9e15;
    value.as_i64().or_else(|| value.as_f64().filter(exact).map(|number| number as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);
    const OLDEST: Millis = Millis(NOW.0 - 1_000_000);

    fn key() -> Hotkey {
        Hotkey::parse("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY").unwrap()
    }

    fn read(entries: &[Value]) -> (Vec<Pushed>, Vec<Rejection>) {
        let kinds = ["weather".to_owned(), "soil_moisture".to_owned()];
        Door { kinds: &kinds, now: NOW, oldest: OLDEST }.read(entries)
    }

    fn entry(field: &str, value: Value) -> Value {
        let mut entry = json!({
            "kind": "soil-moisture", "uid": 3, "hotkey": key().as_str(), "score": 0.25,
            "scored_at": NOW.0, "block": 9,
        });
        entry[field] = value;
        entry
    }

    #[test]
    fn a_bad_score_is_refused_alone_with_its_field() {
        let faults = [
            ("kind", json!("lava")),
            ("kind", json!(5)),
            ("uid", json!(-1)),
            ("uid", json!(65_536)),
            ("uid", json!("3")),
            ("hotkey", json!("no hotkey")),
            ("hotkey", json!(null)),
            ("score", json!(1.000_001)),
            ("score", json!(-0.1)),
            ("score", json!("0.5")),
            ("scored_at", json!(NOW.0 + 2_001)),
            ("scored_at", json!(OLDEST.0 - 1)),
            ("scored_at", json!("yesterday")),
            ("block", json!(-1)),
            ("block", json!(1.5)),
        ];
        let mut entries: Vec<_> =
            faults.iter().map(|(field, value)| entry(field, value.clone())).collect();
        entries.push(json!(7));
        entries.push(entry("score", json!(1)));
        let (good, refused) = read(&entries);
        assert_eq!(good.len(), 1);
        assert_eq!((good[0].index, good[0].score), (entries.len() - 1, Score::ONE));
        assert_eq!(good[0].kind, "soil_moisture");
        let fields: Vec<_> = refused.iter().map(|of| of.field.as_str()).collect();
        let expected = faults.iter().map(|(field, _)| *field).chain(["entry"]);
        assert_eq!(fields, expected.collect::<Vec<_>>());
        assert!(refused.iter().map(|of| of.index).eq(0..16));
        assert_eq!((refused[0].uid, refused[2].uid, refused[15].uid), (Some(3), Some(-1), None));
    }

    #[test]
    fn moments_at_the_edges_are_taken_in_both_forms() {
        let rfc3339 = json!(OLDEST.rfc3339());
        for (value, moment) in
            [(json!(NOW.0 + 2_000), NOW.plus(2_000)), (json!(OLDEST.0), OLDEST), (rfc3339, OLDEST)]
        {
            let (good, refused) = read(&[entry("scored_at", value)]);
            assert_eq!(refused, []);
            assert_eq!(good[0].scored_at, moment);
        }
    }

    #[test]
    fn a_score_is_about_the_miner_that_has_the_uid_since_then() {
        let (good, _) = read(&[entry("block", json!(9)), entry("block", json!(null))]);
        let other = Hotkey::parse("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty").unwrap();
        let key = key();
        let since = |opened_at, block| Registered { hotkey: &key, opened_at, block };
        let fault = |pushed: &Pushed, of| pushed.about(of).err().map(|refused| refused.field);
        let field = |text: &str| Some(text.to_owned());
        assert_eq!(fault(&good[0], None), field("uid"));
        let others = Registered { hotkey: &other, ..since(OLDEST, 0) };
        assert_eq!(fault(&good[0], Some(others)), field("hotkey"));
        assert_eq!(fault(&good[0], Some(since(NOW.plus(1), 0))), field("scored_at"));
        assert_eq!(fault(&good[0], Some(since(NOW, 10))), field("block"));
        assert_eq!(fault(&good[0], Some(since(NOW, 9))), None);
        assert_eq!(fault(&good[1], Some(since(NOW, 10))), None, "it says no block");
    }
}
