//! Character error rate: edits over the length of the truth.

/// Levenshtein distance over characters.
pub fn edits(truth: &str, read: &str) -> usize {
    let read: Vec<char> = read.chars().collect();
    let mut row: Vec<usize> = (0..=read.len()).collect();
    for (i, t) in truth.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in read.iter().enumerate() {
            let substitute = diagonal + usize::from(t != *r);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[read.len()]
}

/// Edits over characters, for pairs of truth and reading.
pub fn character_error_rate<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> f64 {
    let (mut wrong, mut all) = (0, 0);
    for (truth, read) in pairs {
        wrong += edits(truth, read);
        all += truth.chars().count();
    }
    wrong as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("naïve", "naive", 1),
            ("abc", "abc", 0),
        ] {
            assert_eq!(edits(a, b), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn rate_is_over_the_truth() {
        assert!((character_error_rate([("abcd", "abxd"), ("ef", "ef")]) - 1.0 / 6.0).abs() < 1e-12);
    }
}
