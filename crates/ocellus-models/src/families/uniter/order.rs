//! The order of text tokens and regions in combined sequences.

/// The row order that turns packed texts and packed regions into combined sequences.
pub(super) struct Order {
    /// For each combined row, its row in all texts followed by all regions.
    pub(super) rows: Vec<u32>,
    pub(super) lengths: Vec<usize>,
    pub(super) words: Vec<u32>,
    pub(super) regions: Vec<u32>,
}

impl Order {
    pub(super) fn of(words: &[usize], regions: &[usize]) -> Self {
        let (mut word, mut region) = (0, words.iter().sum::<usize>() as u32);
        let mut order = Self {
            rows: Vec::new(),
            lengths: words.iter().zip(regions).map(|(w, r)| w + r).collect(),
            words: Vec::new(),
            regions: Vec::new(),
        };
        for (w, r) in words.iter().zip(regions) {
            let start = order.rows.len() as u32;
            let middle = start + *w as u32;
            order.rows.extend(word..word + *w as u32);
            order.rows.extend(region..region + *r as u32);
            order.words.extend(start..middle);
            order.regions.extend(middle..middle + *r as u32);
            (word, region) = (word + *w as u32, region + *r as u32);
        }
        order
    }
}
