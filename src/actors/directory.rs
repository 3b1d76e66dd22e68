//! Who is reachable: miner actors by hotkey, for the HTTP workers. Written when registrations
//! change, read on each request of a miner.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use actix::Addr;

use super::miner::Miner;
use crate::domain::ids::{Hotkey, MinerUid, RegistrationId};

/// One miner's entry.
#[derive(Debug)]
pub struct Entry {
    /// Its registration.
    pub registration: RegistrationId,
    /// Its uid.
    pub uid: MinerUid,
    /// Its hotkey.
    pub hotkey: Hotkey,
    /// Its actor.
    pub addr: Addr<Miner>,
}

/// See the module's docs. Entries are shared, so that an address is cloned when its actor starts
/// and never per request.
#[derive(Debug, Clone, Default)]
pub struct Directory(Arc<RwLock<Maps>>);

#[derive(Debug, Default)]
struct Maps {
    by_hotkey: HashMap<Hotkey, Arc<Entry>>,
    by_uid: HashMap<MinerUid, Arc<Entry>>,
    by_registration: HashMap<RegistrationId, Arc<Entry>>,
}

impl Directory {
    /// The miner with this hotkey.
    #[must_use]
    pub fn by_hotkey(&self, hotkey: &Hotkey) -> Option<Arc<Entry>> {
        self.0.read().ok()?.by_hotkey.get(hotkey).cloned()
    }

    /// The miner at this uid.
    #[must_use]
    pub fn by_uid(&self, uid: MinerUid) -> Option<Arc<Entry>> {
        self.0.read().ok()?.by_uid.get(&uid).cloned()
    }

    /// The miner of this registration.
    #[must_use]
    pub fn by_registration(&self, id: RegistrationId) -> Option<Arc<Entry>> {
        self.0.read().ok()?.by_registration.get(&id).cloned()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().map_or(0, |maps| maps.by_registration.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.0
            .read()
            .map(|maps| maps.by_registration.values().cloned().collect())
            .unwrap_or_default()
    }

    pub(super) fn put(&self, entry: Entry) {
        let Ok(mut maps) = self.0.write() else { return };
        maps.put(entry);
    }

    pub(super) fn remove(&self, id: RegistrationId) {
        let Ok(mut maps) = self.0.write() else { return };
        maps.remove(id);
    }

    /// The same miner is found by another hotkey from now on.
    pub(super) fn rename(&self, id: RegistrationId, hotkey: Hotkey) {
        let Ok(mut maps) = self.0.write() else { return };
        let Some(known) = maps.remove(id) else { return };
        let (uid, addr) = (known.uid, known.addr.clone());
        maps.put(Entry { registration: id, uid, hotkey, addr });
    }
}

impl Maps {
    fn put(&mut self, entry: Entry) {
        let entry = Arc::new(entry);
        self.by_hotkey.insert(entry.hotkey.clone(), entry.clone());
        self.by_uid.insert(entry.uid, entry.clone());
        self.by_registration.insert(entry.registration, entry);
    }

    fn remove(&mut self, id: RegistrationId) -> Option<Arc<Entry>> {
        let entry = self.by_registration.remove(&id)?;
        // The hotkey or uid may have passed to another registration already.
        if self.by_hotkey.get(&entry.hotkey).is_some_and(|e| e.registration == id) {
            self.by_hotkey.remove(&entry.hotkey);
        }
        if self.by_uid.get(&entry.uid).is_some_and(|e| e.registration == id) {
            self.by_uid.remove(&entry.uid);
        }
        Some(entry)
    }
}
