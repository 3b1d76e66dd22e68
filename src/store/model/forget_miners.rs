//! Registrations that closed long ago are emptied.

use super::Tables;
use crate::domain::ids::RegistrationId;
use crate::store::{ForgetMiners, MinersForgotten};

impl Tables {
    /// Those that closed first come first; whoever has nothing left is passed over.
    pub(super) fn forget_miners(&mut self, command: ForgetMiners) -> MinersForgotten {
        let closed = self.registrations.values().filter_map(|known| {
            let closed = known.row.closed_at.filter(|closed| *closed < command.closed_before)?;
            Some((closed, known.row.id))
        });
        let mut closed: Vec<_> = closed.collect();
        closed.sort_unstable();
        let mut forgotten = MinersForgotten::default();
        for (_, id) in closed {
            if forgotten.miners >= command.miners_max {
                break;
            }
            let rows = self.empty(id);
            forgotten.miners += u64::from(rows > 0);
            forgotten.rows += rows;
        }
        forgotten
    }

    fn empty(&mut self, id: RegistrationId) -> u64 {
        let own = self.performances.iter().filter(|((.., of), _)| *of == id);
        let kinds: usize = own.map(|(_, row)| row.record.kinds.len()).sum();
        let rows = |t: &Self| {
            let sums = t.score_days.len() + t.voice_days.len() + t.work_days.len();
            t.kind_records.len() + sums + t.performances.len()
        };
        let had = rows(self) + kinds;
        self.kind_records.retain(|(of, _), _| *of != id);
        self.score_days.retain(|(of, ..), _| *of != id);
        self.voice_days.retain(|(of, ..), _| *of != id);
        self.work_days.retain(|(of, ..), _| *of != id);
        self.performances.retain(|(.., of), _| *of != id);
        (had - rows(self)) as u64
    }
}
