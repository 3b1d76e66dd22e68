//! API keys.

use super::Tables;
use crate::domain::audit::Fact;
use crate::store::keys::{changed, created, revoked, rotated};
use crate::store::{By, ChangeKey, KeyRow, PutKey, RevokeKey, RotateKey};

impl Tables {
    fn tell_of_key(&mut self, by: &By, fact: Fact) {
        self.append(by.netuid, &[fact], by.now);
    }

    pub(super) fn put_key(&mut self, command: &PutKey) {
        if self.keys.contains_key(&command.key.id) {
            return;
        }
        self.keys.insert(command.key.id.clone(), command.key.clone());
        self.tell_of_key(&command.by, created(command));
    }

    fn valid_key(&self, id: &str) -> Option<KeyRow> {
        self.keys.get(id).filter(|key| key.revoked_at.is_none()).cloned()
    }

    pub(super) fn change_key(&mut self, command: &ChangeKey) -> Option<KeyRow> {
        let old = self.valid_key(&command.id)?;
        let new = command.applied(&old);
        if new != old {
            self.keys.insert(new.id.clone(), new.clone());
            self.tell_of_key(&command.by, changed(&command.by, &old, &new));
        }
        Some(new)
    }

    pub(super) fn rotate_key(&mut self, command: &RotateKey) -> Option<KeyRow> {
        let old = self.valid_key(&command.id)?;
        let new = command.applied(&old);
        if new != old {
            self.keys.insert(new.id.clone(), new.clone());
            self.tell_of_key(&command.by, rotated(&command.by, &new));
        }
        Some(new)
    }

    pub(super) fn revoke_key(&mut self, command: &RevokeKey) -> bool {
        let Some(old) = self.valid_key(&command.id) else { return false };
        self.keys.insert(old.id.clone(), KeyRow { revoked_at: Some(command.by.now), ..old });
        self.tell_of_key(&command.by, revoked(command));
        true
    }
}
