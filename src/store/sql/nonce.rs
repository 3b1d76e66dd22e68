//! Nonces of signed requests: written in the transaction of the effect, so that a replay has none.

use sea_orm::{DatabaseTransaction, Value};

use super::dialect::{Batch as Rows, Cast};
use super::row::get;
use super::writer::{Batch, Waiting};
use crate::store::{Nonce, StoreError, StoreResult};

const INSERT: Rows = Rows {
    columns: &[("hotkey", Cast::Text), ("nonce", Cast::Big), ("seen_at", Cast::Big)],
    body: "INSERT INTO replay (hotkey, nonce, seen_at) SELECT hotkey, nonce, seen_at FROM v \
           WHERE true ON CONFLICT (hotkey, nonce) DO NOTHING RETURNING hotkey, nonce",
};

/// Writes all nonces of the batch; a command whose nonce was there before is refused.
pub(super) async fn take(tx: &DatabaseTransaction, batch: &mut Batch) -> StoreResult<()> {
    let mut taken = Taken::default();
    macro_rules! all {
        ($visit:ident) => {
            taken.$visit(&mut batch.enqueues, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.heartbeats, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.responds, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.releases, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.evaluates, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.reports, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.scores, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.files, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.voices, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.adoptions, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.submissions, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.webhooks, |c| c.nonce.as_ref());
            taken.$visit(&mut batch.spends, |nonce| Some(nonce));
            taken.$visit(&mut batch.keys, |c| c.by.nonce.as_ref());
            taken.$visit(&mut batch.key_changes, |c| c.by.nonce.as_ref());
            taken.$visit(&mut batch.key_rotations, |c| c.by.nonce.as_ref());
            taken.$visit(&mut batch.revocations, |c| c.by.nonce.as_ref());
            taken.$visit(&mut batch.shut_out, |c| c.by.nonce.as_ref());
            taken.$visit(&mut batch.let_in, |c| c.by.nonce.as_ref());
        };
    }
    all!(gather);
    if taken.rows.is_empty() {
        return Ok(());
    }
    for row in INSERT.run(tx, std::mem::take(&mut taken.rows)).await? {
        taken.fresh.insert((get::<String>(&row, 0)?, get::<i64>(&row, 1)?));
    }
    all!(refuse);
    batch.spends.iter_mut().filter(|waiting| waiting.is_open()).for_each(|spent| spent.answer(()));
    Ok(())
}

#[derive(Default)]
struct Taken {
    rows: Vec<Vec<Value>>,
    seen: std::collections::HashSet<(String, i64)>,
    fresh: std::collections::HashSet<(String, i64)>,
}

impl Taken {
    fn gather<C, A>(
        &mut self,
        waiting: &mut [Waiting<C, A>],
        nonce: impl Fn(&C) -> Option<&Nonce>,
    ) {
        for waiting in waiting {
            let Some(nonce) = nonce(&waiting.command) else { continue };
            if self.seen.insert((nonce.hotkey.to_string(), nonce.nonce)) {
                self.rows.push(vec![
                    nonce.hotkey.as_str().into(),
                    nonce.nonce.into(),
                    nonce.seen_at.0.into(),
                ]);
            } else {
                waiting.refuse(StoreError::Replayed);
            }
        }
    }

    fn refuse<C, A>(
        &mut self,
        waiting: &mut [Waiting<C, A>],
        nonce: impl Fn(&C) -> Option<&Nonce>,
    ) {
        for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
            let Some(nonce) = nonce(&waiting.command) else { continue };
            if !self.fresh.contains(&(nonce.hotkey.to_string(), nonce.nonce)) {
                waiting.refuse(StoreError::Replayed);
            }
        }
    }
}
