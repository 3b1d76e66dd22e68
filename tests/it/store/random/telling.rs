//! Random endpoints, and what becomes of deliveries to them.

use pithead::domain::ids::DeliveryId;
use pithead::store::*;

use super::super::make::*;
use super::Command;
use super::world::World;

impl World {
    /// Five endpoints that come and go, and the deliveries that wait.
    pub(super) fn telling(&mut self) -> Command {
        let n = u128::from(self.dice.below(5));
        match self.dice.below(20) {
            0..6 => {
                let mut put = webhook(n);
                if self.dice.one_in(3) {
                    put.webhook.owner = "bob".to_owned();
                }
                let some = ["", "task.done", "task.first_response task.failed", "task.approved"];
                put.webhook.events = self.dice.pick(&some).unwrap().to_owned();
                put.owned_max = 1 + self.dice.below(3);
                Command::PutWebhook(PutWebhook { nonce: self.nonce(), ..put })
            }
            6 => Command::DeleteWebhook(webhook_id(n)),
            7 => {
                let secret = format!("whsec_{}", self.dice.below(3));
                let old_until = self.now().plus(1_000);
                Command::RotateWebhook(RotateWebhook { id: webhook_id(n), secret, old_until })
            }
            8 => {
                let owner = if self.dice.one_in(2) { "alice" } else { "bob" }.to_owned();
                let secret = format!("whsec_{}", self.secs);
                let created_at = self.now();
                Command::KnowCallbackSecret(CallbackSecretRow { owner, secret, created_at })
            }
            9..12 => Command::Redeliver(self.delivery().0, self.now()),
            _ => self.note(),
        }
    }

    /// One that waits, and how often it was tried; or none.
    fn delivery(&mut self) -> (DeliveryId, u32) {
        let none = (DeliveryId(uuid::Uuid::from_u128(1)), 0);
        self.dice.pick(&self.deliveries).map_or(none, |row| (row.id, row.attempts))
    }

    fn note(&mut self) -> Command {
        let (id, mut attempts) = self.delivery();
        if self.dice.one_in(6) {
            attempts += 1;
        }
        let after = match self.dice.below(8) {
            0 => AfterTry::Disable("gone".to_owned()),
            1 => AfterTry::GivenUp,
            2..4 => AfterTry::Delivered,
            _ => AfterTry::Again(self.now().plus(i64::from(self.dice.small(9)) * 1_000)),
        };
        let tried = match self.dice.below(2) {
            0 => tried(500, self.now()),
            _ => Tried { at: self.now(), status: None, error: None, answer: None },
        };
        Command::NoteDelivery(NoteDelivery { id, attempts, tried, after })
    }
}
