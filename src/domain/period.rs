//! The periods of seed 004: days, weeks from Monday, months and all time, in UTC, half-open.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};

use super::task::text_enum;
use super::units::{DAY, HOUR, Millis};

text_enum! {
    /// How long a period is.
    Period {
        /// A day.
        Daily = "daily",
        /// Seven days from Monday.
        Weekly = "weekly",
        /// A month of the calendar.
        Monthly = "monthly",
        /// Everything.
        AllTime = "all_time",
    }
}

/// The end of all time, as the document has it: 9999-12-31.
const END_OF_TIME: Option<NaiveDate> = NaiveDate::from_ymd_opt(9999, 12, 31);

/// The day of a moment, since the Unix epoch, in UTC.
#[must_use]
pub const fn day_of(moment: Millis) -> i64 {
    moment.0.div_euclid(DAY)
}

/// The hour of a moment, since the Unix epoch, in UTC.
#[must_use]
pub const fn hour_of(moment: Millis) -> i64 {
    moment.0.div_euclid(HOUR)
}

/// The moment at which a day begins.
#[must_use]
pub const fn begin_of(day: i64) -> Millis {
    Millis(day.saturating_mul(DAY))
}

fn number(date: NaiveDate) -> i64 {
    date.signed_duration_since(DateTime::<Utc>::UNIX_EPOCH.date_naive()).num_days()
}

impl Period {
    /// The first day of the period that `moment` is in, and the first day after it. Days since the
    /// Unix epoch.
    #[must_use]
    pub fn days(self, moment: Millis) -> (i64, i64) {
        let day = day_of(moment);
        match self {
            Self::Daily => (day, day + 1),
            Self::Weekly => {
                // The epoch was a Thursday.
                let monday = day - (day + 3).rem_euclid(7);
                (monday, monday + 7)
            }
            Self::Monthly => {
                let date = DateTime::<Utc>::from_timestamp_millis(moment.0).unwrap_or_default();
                let first = date.date_naive().with_day(1).unwrap_or_default();
                let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
                (number(first), number(next))
            }
            Self::AllTime => (0, END_OF_TIME.map_or(i64::MAX, number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Millis {
        Millis(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
    }

    fn days(period: Period, text: &str) -> [String; 2] {
        let (from, to) = period.days(at(text));
        [from, to].map(|day| begin_of(day).rfc3339()[..10].to_owned())
    }

    #[test]
    fn periods_begin_and_end_as_calendars_say() {
        let noon = "2026-11-21T12:00:00Z";
        assert_eq!(days(Period::Daily, noon), ["2026-11-21", "2026-11-22"]);
        assert_eq!(days(Period::Weekly, noon), ["2026-11-16", "2026-11-23"]);
        assert_eq!(days(Period::Weekly, "2026-11-16T00:00:00Z"), ["2026-11-16", "2026-11-23"]);
        assert_eq!(days(Period::Weekly, "2026-11-15T23:59:59Z"), ["2026-11-09", "2026-11-16"]);
        assert_eq!(days(Period::Monthly, "2024-02-29T00:00:00Z"), ["2024-02-01", "2024-03-01"]);
        assert_eq!(days(Period::Monthly, "2026-12-31T23:59:59Z"), ["2026-12-01", "2027-01-01"]);
        assert_eq!(days(Period::AllTime, noon), ["1970-01-01", "9999-12-31"]);
    }

    proptest! {
        #[test]
        fn a_moment_is_in_its_period_and_the_next_begins_where_it_ends(millis in 0_i64..4_000_000_000_000) {
            for &period in Period::ALL {
                let (from, to) = period.days(Millis(millis));
                prop_assert!(from <= day_of(Millis(millis)) && day_of(Millis(millis)) < to);
                prop_assert_eq!(period.days(begin_of(from)), (from, to));
                if period != Period::AllTime {
                    prop_assert_eq!(period.days(begin_of(to)).0, to);
                }
            }
        }
    }
}
