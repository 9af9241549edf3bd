//! Combines each text and its picture in one packed sequence, text first.

/// Row indices between packed texts, packed pictures, and combined sequences.
pub(super) struct Joined {
    /// For each combined row, its row in all texts followed by all pictures.
    pub order: Vec<u32>,
    /// For each text row, its combined row.
    pub text: Vec<u32>,
    /// For each picture row, its combined row.
    pub picture: Vec<u32>,
    /// Rows of each combined sequence.
    pub lengths: Vec<usize>,
    /// The first row of each combined sequence.
    pub firsts: Vec<u32>,
}

impl Joined {
    /// From the token counts of each text and each picture, one picture per text.
    pub fn new(texts: &[usize], pictures: &[usize]) -> Self {
        let words: usize = texts.iter().sum();
        let mut joined = Self {
            order: Vec::new(),
            text: Vec::new(),
            picture: Vec::new(),
            lengths: Vec::new(),
            firsts: Vec::new(),
        };
        for (&text, &picture) in texts.iter().zip(pictures) {
            let first = joined.order.len();
            joined.firsts.push(first as u32);
            joined.lengths.push(text + picture);
            for row in first..first + text {
                joined.order.push(joined.text.len() as u32);
                joined.text.push(row as u32);
            }
            for row in first + text..first + text + picture {
                joined.order.push((words + joined.picture.len()) as u32);
                joined.picture.push(row as u32);
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_before_their_pictures() {
        let joined = Joined::new(&[2, 1], &[1, 3]);
        assert_eq!(joined.order, [0, 1, 3, 2, 4, 5, 6]);
        assert_eq!((joined.text, joined.picture), (vec![0, 1, 3], vec![2, 4, 5, 6]));
        assert_eq!((joined.lengths, joined.firsts), (vec![3, 4], vec![0, 3]));
    }
}
