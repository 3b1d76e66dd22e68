//! The sums and the order statistics of the pipeline. Sums go in the order given; nothing here
//! divides by zero.

/// Arithmetic mean; 0 of nothing.
pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

/// Population standard deviation; 0 of nothing.
pub(super) fn population_std(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: Vec<f64> = values.iter().map(|value| (value - mean) * (value - mean)).collect();
    self::mean(&squares).sqrt()
}

/// The percentile of ascending values, linear between neighbours; `None` of nothing. The place is
/// counted in integers, so that no rounding moves a value below itself.
pub(super) fn percentile(ascending: &[f64], percent: u32) -> Option<f64> {
    let place = ascending.len().checked_sub(1)? * percent.min(100) as usize;
    let lower = ascending.get(place / 100)?;
    let part = (place % 100) as f64 / 100.0;
    // At the last value there is no neighbour, and no part of it.
    let upper = ascending.get(place / 100 + 1).unwrap_or(lower);
    Some(lower + (upper - lower) * part)
}

/// Share of ascending values that are at most `own`, in per cent: ties have the top value.
pub(super) fn percentile_rank(ascending: &[f64], own: f64) -> f64 {
    let at_most = ascending.partition_point(|&value| value <= own);
    100.0 * at_most as f64 / ascending.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_linear_between_neighbours() {
        let values = [1.0, 2.0, 4.0];
        for (percent, expected) in [(0, 1.0), (25, 1.5), (50, 2.0), (75, 3.0), (100, 4.0)] {
            assert_eq!(percentile(&values, percent), Some(expected), "{percent}");
        }
        assert_eq!(percentile(&[7.0], 85), Some(7.0));
        assert_eq!(percentile(&[], 85), None);
        // Where the place is whole, the value stands there itself.
        let many: Vec<f64> = (0..=20).map(|n| f64::from(n) / 10.0).collect();
        assert_eq!(percentile(&many, 85), Some(many[17]));
    }

    #[test]
    fn ties_have_the_top_rank() {
        let values = [0.1, 0.2, 0.2, 0.9];
        assert_eq!(values.map(|own| percentile_rank(&values, own)), [25.0, 75.0, 75.0, 100.0]);
        assert_eq!(percentile_rank(&[], 0.5), 0.0);
    }

    #[test]
    fn the_deviation_is_that_of_a_population() {
        assert_eq!(population_std(&[1.0, 3.0]), 1.0);
        assert_eq!(population_std(&[]), 0.0);
        assert_eq!(mean(&[]), 0.0);
    }
}
