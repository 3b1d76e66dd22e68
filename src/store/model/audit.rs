//! The audit log.

use super::Tables;
use super::dump::{Cell, Dump, line};
use crate::domain::audit::{Entry, Fact, Head};
use crate::domain::units::Millis;
use crate::store::audit::{fresh, writer};
use crate::store::{AuditPage, AuditPlace, Note};

impl Tables {
    pub(super) fn note(&mut self, Note { netuid, facts, now }: &Note) -> Vec<Entry> {
        let of = writer(*netuid);
        let stands = |fact: &Fact| {
            self.audit.values().any(|entry| {
                let same = entry.fact.action() == fact.action();
                entry.writer == of && same && entry.fact.subject() == fact.subject()
            })
        };
        let new = fresh(facts, stands);
        self.append(*netuid, &new, *now)
    }

    /// Puts facts behind the end of a subnet's log, within the command that they tell of.
    pub(super) fn append(&mut self, netuid: u16, facts: &[Fact], now: Millis) -> Vec<Entry> {
        let writer = writer(netuid);
        let of_writer = (writer.clone(), i64::MIN)..=(writer.clone(), i64::MAX);
        let newest = self.audit.range(of_writer).next_back();
        let mut head =
            newest.map_or_else(Head::default, |(_, e)| Head { seq: e.seq, hash: e.hash });
        let link = |fact: &Fact| head.link(&writer, fact.clone(), now);
        let entries: Vec<Entry> = facts.iter().map(link).collect();
        let rows = entries.iter().map(|entry| ((entry.writer.clone(), entry.seq), entry.clone()));
        self.audit.extend(rows);
        entries
    }

    pub(super) fn audit_page(&self, page: &AuditPage) -> Vec<Entry> {
        let writer = writer(page.netuid);
        let wanted = self.audit.values().rev().filter(|entry| {
            entry.writer == writer
                && page.before.is_none_or(|before| entry.seq < before)
                && entry.fact.action().starts_with(&page.action)
        });
        wanted.take(usize::try_from(page.limit).unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn audit_after(&self, place: AuditPlace, limit: u64) -> Vec<Entry> {
        use std::ops::Bound::{Excluded, Unbounded};
        let behind = self.audit.range((Excluded((place.writer, place.seq)), Unbounded));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        behind.take(limit).map(|(_, entry)| entry.clone()).collect()
    }

    pub(super) fn dump_audit(&self, dump: &mut Dump) {
        let rows = self.audit.values().map(|entry| {
            line!(
                writer = entry.writer,
                seq = entry.seq,
                at = entry.at,
                actor = entry.fact.actor(),
                action = entry.fact.action(),
                subject = entry.fact.subject(),
                detail = entry.fact.detail(),
                hash = entry.hash.as_slice(),
            )
        });
        dump.table("audit", rows.collect());
    }
}
