//! Submitted weights: the row, the command, and the rule that both stores follow.

use uuid::Uuid;

use super::Nonce;
use crate::domain::chain::{Event, Mode, State, Submission, Vector};
use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::units::Millis;

/// A submission's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionRow {
    /// Subnet.
    pub netuid: u16,
    /// The validator's uid then.
    pub validator_uid: u16,
    /// Whose, for which block, and how far it came.
    pub of: Submission,
    /// Version of the program that set it.
    pub version_key: Option<i64>,
    /// Pairs of uid and weight, by uid.
    pub weights: Vec<(MinerUid, u16)>,
    /// The calculation that it comes from.
    pub run: Option<Uuid>,
    /// First heard of.
    pub created_at: Millis,
    /// Last changed.
    pub updated_at: Millis,
    /// When its steps were heard of.
    pub heard: Heard,
}

/// When the steps of a submission were heard of, so that it is known how it stood at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// On the chain, in the clear or sealed.
    pub sent_at: Option<Millis>,
    /// Opened.
    pub revealed_at: Option<Millis>,
    /// Counted by an epoch.
    pub settled_at: Option<Millis>,
    /// Failed or forgotten.
    pub ended_at: Option<Millis>,
}

impl SubmissionRow {
    /// Notes the step that it came to.
    pub(super) fn note(&mut self, now: Millis) {
        let heard = &mut self.heard;
        let step = match self.of.state {
            State::Calculated => return,
            State::Submitted | State::Committed => &mut heard.sent_at,
            State::Revealed => {
                // Both may come in one word.
                heard.sent_at.get_or_insert(now);
                &mut heard.revealed_at
            }
            State::Settled => &mut heard.settled_at,
            State::Failed | State::Reorged => &mut heard.ended_at,
        };
        step.get_or_insert(now);
    }

    /// As it stood right before a moment, by what was heard until then; `None` while it was not on the
    /// chain, and where it had failed or was forgotten.
    #[must_use]
    pub fn before(mut self, at: Millis) -> Option<Self> {
        let heard = |step: Option<Millis>| step.is_some_and(|step| step < at);
        if !heard(self.heard.sent_at) || heard(self.heard.ended_at) {
            return None;
        }
        if !heard(self.heard.settled_at) {
            self.of.settled = None;
            self.of.state = match self.of.mode {
                Mode::Plain => State::Submitted,
                Mode::CommitReveal if heard(self.heard.revealed_at) => State::Revealed,
                Mode::CommitReveal => {
                    self.of.revealed_block = None;
                    State::Committed
                }
            };
            self.of.error = None;
        }
        Some(self)
    }

    /// As weights are credited by it.
    #[must_use]
    pub fn vector(&self) -> Vector<'_> {
        let heard_at = self.heard.sent_at.unwrap_or(self.created_at);
        Vector { of: &self.of, weights: &self.weights, heard_at }
    }
}

/// See [`super::Store::put_submission`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutSubmission {
    /// Subnet.
    pub netuid: u16,
    /// Whose.
    pub validator: Hotkey,
    /// Its uid.
    pub validator_uid: u16,
    /// For which block.
    pub block: i64,
    /// How; may be left out of later words.
    pub mode: Option<Mode>,
    /// Version of the program that set it.
    pub version_key: Option<i64>,
    /// Pairs of uid and weight, by uid; may be left out of later words.
    pub weights: Option<Vec<(MinerUid, u16)>>,
    /// The calculation that it comes from.
    pub run: Option<Uuid>,
    /// How far it came.
    pub state: Told,
    /// Rows of the validator that no epoch has counted, at most.
    pub open_max: u64,
    /// Now.
    pub now: Millis,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// What a validator may say of its own submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Made, not sent.
    Calculated,
    /// The chain took it: submitted, or committed.
    Sent,
    /// It was opened at this block.
    Revealed(i64),
    /// The chain refused it, with these words.
    Failed(String),
}

/// Answer to [`PutSubmission`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmissionPut {
    /// As it stands now, and whether this word changed it.
    Taken(Box<SubmissionRow>, bool),
    /// The first word of a block must say what is submitted.
    NoWeights,
    /// Another vector, or another way to set it, stands for this block.
    Conflict,
    /// This cannot follow.
    Impossible(String),
    /// As many of the validator's wait for an epoch as may.
    TooMany,
}

/// Which submissions to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionPage {
    /// Subnet.
    pub netuid: u16,
    /// Only of this validator.
    pub validator: Option<Hotkey>,
    /// Only older ones than this block's of this validator.
    pub before: Option<(i64, Hotkey)>,
    /// Rows at most.
    pub limit: u64,
}

/// What becomes of a word: the answer, and with it the row to write where it changed.
pub(super) fn put(known: Option<SubmissionRow>, command: &PutSubmission) -> SubmissionPut {
    let is_new = known.is_none();
    let Some(mut row) = known.or_else(|| fresh(command)) else { return SubmissionPut::NoWeights };
    let begun = row.of.state != State::Calculated;
    let other_weights = command.weights.as_ref().is_some_and(|weights| *weights != row.weights);
    let other_mode = command.mode.is_some_and(|mode| mode != row.of.mode);
    if other_weights || (other_mode && begun) {
        return SubmissionPut::Conflict;
    }
    let before = row.clone();
    if let Some(mode) = command.mode {
        row.of.mode = mode;
    }
    row.version_key = row.version_key.or(command.version_key);
    row.run = row.run.or(command.run);
    for event in events(&row, command) {
        if let Err(impossible) = row.of.take(event) {
            return SubmissionPut::Impossible(impossible.to_string());
        }
    }
    let changed = is_new || row != before;
    if changed {
        row.note(command.now);
        row.updated_at = command.now;
    }
    SubmissionPut::Taken(Box::new(row), changed)
}

fn fresh(command: &PutSubmission) -> Option<SubmissionRow> {
    let mode = command.mode.unwrap_or(Mode::Plain);
    Some(SubmissionRow {
        netuid: command.netuid,
        validator_uid: command.validator_uid,
        of: Submission::new(command.validator.clone(), command.block, mode),
        version_key: command.version_key,
        weights: command.weights.clone()?,
        run: command.run,
        created_at: command.now,
        updated_at: command.now,
        heard: Heard::default(),
    })
}

/// The steps to where the validator says that it is.
fn events(row: &SubmissionRow, command: &PutSubmission) -> Vec<Event> {
    let sent = Event::Sent(command.block);
    match &command.state {
        Told::Calculated => Vec::new(),
        Told::Sent if matches!(row.of.state, State::Revealed | State::Settled) => Vec::new(),
        Told::Sent => vec![sent],
        Told::Revealed(block) if row.of.state == State::Calculated => {
            vec![sent, Event::Revealed(*block)]
        }
        Told::Revealed(_) if row.of.state == State::Settled => Vec::new(),
        Told::Revealed(block) => vec![Event::Revealed(*block)],
        Told::Failed(error) => vec![Event::Failed(error.clone())],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::chain::Settled;

    /// A validator's word, or what a snapshot tells.
    fn step() -> impl Strategy<Value = Result<Told, Event>> {
        let settled = Settled { consensus_block: 9, delay_blocks: 1 };
        prop_oneof![
            1 => Just(Ok(Told::Calculated)),
            3 => Just(Ok(Told::Sent)),
            3 => (0..9_i64).prop_map(|block| Ok(Told::Revealed(block))),
            1 => Just(Ok(Told::Failed("Why".to_owned()))),
            3 => Just(Err(Event::Settled(settled))),
            1 => Just(Err(Event::Reorged)),
        ]
    }

    fn word(state: Told, mode: Option<Mode>, now: Millis) -> PutSubmission {
        PutSubmission {
            netuid: 5,
            validator: Hotkey::parse("one").unwrap(),
            validator_uid: 3,
            block: 4,
            mode,
            version_key: None,
            weights: Some(vec![(MinerUid(1), 9)]),
            run: None,
            state,
            open_max: 9,
            now,
            nonce: None,
        }
    }

    proptest! {
        /// Whatever comes later, how a submission stood at a moment stays as it was seen then.
        #[test]
        fn the_past_of_a_submission_does_not_change(
            is_sealed: bool,
            steps in proptest::collection::vec(step(), 1..8),
        ) {
            let mode = Some(if is_sealed { Mode::CommitReveal } else { Mode::Plain });
            let (mut row, mut seen): (Option<SubmissionRow>, Vec<_>) = (None, Vec::new());
            for (secs, step) in (1..).zip(steps) {
                let now = Millis(secs);
                match step {
                    Ok(state) => {
                        let put = put(row.clone(), &word(state, mode, now));
                        if let SubmissionPut::Taken(new, _) = put {
                            row = Some(*new);
                        }
                    }
                    Err(event) => {
                        if let Some(row) = row.as_mut()
                            && row.of.take(event).is_ok()
                        {
                            row.note(now);
                        }
                    }
                }
                let stands = row.clone().map(|row| row.of).filter(|of| {
                    !matches!(of.state, State::Calculated | State::Failed | State::Reorged)
                });
                seen.push((now.plus(1), stands));
                for (at, stood) in &seen {
                    let then = row.clone().and_then(|row| row.before(*at)).map(|row| row.of);
                    prop_assert_eq!(&then, stood, "before {:?}", at);
                }
            }
        }
    }
}
