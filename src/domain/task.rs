//! A task and its slots: states, transitions, and when a task has come to its end.
//!
//! ```text
//! slot:  queued -> offered -> running -> answered
//!           ^         |          |
//!           +---------+----------+--> failed | superseded
//!
//! task:  open --------------------> done --> approved
//!          |
//!          +--> failed | cancelled | expired
//! ```
//! The row stores the *state* of the table above. The *status* that clients see, with `pending`,
//! `distributed` and `processing` for an open task, is derived from the slots, so that the two can
//! never disagree.

use std::fmt;
use std::str::FromStr;

use super::ids::BadId;
use super::units::MINUTE;

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The text form, in JSON and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::ids::BadId;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err($crate::domain::ids::BadId {
                        got: text.chars().take(80).collect(),
                        expected: concat!("one of", $(" `", $text, "`",)*),
                    }),
                }
            }
        }
    };
}
pub(crate) use text_enum;

text_enum! {
    /// State of a task's row.
    TaskState {
        /// Not ended yet.
        Open = "open",
        /// Enough answers came.
        Done = "done",
        /// Done, and evaluated by a quorum of validators.
        Approved = "approved",
        /// Every slot was given up.
        Failed = "failed",
        /// The client took it back.
        Cancelled = "cancelled",
        /// The deadline passed with too few answers.
        Expired = "expired",
    }
}

impl TaskState {
    /// Whether `next` may follow. `done -> approved` is the one way out of an ended state.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Open => !matches!(next, Self::Open | Self::Approved),
            Self::Done => matches!(next, Self::Approved),
            Self::Approved | Self::Failed | Self::Cancelled | Self::Expired => false,
        }
    }

    /// Whether no miner works on it any more.
    #[must_use]
    pub const fn ended(self) -> bool {
        !matches!(self, Self::Open)
    }
}

text_enum! {
    /// Status of a task as clients see it.
    TaskStatus {
        /// Waits for miners.
        Pending = "pending",
        /// At least one miner was chosen.
        Distributed = "distributed",
        /// At least one miner fetched or answered it.
        Processing = "processing",
        /// Enough answers came.
        Done = "done",
        /// Done and evaluated.
        Approved = "approved",
        /// Every slot was given up.
        Failed = "failed",
        /// Taken back.
        Cancelled = "cancelled",
        /// Too late.
        Expired = "expired",
    }
}

text_enum! {
    /// State of one slot's row. `offered` and `running` mean that a lease lives.
    SlotState {
        /// Waits for a miner.
        Queued = "queued",
        /// Leased, not fetched yet.
        Offered = "offered",
        /// Leased and fetched.
        Running = "running",
        /// Answered.
        Answered = "answered",
        /// Given up.
        Failed = "failed",
        /// Not needed any more: the task ended first.
        Superseded = "superseded",
    }
}

impl SlotState {
    /// Whether a lease lives on the slot.
    #[must_use]
    pub const fn leased(self) -> bool {
        matches!(self, Self::Offered | Self::Running)
    }

    /// Whether the slot can still bring an answer.
    #[must_use]
    pub const fn pending(self) -> bool {
        matches!(self, Self::Queued | Self::Offered | Self::Running)
    }
}

/// Status of a task with this state and these slots.
#[must_use]
pub fn status(state: TaskState, slots: impl IntoIterator<Item = SlotState>) -> TaskStatus {
    match state {
        TaskState::Done => TaskStatus::Done,
        TaskState::Approved => TaskStatus::Approved,
        TaskState::Failed => TaskStatus::Failed,
        TaskState::Cancelled => TaskStatus::Cancelled,
        TaskState::Expired => TaskStatus::Expired,
        TaskState::Open => slots.into_iter().map(open_status).max().unwrap_or(TaskStatus::Pending),
    }
}

const fn open_status(slot: SlotState) -> TaskStatus {
    match slot {
        SlotState::Queued | SlotState::Failed | SlotState::Superseded => TaskStatus::Pending,
        SlotState::Offered => TaskStatus::Distributed,
        SlotState::Running | SlotState::Answered => TaskStatus::Processing,
    }
}

text_enum! {
    /// How urgent a task is.
    Priority {
        /// When nothing else waits.
        Low = "low",
        /// The default.
        Normal = "normal",
        /// Before normal.
        High = "high",
        /// Before everything.
        Urgent = "urgent",
    }
}

impl Priority {
    /// How much older than its age a task of this priority counts, in milliseconds. Since the
    /// head start is fixed, a waiting task of any priority is overtaken for a bounded time only.
    #[must_use]
    pub const fn head_start_millis(self) -> i64 {
        match self {
            Self::Low => 0,
            Self::Normal => 10 * MINUTE,
            Self::High => 20 * MINUTE,
            Self::Urgent => 40 * MINUTE,
        }
    }
}

/// When a task has enough answers. Text form `first`, `all` or `quorum:<n>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// The first answer ends it.
    First,
    /// So many answers end it.
    Quorum(u16),
    /// Every slot must have answered or been given up.
    All,
}

impl fmt::Display for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first"),
            Self::All => f.write_str("all"),
            Self::Quorum(n) => write!(f, "quorum:{n}"),
        }
    }
}

impl FromStr for Completion {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let count = |text: &str| text.parse().ok().filter(|&n| n > 0).map(Self::Quorum);
        let parsed = match text {
            "first" => Some(Self::First),
            "all" => Some(Self::All),
            _ => text.strip_prefix("quorum:").and_then(count),
        };
        parsed.ok_or_else(|| BadId {
            got: text.chars().take(80).collect(),
            expected: "`first`, `all` or `quorum:<n>` with n >= 1",
        })
    }
}

impl Completion {
    /// Answers that end the task at once, given so many slots.
    #[must_use]
    pub fn enough(self, slots: u16) -> u16 {
        match self {
            Self::First => 1,
            Self::Quorum(n) => n.min(slots),
            Self::All => slots,
        }
    }
}

/// How the slots of a task stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Slots in all.
    pub slots: u16,
    /// Slots with an answer.
    pub answered: u16,
    /// Slots given up.
    pub failed: u16,
}

/// The state that an open task takes now, or `None` while it stays open.
///
/// `enough` is [`Completion::enough`]. A task whose slots have all ended is done when it has at
/// least `min_responses` answers, else failed.
#[must_use]
pub const fn settle(tally: Tally, enough: u16, min_responses: u16) -> Option<TaskState> {
    if tally.answered >= enough && enough > 0 {
        return Some(TaskState::Done);
    }
    if tally.answered as u32 + (tally.failed as u32) < tally.slots as u32 {
        return None;
    }
    Some(if tally.answered >= min_responses { TaskState::Done } else { TaskState::Failed })
}

/// The state that an open task takes at its deadline.
#[must_use]
pub const fn settle_late(answered: u16, min_responses: u16) -> TaskState {
    if answered >= min_responses { TaskState::Done } else { TaskState::Expired }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ended_state_is_left_but_done_for_approved() {
        for &from in TaskState::ALL {
            for &to in TaskState::ALL {
                let allowed = match from {
                    TaskState::Open => to.ended() && to != TaskState::Approved,
                    TaskState::Done => to == TaskState::Approved,
                    _ => false,
                };
                assert_eq!(from.may_become(to), allowed, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn text_forms_survive() {
        for &state in TaskState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for text in ["first", "all", "quorum:2"] {
            assert_eq!(text.parse::<Completion>().map(|c| c.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "quorum:0", "quorum:-1", "quorum:x", "some"] {
            assert!(text.parse::<Completion>().is_err(), "{text}");
        }
    }

    #[test]
    fn status_is_the_furthest_slot() {
        use SlotState::{Answered, Offered, Queued, Running};
        let cases = [
            (vec![], TaskStatus::Pending),
            (vec![Queued, Queued], TaskStatus::Pending),
            (vec![Queued, Offered], TaskStatus::Distributed),
            (vec![Running, Offered], TaskStatus::Processing),
            (vec![Queued, Answered], TaskStatus::Processing),
        ];
        for (slots, expected) in cases {
            assert_eq!(status(TaskState::Open, slots.clone()), expected, "{slots:?}");
        }
        assert_eq!(status(TaskState::Expired, [Answered]), TaskStatus::Expired);
    }

    #[test]
    fn three_miners_finish_at_the_third_answer_not_at_the_first() {
        let tally = |answered, failed| Tally { slots: 3, answered, failed };
        let all = Completion::All.enough(3);
        assert_eq!(settle(tally(1, 0), all, 1), None);
        assert_eq!(settle(tally(2, 0), all, 1), None);
        assert_eq!(settle(tally(3, 0), all, 1), Some(TaskState::Done));
        assert_eq!(settle(tally(1, 2), all, 1), Some(TaskState::Done));
        assert_eq!(settle(tally(1, 2), all, 2), Some(TaskState::Failed));
        assert_eq!(settle(tally(0, 3), all, 1), Some(TaskState::Failed));
        assert_eq!(settle(tally(1, 0), Completion::First.enough(3), 1), Some(TaskState::Done));
        assert_eq!(settle(tally(2, 0), Completion::Quorum(2).enough(3), 1), Some(TaskState::Done));
        assert_eq!(settle(tally(1, 0), Completion::Quorum(9).enough(1), 1), Some(TaskState::Done));
    }

    #[test]
    fn a_deadline_closes_with_what_came() {
        assert_eq!(settle_late(1, 1), TaskState::Done);
        assert_eq!(settle_late(0, 1), TaskState::Expired);
    }
}
