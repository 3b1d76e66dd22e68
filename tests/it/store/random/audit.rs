//! Few facts of two subnets, many of which stand already.

use pithead::domain::audit::{Fact, SYSTEM};
use pithead::store::*;
use serde_json::json;

use super::{World, told};

/// The log, as text.
pub(super) async fn reads(store: &dyn Store) -> Vec<String> {
    let mut text = vec![told(store.audit_after(AuditPlace::default(), 99).await)];
    let place = AuditPlace { writer: "49".to_owned(), seq: 1 };
    text.push(told(store.audit_after(place, 3).await));
    for (action, before) in [("", None), ("weights.", Some(3)), ("weights.d", None)] {
        let page = AuditPage { netuid: 5, action: action.to_owned(), before, limit: 4 };
        text.push(told(store.audit(page).await));
    }
    text
}

impl World {
    pub(super) fn facts(&mut self) -> Note {
        let netuid = if self.dice.one_in(4) { 49 } else { 5 };
        let actions = ["weights.drift", "weights.data_gap", "chain.snapshot_old"];
        let facts = (0..self.dice.small(4)).map(|_| {
            let action = self.dice.pick(&actions).unwrap_or_default();
            let subject = self.dice.small(6).to_string();
            Fact::new(SYSTEM, action, &subject, &json!({ "n": self.dice.small(9) }))
        });
        let facts = facts.collect();
        Note { netuid, facts, now: self.now() }
    }
}
