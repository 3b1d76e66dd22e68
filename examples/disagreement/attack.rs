//! What dishonest validators say.

use super::world::{ONE, Rng};

/// How the dishonest behave. All of one world do the same, so that they collude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Nobody lies.
    None,
    /// Every miner at 0 or 1, each the wrong way round.
    Extreme,
    /// 0.2 more for everybody.
    Shift,
    /// A tenth of the miners is theirs and perfect.
    Inflate,
    /// The same number for everybody: nothing was measured.
    Lazy,
    /// Numbers drawn at random, each by itself.
    Random,
    /// 0.2 more in one report, 0.2 less in the next.
    Switching,
    /// Half a tolerance more for a tenth of the miners: too little to stand out.
    Nudge,
}

impl Attack {
    /// Those that the figures are measured by.
    pub(crate) const MEASURED: [Self; 3] = [Self::Extreme, Self::Shift, Self::Inflate];
    /// All kinds of dishonesty.
    pub(crate) const ALL: [Self; 7] = [
        Self::Extreme,
        Self::Shift,
        Self::Inflate,
        Self::Lazy,
        Self::Random,
        Self::Switching,
        Self::Nudge,
    ];

    /// What a liar says of a miner, given what it would honestly say; millionths.
    pub(crate) fn performance(self, honest: i64, miner: Miner, epoch: usize, rng: &mut Rng) -> i64 {
        let said = match self {
            Self::None => honest,
            Self::Extreme if miner.truth * 2 >= ONE => 0,
            Self::Extreme => ONE,
            Self::Shift => honest + ONE / 5,
            Self::Inflate if miner.is_theirs => ONE,
            Self::Nudge if miner.is_theirs => honest + ONE / 20,
            Self::Inflate | Self::Nudge => honest,
            Self::Lazy => ONE * 8 / 10,
            Self::Random => (rng.unit() * ONE as f64) as i64,
            Self::Switching if epoch.is_multiple_of(2) => honest + ONE / 5,
            Self::Switching => honest - ONE / 5,
        };
        said.clamp(0, ONE)
    }

    /// What a liar says of whether a miner serves.
    pub(crate) fn is_serving(self, honest: bool, miner: Miner) -> bool {
        match self {
            Self::None | Self::Shift | Self::Random | Self::Switching | Self::Nudge => honest,
            Self::Extreme => !miner.serves,
            Self::Inflate => miner.is_theirs || honest,
            Self::Lazy => true,
        }
    }
}

/// A miner as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Miner {
    /// Performance, millionths.
    pub(crate) truth: i64,
    pub(crate) serves: bool,
    /// Belongs to the liars.
    pub(crate) is_theirs: bool,
    /// Pithead has seen enough of it.
    pub(crate) is_observed: bool,
}

impl Miner {
    pub(crate) fn draw(uid: usize, rng: &mut Rng) -> Self {
        Self {
            truth: ONE * 3 / 10 + (rng.unit() * 0.65 * ONE as f64) as i64,
            serves: rng.unit() < 0.9,
            is_theirs: uid % 10 == 3,
            is_observed: rng.unit() < 0.5,
        }
    }
}
