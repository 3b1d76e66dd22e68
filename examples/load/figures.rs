//! Percentiles, medians and how they are told.

/// Percentiles of some times, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    pub(crate) p50: u64,
    pub(crate) p95: u64,
    pub(crate) p99: u64,
}

impl Spread {
    pub(crate) fn of(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        let at = |share: usize| nanos.get(nanos.len() * share / 100).copied().unwrap_or_default();
        Self { p50: at(50), p95: at(95), p99: at(99) }
    }

    /// One line of a table.
    pub(crate) fn print(&self, what: &str) {
        println!("{what:<32}{:>8.2} {:>8.2} {:>8.2} ms", ms(self.p50), ms(self.p95), ms(self.p99));
    }

    /// As a value of the summary.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({ "p50": ms(self.p50), "p95": ms(self.p95), "p99": ms(self.p99) })
    }
}

/// Milliseconds.
pub(crate) fn ms(nanos: u64) -> f64 {
    (nanos as f64 / 1e3).round() / 1e3
}

/// Nanoseconds of a duration.
pub(crate) fn nanos(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// The middle one of several runs.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
