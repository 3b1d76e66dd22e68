//! A verdict's inputs as values, to be stored beside it: whoever has them can redo it.

use serde::{Deserialize, Serialize};

use super::merge::{Ballot, ChainFacts, Vote, merge};
use super::policy::ConsensusPolicy;
use super::verdict::{Agreed, Verdict, VoterName};
use crate::domain::ids::MinerUid;
use crate::domain::report::MinerStatus;
use crate::domain::units::Score;

/// Everything one verdict depends on. Reputations, biases and clique shares are those frozen at
/// the round's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictInputs {
    /// The rules in force.
    pub policy: ConsensusPolicy,
    /// The miner.
    pub uid: MinerUid,
    /// The round.
    pub round: i64,
    /// Each active validator's vote.
    pub votes: Vec<VoteInput>,
    /// What the previous round ended with.
    pub previous: Agreed,
    /// What the chain said.
    pub chain: Option<ChainFacts>,
}

/// One validator's vote; the fields are those of [`Vote`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see `Vote`")]
pub struct VoteInput {
    pub validator: VoterName,
    pub rank: u16,
    pub base: i64,
    pub bias: i64,
    /// What its stake was multiplied with to get `base`; for the reader.
    pub reputation: Score,
    /// Its share in its clique, within `reputation`; for the reader.
    pub clique_share: i64,
    pub period: i64,
    pub signed_nanos: i64,
    pub absent: bool,
    pub status: MinerStatus,
}

impl VoteInput {
    fn vote(&self) -> Vote<'_> {
        Vote {
            validator: &self.validator,
            rank: self.rank,
            base: self.base,
            bias: self.bias,
            reputation: self.reputation,
            clique_share: self.clique_share,
            period: self.period,
            signed_nanos: self.signed_nanos,
            absent: self.absent,
            status: &self.status,
        }
    }
}

impl VerdictInputs {
    /// The inputs of a ballot.
    #[must_use]
    pub fn of(policy: &ConsensusPolicy, ballot: &Ballot<'_>) -> Self {
        let mut votes: Vec<_> = ballot.votes.iter().collect();
        votes.sort_unstable_by_key(|vote| vote.rank);
        let votes = votes.into_iter().map(|vote| VoteInput {
            validator: vote.validator.clone(),
            rank: vote.rank,
            base: vote.base,
            bias: vote.bias,
            reputation: vote.reputation,
            clique_share: vote.clique_share,
            period: vote.period,
            signed_nanos: vote.signed_nanos,
            absent: vote.absent,
            status: vote.status.clone(),
        });
        Self {
            policy: policy.clone(),
            uid: ballot.uid,
            round: ballot.round,
            votes: votes.collect(),
            previous: ballot.previous.clone(),
            chain: ballot.chain.cloned(),
        }
    }

    /// The ballot again, to merge or to explain.
    #[must_use]
    pub fn ballot(&self) -> Ballot<'_> {
        Ballot {
            uid: self.uid,
            round: self.round,
            votes: self.votes.iter().map(VoteInput::vote).collect(),
            previous: &self.previous,
            chain: self.chain.as_ref(),
        }
    }
}

/// The verdict that follows from the inputs: byte for byte the one published.
#[must_use]
pub fn replay(inputs: &VerdictInputs) -> Verdict {
    merge(&inputs.policy, &inputs.ballot())
}
