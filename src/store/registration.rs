//! Registrations: the commands, and the rule of who stays who it was.

use serde_json::json;

use super::{Lost, RegistrationRow};
use crate::domain::audit::{Fact, SYSTEM};
use crate::domain::ids::{Hotkey, MinerUid, RegistrationId};
use crate::domain::lease::LeasePolicy;
use crate::domain::units::Millis;

/// See [`super::Store::register`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Id when it is new.
    pub id: RegistrationId,
    /// Subnet.
    pub netuid: u16,
    /// Place in it.
    pub uid: MinerUid,
    /// Who has it now.
    pub hotkey: Hotkey,
    /// Since which block; 0 when not known.
    pub registered_block: i64,
    /// Owner, where known.
    pub coldkey: Option<Hotkey>,
    /// Leases at once.
    pub capacity: u32,
    /// What becomes of slots that the predecessor held.
    pub policy: LeasePolicy,
    /// Now.
    pub now: Millis,
}

/// Answer to [`Register`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The registration that is open now.
    pub row: RegistrationRow,
    /// Registrations of that uid that closed.
    pub closed: Vec<RegistrationId>,
    /// Leases that they held.
    pub lost: Vec<Lost>,
}

/// See [`super::Store::deregister`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deregister {
    /// Which.
    pub id: RegistrationId,
    /// What becomes of slots that it held.
    pub policy: LeasePolicy,
    /// Now.
    pub now: Millis,
}

/// The block that an open registration has from now on, if it goes on; `None` if another miner has
/// the uid now. The same rule as [`crate::domain::chain::changes`]: under the same hotkey a block
/// fills one that was not known, or corrects it downwards, and a later one is a registration anew;
/// under another hotkey only the very block that is known is the same miner.
pub(super) fn same(hotkey: &str, block: i64, command: &Register) -> Option<i64> {
    let said = command.registered_block;
    let goes_on = match hotkey == command.hotkey.as_str() {
        true => said == 0 || block == 0 || said <= block,
        false => said != 0 && said == block,
    };
    goes_on.then_some(if said == 0 { block } else { said })
}

/// Who a registration stands for, in the words of the audit log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) id: RegistrationId,
    pub(super) uid: u16,
    pub(super) hotkey: &'a str,
    pub(super) block: i64,
}

/// The same miner has a new hotkey.
pub(super) fn renamed(of: Whose<'_>, to: &Hotkey) -> Fact {
    let detail = json!({ "uid": of.uid, "from": of.hotkey, "to": to });
    Fact::new(SYSTEM, "registration.renamed", &of.id.to_string(), &detail)
}

/// A registration ended, for another one or for nobody.
pub(super) fn ended(of: Whose<'_>, by: Option<&RegistrationRow>) -> Fact {
    let action = if by.is_some() { "registration.replaced" } else { "registration.closed" };
    let mut detail = json!({ "uid": of.uid, "hotkey": of.hotkey, "registered_block": of.block });
    if let Some(by) = by {
        detail["by"] = json!({
            "registration": by.id, "hotkey": by.hotkey, "registered_block": by.registered_block,
        });
    }
    Fact::new(SYSTEM, action, &of.id.to_string(), &detail)
}
