//! "Did you mean": the nearest of the words that would have been right.

/// A suffix for an error message: empty where nothing is near enough.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(word, candidate),
                candidate,
            )
        })
        .filter(|(similarity, _)| *similarity >= 0.6)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn suggests_the_nearest_word_only_when_near() {
        let keys = ["interfaces", "hook", "redirect"];
        assert_eq!(
            did_you_mean("interface", keys),
            ", did you mean `interfaces`?"
        );
        assert_eq!(
            did_you_mean("redirects", keys),
            ", did you mean `redirect`?"
        );
        assert_eq!(did_you_mean("tuning", keys), "");
    }
}
