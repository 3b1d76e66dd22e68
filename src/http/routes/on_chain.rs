//! The end of a weight's walk: what validators set for a miner, and what the chain pays it.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::actors::chain_sync::Believed;
use crate::domain::chain::State;
use crate::domain::ids::MinerUid;
use crate::domain::weights::RunMiner;
use crate::http::Web;
use crate::http::error::ApiResult;
use crate::store::SubmissionRow;

/// What is known of a miner there.
pub(super) struct OnChain {
    uid: MinerUid,
    /// Of each validator that weighs it the newest, and the newest that an epoch has counted.
    submissions: Vec<SubmissionRow>,
    incentive: Option<Incentive>,
}

struct Incentive {
    share: f64,
    rank: Option<u32>,
    block: i64,
    consensus_block: i64,
}

impl OnChain {
    /// Of the miner of a calculation: of vectors before its registration it is not meant.
    ///
    /// # Errors
    /// 503 when the database refuses.
    pub(super) async fn of(web: &Web, miner: &RunMiner) -> ApiResult<Self> {
        let (netuid, uid, hotkey) = (web.config.netuid, miner.uid, &miner.hotkey);
        let since = web.store.registration(miner.registration).await?;
        let since = since.map_or(0, |row| row.registered_block);
        // What was heard at this very moment counts.
        let at = web.clock.now().plus(1);
        let mut submissions = web.store.submissions_before(netuid, at).await?;
        submissions.retain(|row| row.of.block >= since && row.vector().weight(uid).is_some());
        submissions.reverse();
        let believed = web.chain.send(Believed).await?;
        let incentive = believed.and_then(|row| {
            let neuron = row.snapshot.neurons.get(&uid).filter(|n| n.hotkey == *hotkey)?;
            Some(Incentive {
                share: f64::from(neuron.incentive) / f64::from(u16::MAX),
                rank: row.snapshot.ranks().get(&uid).copied(),
                block: row.snapshot.block,
                consensus_block: row.snapshot.last_step,
            })
        });
        Ok(Self { uid, submissions, incentive })
    }

    /// The submissions, for programs.
    pub(super) fn submissions(&self) -> Value {
        let shown = |row: &SubmissionRow| {
            let weight = row.vector().weight(self.uid);
            json!({
                "validator_hotkey": row.of.validator,
                "block": row.of.block,
                "state": row.of.state,
                "weight_u16": weight,
                "submitted_weight": weight.map(|weight| row.vector().share(weight)),
                "effective_block": row.of.effective_block(),
                "consensus_block": row.of.settled.map(|settled| settled.consensus_block),
                "consensus_delay_blocks": row.of.settled.map(|settled| settled.delay_blocks),
            })
        };
        self.submissions.iter().map(shown).collect()
    }

    /// The incentive, for programs. It is credited to those whose weights the epoch had counted.
    pub(super) fn incentive(&self) -> Value {
        let Some(incentive) = &self.incentive else { return Value::Null };
        let credited = self.submissions.iter().filter(|row| row.of.state == State::Settled);
        json!({
            "incentive": incentive.share,
            "consensus_rank": incentive.rank,
            "block": incentive.block,
            "consensus_block": incentive.consensus_block,
            "credited_to": credited.map(|row| &row.of.validator).collect::<Vec<_>>(),
        })
    }

    /// Both, for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if self.submissions.is_empty() {
            text.push_str("9. Submission: no validator told of one.\n");
        }
        for row in &self.submissions {
            let weight = row.vector().weight(self.uid).unwrap_or_default();
            let how = match (row.of.state, row.of.settled) {
                (_, Some(settled)) => format!(
                    "counted at block {}, {} blocks after it could be",
                    settled.consensus_block, settled.delay_blocks
                ),
                (State::Committed, None) => "sealed, nothing is credited yet".to_owned(),
                (state, None) => format!("{state}, waits for an epoch"),
            };
            let (validator, block) = (&row.of.validator, row.of.block);
            let share = row.vector().share(weight);
            writeln!(
                text,
                "9. Submission: {validator} set {share:.8} ({weight}) for block {block}: {how}."
            )
            .ok();
        }
        match &self.incentive {
            None => text.push_str("10. Incentive: no snapshot of the chain tells of this miner.\n"),
            Some(Incentive { share, rank, block, consensus_block }) => {
                let place = rank.map_or("no place".to_owned(), |rank| format!("place {rank}"));
                writeln!(
                    text,
                    "10. Incentive: {share:.8}, {place}, as of block {block} (epoch of block \
                     {consensus_block})."
                )
                .ok();
            }
        }
        text
    }
}
