//! Medians, and how far the samples are apart.

/// The middle of the values, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some((sorted.get(middle.checked_sub(1)?)? + upper) / 2.0)
}

/// The smallest and the largest value.
pub fn spread(values: &[f64]) -> Option<[f64; 2]> {
    let first = *values.first()?;
    let extremes = values.iter().fold([first; 2], |[low, high], &value| {
        [low.min(value), high.max(value)]
    });
    Some(extremes)
}

/// Each value divided by the base of the same round, where both were measured.
pub fn ratios(values: &[Option<f64>], base: &[Option<f64>]) -> Vec<f64> {
    let pairs = values.iter().zip(base);
    pairs
        .filter_map(|(value, base)| {
            let base = (*base)?;
            (base != 0.0).then_some((*value)? / base)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn spreads() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[2.0, 1.0, 5.0]), Some([1.0, 5.0]));
    }

    #[test]
    fn only_rounds_that_have_both_count() {
        let values = [Some(1.0), None, Some(6.0), Some(1.0)];
        let base = [Some(2.0), Some(2.0), Some(3.0), Some(0.0)];
        assert_eq!(ratios(&values, &base), [0.5, 2.0]);
    }
}
