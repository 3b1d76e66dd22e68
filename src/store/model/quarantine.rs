//! Hotkeys that an operator shut out.

use super::Tables;
use crate::store::{LiftQuarantine, PutQuarantine};

impl Tables {
    pub(super) fn put_quarantine(&mut self, command: &PutQuarantine) -> bool {
        let (new, now) = (command.row(), command.by.now);
        self.quarantine.retain(|_, row| !row.is_over(now));
        let known = self.quarantine.get(&new.hotkey);
        if known.is_none() && self.quarantine.len() as u64 >= command.most {
            return false;
        }
        if known != Some(&new) {
            self.quarantine.insert(new.hotkey.clone(), new);
            self.append(command.by.netuid, &[command.fact()], now);
        }
        true
    }

    pub(super) fn lift_quarantine(&mut self, command: &LiftQuarantine) -> bool {
        let known = self.quarantine.get(&command.hotkey);
        if known.is_none_or(|row| row.is_over(command.by.now)) {
            return false;
        }
        self.quarantine.remove(&command.hotkey);
        self.append(command.by.netuid, &[command.fact()], command.by.now);
        true
    }
}
