//! What is compared.

/// One measured quantity.
#[derive(Debug, PartialEq, Eq)]
pub struct Quantity {
    /// The field of a program's JSON, and the name in `raw.csv`.
    pub key: &'static str,
    pub name: &'static str,
    pub unit: &'static str,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// Whether the picture shows it.
    pub drawn: bool,
}

/// In the order of the tables.
pub const ALL: [Quantity; 9] = [
    quantity("encode_s", "vision tower", "s").drawn(),
    quantity("prefill_tok_s", "prefill", "tokens/s").more().drawn(),
    quantity("decode_tok_s", "decoding", "tokens/s").more().drawn(),
    quantity("ttft_s", "time to the first token", "s").drawn(),
    quantity("load_s", "load, files in the system's cache", "s"),
    quantity("peak_rss_gb", "memory at its peak", "GiB"),
    quantity("preprocess_s", "preprocessing", "s"),
    quantity("png_mpx_s", "PNG to patches, one core", "Mpx/s").more(),
    quantity("jpeg_mpx_s", "JPEG to patches, one core", "Mpx/s").more(),
];

const fn quantity(key: &'static str, name: &'static str, unit: &'static str) -> Quantity {
    Quantity {
        key,
        name,
        unit,
        more_is_better: false,
        drawn: false,
    }
}

impl Quantity {
    const fn more(self) -> Self {
        Self {
            more_is_better: true,
            ..self
        }
    }

    const fn drawn(self) -> Self {
        Self { drawn: true, ..self }
    }

    /// How many times better `ours` is than `theirs`: above 1 is better, whichever way the quantity goes.
    pub fn ratio(&self, ours: f64, theirs: f64) -> f64 {
        if self.more_is_better {
            ours / theirs
        } else {
            theirs / ours
        }
    }
}

#[cfg(test)]
pub fn named(key: &str) -> &'static Quantity {
    ALL.iter().find(|q| q.key == key).expect("a quantity of the list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_one_is_better_both_ways() {
        for (key, ours, theirs, expected) in [
            ("encode_s", 10.0, 25.0, 2.5),
            ("encode_s", 25.0, 10.0, 0.4),
            ("decode_tok_s", 12.0, 6.0, 2.0),
            ("peak_rss_gb", 4.0, 8.0, 2.0),
        ] {
            assert_eq!(named(key).ratio(ours, theirs), expected, "{key}");
        }
    }

    #[test]
    fn keys_are_told_apart() {
        for (place, quantity) in ALL.iter().enumerate() {
            assert!(ALL[..place].iter().all(|q| q.key != quantity.key));
        }
    }
}
