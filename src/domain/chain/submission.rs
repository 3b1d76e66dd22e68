//! What became of a weight vector that a validator set: from the call to the epoch that counted it.
//!
//! ```text
//! calculated ─▶ submitted ────────────▶ settled          plain: counts from its own block
//!          └──▶ committed ─▶ revealed ─▶ settled         commit-reveal: counts from the reveal
//!     any of them but settled ─▶ failed │ reorged
//! ```

use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::limits::CHAIN_ERROR_CHARS_MAX;
use crate::domain::task::text_enum;

use super::snapshot::Snapshot;

text_enum! {
    /// How weights get onto the chain.
    Mode {
        /// At once.
        Plain = "plain",
        /// Sealed, and opened some tempos later.
        CommitReveal = "commit_reveal",
    }
}

text_enum! {
    /// How far a submission came.
    State {
        /// Made, and not sent yet.
        Calculated = "calculated",
        /// On the chain, in the clear.
        Submitted = "submitted",
        /// On the chain, sealed.
        Committed = "committed",
        /// Opened.
        Revealed = "revealed",
        /// An epoch counted it.
        Settled = "settled",
        /// The chain refused it.
        Failed = "failed",
        /// The chain forgot it.
        Reorged = "reorged",
    }
}

/// A vector and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Whose.
    pub validator: Hotkey,
    /// The block at which it was sent.
    pub block: i64,
    /// How.
    pub mode: Mode,
    /// How far.
    pub state: State,
    /// The block at which it was opened.
    pub revealed_block: Option<i64>,
    /// The first epoch that counted it.
    pub settled: Option<Settled>,
    /// What the chain said against it, in its own words.
    pub error: Option<String>,
}

/// The epoch that counted a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Its block.
    pub consensus_block: i64,
    /// Blocks from the moment at which the vector could count.
    pub delay_blocks: i64,
}

/// What happens to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The chain took it, at this block.
    Sent(i64),
    /// It was opened, at this block.
    Revealed(i64),
    /// An epoch counted it.
    Settled(Settled),
    /// The chain refused it, with these words.
    Failed(String),
    /// The chain forgot it.
    Reorged,
}

/// An event that cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// Not after this state.
    #[error("a submission that is `{state}` cannot become `{next}`")]
    State {
        /// As it is.
        state: State,
        /// What was said.
        next: State,
    },
    /// Opened before it was sealed.
    #[error("the reveal at block {revealed} is before the commit at block {sent}")]
    Backwards {
        /// The reveal.
        revealed: i64,
        /// The commit.
        sent: i64,
    },
}

impl Submission {
    /// Made and not sent.
    #[must_use]
    pub const fn new(validator: Hotkey, block: i64, mode: Mode) -> Self {
        let state = State::Calculated;
        Self { validator, block, mode, state, revealed_block: None, settled: None, error: None }
    }

    /// The block from which on epochs count it; `None` while it is sealed, or when it never will.
    #[must_use]
    pub const fn effective_block(&self) -> Option<i64> {
        match (self.state, self.mode) {
            (State::Submitted | State::Settled, Mode::Plain) => Some(self.block),
            (State::Revealed | State::Settled, _) => self.revealed_block,
            _ => None,
        }
    }

    /// Takes an event; whether it changed anything. The same again changes nothing.
    ///
    /// # Errors
    /// [`Impossible`]; nothing changed then.
    pub fn take(&mut self, event: Event) -> Result<bool, Impossible> {
        let before = self.clone();
        let next = match &event {
            Event::Sent(_) if self.mode == Mode::Plain => State::Submitted,
            Event::Sent(_) => State::Committed,
            Event::Revealed(_) => State::Revealed,
            Event::Settled(_) => State::Settled,
            Event::Failed(_) => State::Failed,
            Event::Reorged => State::Reorged,
        };
        let state = self.state;
        let may = match next {
            State::Submitted | State::Committed => state == State::Calculated,
            State::Revealed => state == State::Committed,
            State::Settled => matches!(state, State::Submitted | State::Revealed),
            State::Failed => !matches!(state, State::Settled | State::Reorged),
            State::Reorged => {
                matches!(state, State::Submitted | State::Committed | State::Revealed)
            }
            State::Calculated => false,
        };
        if !may && state != next {
            return Err(Impossible::State { state, next });
        }
        match event {
            Event::Sent(block) if may => self.block = block,
            Event::Revealed(revealed) if revealed < self.block => {
                return Err(Impossible::Backwards { revealed, sent: self.block });
            }
            Event::Revealed(block) if may => self.revealed_block = Some(block),
            Event::Settled(settled) if may => self.settled = Some(settled),
            Event::Failed(error) if may && state != next => {
                self.error = Some(error.chars().take(CHAIN_ERROR_CHARS_MAX).collect());
            }
            _ => {}
        }
        self.state = next;
        Ok(*self != before)
    }

    /// What a snapshot tells of it. The chain keeps when each validator set weights last: who set none
    /// since the block of a plain vector has lost it. An epoch at or after the block from which the
    /// vector counts has counted it.
    #[must_use]
    pub fn seen(&self, snapshot: &Snapshot) -> Option<Event> {
        let effective = self.effective_block()?;
        if self.state == State::Settled || snapshot.block < effective {
            return None;
        }
        let of = |neuron: &&super::Neuron| neuron.hotkey == self.validator;
        let neuron = snapshot.neurons.values().find(of)?;
        if self.mode == Mode::Plain && neuron.last_update < self.block {
            return Some(Event::Reorged);
        }
        let consensus_block = snapshot.last_step;
        // Epochs pass over the vectors of those who have no permit.
        (neuron.validator_permit && consensus_block >= effective).then(|| {
            Event::Settled(Settled { consensus_block, delay_blocks: consensus_block - effective })
        })
    }
}

/// What a subnet asks of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Fewest weights.
    pub min_allowed_weights: Option<u16>,
    /// Largest share of one, in 1/65535.
    pub max_weight_limit: Option<u16>,
}

/// Why the chain would refuse a vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Nobody gets anything.
    #[error("no weight is positive: there is nothing to set")]
    Empty,
    /// Too few.
    #[error("{got} weights are positive, and the subnet wants at least {least}")]
    TooFew {
        /// Positive weights.
        got: usize,
        /// The least.
        least: u16,
    },
    /// Too large a share.
    #[error("uid {uid} has {share} of 65535, and the subnet allows {most}")]
    TooLarge {
        /// Whose.
        uid: MinerUid,
        /// Its share, rounded up.
        share: u64,
        /// The most.
        most: u16,
    },
}

/// What the chain would say against the vector. A validator that only weighs itself is exempt, as
/// there.
#[must_use]
pub fn warnings(
    weights: &[(MinerUid, u16)],
    own: Option<MinerUid>,
    limits: Limits,
) -> Vec<Warning> {
    let positive: Vec<_> = weights.iter().filter(|(_, weight)| *weight > 0).collect();
    let Some((uid, largest)) = positive.iter().max_by_key(|(_, weight)| *weight).copied() else {
        return vec![Warning::Empty];
    };
    if positive.len() == 1 && Some(*uid) == own {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    let got = positive.len();
    if let Some(least) = limits.min_allowed_weights.filter(|least| got < usize::from(*least)) {
        warnings.push(Warning::TooFew { got, least });
    }
    let sum: u64 = positive.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let share = (u64::from(*largest) * u64::from(u16::MAX)).div_ceil(sum.max(1));
    if let Some(most) = limits.max_weight_limit.filter(|most| share > u64::from(*most)) {
        warnings.push(Warning::TooLarge { uid: *uid, share, most });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::chain::make::{neuron, snapshot};

    fn plain() -> Submission {
        Submission::new(Hotkey::parse("hot1").unwrap(), 800, Mode::Plain)
    }

    fn sealed() -> Submission {
        Submission { mode: Mode::CommitReveal, ..plain() }
    }

    fn after(mut of: Submission, events: &[Event]) -> Submission {
        for event in events {
            assert_eq!(of.take(event.clone()), Ok(true), "{event:?}");
            assert_eq!(of.take(event.clone()), Ok(false), "{event:?} again");
        }
        of
    }

    /// A snapshot in which the validator set weights last at `last_update`, the last epoch at
    /// `last_step`.
    fn look(block: i64, last_update: i64, last_step: i64) -> Snapshot {
        let mut row = neuron(1);
        row["last_update"] = last_update.into();
        row["validator_permit"] = true.into();
        Snapshot { last_step, ..snapshot(block, &[row]) }
    }

    fn settled(consensus_block: i64, delay_blocks: i64) -> Event {
        Event::Settled(Settled { consensus_block, delay_blocks })
    }

    #[test]
    fn a_plain_vector_counts_from_its_block() {
        let sent = after(plain(), &[Event::Sent(801)]);
        assert_eq!((sent.state, sent.effective_block()), (State::Submitted, Some(801)));
        assert_eq!(sent.seen(&look(900, 801, 715)), None, "no epoch since");
        assert_eq!(sent.seen(&look(1_100, 801, 1_076)), Some(settled(1_076, 275)));
        let mut shut = look(1_100, 801, 1_076);
        shut.neurons.values_mut().for_each(|neuron| neuron.validator_permit = false);
        assert_eq!(sent.seen(&shut), None, "without a permit it is passed over");
        assert_eq!(
            sent.seen(&look(1_100, 950, 1_076)),
            Some(settled(1_076, 275)),
            "set again since"
        );
        let done = after(sent, &[settled(1_076, 275)]);
        assert_eq!(done.seen(&look(1_500, 801, 1_437)), None, "the first epoch counts");
    }

    #[test]
    fn a_sealed_vector_gets_no_credit_before_it_is_opened() {
        let sent = after(sealed(), &[Event::Sent(801)]);
        assert_eq!((sent.state, sent.effective_block()), (State::Committed, None));
        assert_eq!(sent.seen(&look(1_100, 801, 1_076)), None);
        let opened = after(sent, &[Event::Revealed(1_080)]);
        assert_eq!(opened.seen(&look(1_100, 801, 1_076)), None, "that epoch was before the reveal");
        assert_eq!(opened.seen(&look(1_500, 801, 1_437)), Some(settled(1_437, 357)));
    }

    #[test]
    fn what_the_chain_forgot_is_seen() {
        let sent = after(plain(), &[Event::Sent(801)]);
        assert_eq!(sent.seen(&look(900, 700, 715)), Some(Event::Reorged));
        assert_eq!(sent.seen(&look(800, 700, 715)), None, "a look at the time before");
        let others = snapshot(900, &[neuron(2)]);
        assert_eq!(sent.seen(&others), None, "the validator is not registered");
    }

    #[test]
    fn nothing_follows_that_cannot() {
        let early = sealed().take(Event::Revealed(900));
        let (state, next) = (State::Calculated, State::Revealed);
        assert_eq!(early, Err(Impossible::State { state, next }));
        let mut sent = after(sealed(), &[Event::Sent(801)]);
        let before = sent.clone();
        let backwards = Impossible::Backwards { revealed: 800, sent: 801 };
        assert_eq!(sent.take(Event::Revealed(800)), Err(backwards));
        assert!(sent.take(settled(900, 1)).is_err());
        assert_eq!(sent, before);
        let mut opened = after(sent, &[Event::Revealed(900)]);
        assert_eq!(opened.take(Event::Revealed(950)), Ok(false), "the first word stands");
        assert_eq!(opened.revealed_block, Some(900));
        let mut failed = after(plain(), &[Event::Failed("SettingWeightsTooFast".to_owned())]);
        assert_eq!(failed.error.as_deref(), Some("SettingWeightsTooFast"));
        assert!(failed.take(Event::Sent(900)).is_err());
        let long = "x".repeat(CHAIN_ERROR_CHARS_MAX + 1);
        let long = after(plain(), &[Event::Failed(long)]);
        assert_eq!(long.error.map(|error| error.len()), Some(CHAIN_ERROR_CHARS_MAX));
    }

    fn vector(weights: &[u16]) -> Vec<(MinerUid, u16)> {
        (0..).map(MinerUid).zip(weights.iter().copied()).collect()
    }

    #[test]
    fn a_vector_that_the_chain_would_refuse_is_warned_of() {
        let limits = Limits { min_allowed_weights: Some(3), max_weight_limit: Some(32_767) };
        assert_eq!(warnings(&vector(&[0, 0]), None, limits), [Warning::Empty]);
        assert_eq!(warnings(&vector(&[65_535, 40_000, 30_000]), None, limits), []);
        let few = Warning::TooFew { got: 2, least: 3 };
        let large = Warning::TooLarge { uid: MinerUid(2), share: 43_690, most: 32_767 };
        assert_eq!(warnings(&vector(&[0, 10, 20]), None, limits), [few, large]);
        assert_eq!(warnings(&vector(&[0, 10, 20]), None, Limits::default()), []);
        assert_eq!(warnings(&vector(&[0, 9]), Some(MinerUid(1)), limits), []);
        assert_eq!(warnings(&vector(&[0, 9]), Some(MinerUid(0)), limits).len(), 2);
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (800..805_i64).prop_map(Event::Sent),
            (799..806_i64).prop_map(Event::Revealed),
            (801..806_i64).prop_map(|at| settled(at, 1)),
            "[A-Z]{1,3}".prop_map(Event::Failed),
            Just(Event::Reorged),
        ]
    }

    proptest! {
        /// Whatever is said in whatever order: an end stays, what is sealed is never credited, and a
        /// credit has an epoch not before the block from which the vector counts.
        #[test]
        fn ends_stay_and_credit_needs_a_reveal(
            is_sealed: bool,
            events in proptest::collection::vec(event(), 0..20),
        ) {
            let mut submission = if is_sealed { sealed() } else { plain() };
            for event in events {
                let before = submission.clone();
                match submission.take(event) {
                    Ok(changed) => prop_assert_eq!(changed, submission != before),
                    Err(_) => prop_assert_eq!(&submission, &before),
                }
                if matches!(before.state, State::Settled | State::Failed | State::Reorged) {
                    let may = before.state == State::Failed && submission.state == State::Failed;
                    prop_assert!(submission == before || may);
                }
                if submission.state == State::Settled && is_sealed {
                    prop_assert!(submission.revealed_block.is_some());
                }
                prop_assert_eq!(submission.error.is_some(), submission.state == State::Failed);
            }
        }
    }
}
