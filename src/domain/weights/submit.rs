//! The vector that goes on chain: weights as 16-bit numbers, the largest of them the largest number,
//! as the subnet's SDK makes it.

/// `w / max · 65535`, halves to the even neighbour; all 0 when no weight is positive, since what is
/// no number becomes 0.
#[must_use]
pub fn upscale(weights: &[f64]) -> Vec<u16> {
    let max = weights.iter().copied().fold(0.0, f64::max);
    let scaled = |weight: &f64| (weight / max * f64::from(u16::MAX)).round_ties_even() as u16;
    weights.iter().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_the_largest_number_and_halves_go_to_even() {
        assert_eq!(upscale(&[0.1, 0.7, 0.2]), [9_362, 65_535, 18_724]);
        // Both are halves: 0.5 goes down, 1.5 up.
        assert_eq!(upscale(&[65_535.0, 0.5, 1.5, 2.5]), [65_535, 0, 2, 2]);
        assert_eq!(upscale(&[0.0, 0.25]), [0, 65_535]);
    }

    #[test]
    fn nothing_and_nonsense_are_zeros() {
        assert_eq!(upscale(&[]), [] as [u16; 0]);
        assert_eq!(upscale(&[0.0, 0.0]), [0, 0]);
        assert_eq!(upscale(&[f64::NAN, 1.0, -1.0, f64::NEG_INFINITY]), [0, 65_535, 0, 0]);
        assert_eq!(upscale(&[f64::INFINITY, 1.0]), [0, 0]);
    }
}
