//! Strings that end an answer, found in text that comes in pieces.

/// Holds text back while it could be the start of a stop string.
pub struct StopStrings {
    strings: Vec<String>,
    held: String,
}

/// What is known after a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub enum Released {
    /// This much can be shown.
    Text(String),
    /// A stop string came; this is the text before it.
    Stopped(String),
}

impl StopStrings {
    /// Empty strings are ignored.
    pub fn new(strings: impl IntoIterator<Item = String>) -> Self {
        Self {
            strings: strings.into_iter().filter(|s| !s.is_empty()).collect(),
            held: String::new(),
        }
    }

    /// Takes the next piece of the answer.
    pub fn push(&mut self, piece: &str) -> Released {
        self.held.push_str(piece);
        if let Some(at) = self
            .strings
            .iter()
            .filter_map(|s| self.held.find(s.as_str()))
            .min()
        {
            self.held.truncate(at);
            return Released::Stopped(std::mem::take(&mut self.held));
        }
        // Keep the longest end that begins a stop string.
        let keep = self
            .held
            .char_indices()
            .map(|(i, _)| i)
            .find(|i| self.strings.iter().any(|s| s.starts_with(&self.held[*i..])))
            .unwrap_or(self.held.len());
        let rest = self.held.split_off(keep);
        Released::Text(std::mem::replace(&mut self.held, rest))
    }

    /// What was held back when the answer ended by itself.
    pub fn finish(self) -> String {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_the_first_string_wherever_it_is_cut() {
        let answer = "one two STOP three";
        for cut in 0..answer.len() {
            let mut stops = StopStrings::new(["STOP".to_owned(), "never".to_owned()]);
            let mut shown = String::new();
            let mut stopped = false;
            for piece in [&answer[..cut], &answer[cut..]] {
                match stops.push(piece) {
                    Released::Text(t) => shown.push_str(&t),
                    Released::Stopped(t) => {
                        shown.push_str(&t);
                        stopped = true;
                        break;
                    }
                }
            }
            assert!(stopped && shown == "one two ", "cut at {cut}: {shown:?}");
        }
    }

    #[test]
    fn false_starts_are_given_back() {
        let mut stops = StopStrings::new(["abcd".to_owned()]);
        assert_eq!(stops.push("xab"), Released::Text("x".to_owned()));
        assert_eq!(stops.push("x"), Released::Text("abx".to_owned()));
        assert_eq!(stops.push("ab"), Released::Text(String::new()));
        assert_eq!(stops.finish(), "ab");
    }
}
