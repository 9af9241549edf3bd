//! Texts that are encoded together with regions.

use crate::error::ModelError;
use crate::visual_input::Texts;

/// Packed texts with the position and the token type of every token.
pub(in crate::families) struct TypedTexts {
    pub ids: Vec<u32>,
    pub positions: Vec<u32>,
    pub types: Vec<u32>,
    pub lengths: Vec<usize>,
}

impl TypedTexts {
    /// Texts of token type 0 whose positions count from 0.
    pub(in crate::families) fn of(texts: &Texts) -> Self {
        let ids = texts.concat();
        Self {
            positions: texts.iter().flat_map(|t| 0..t.len() as u32).collect(),
            types: vec![0; ids.len()],
            lengths: texts.iter().map(|t| t.len()).collect(),
            ids,
        }
    }

    /// Fails when a text is empty, or an id, position or token type has no row in its table.
    pub(in crate::families) fn check(
        &self,
        vocab: usize,
        max_positions: usize,
        types: usize,
    ) -> Result<(), ModelError> {
        if let Some(empty) = self.lengths.iter().position(|n| *n == 0) {
            return Err(ModelError::input(
                format!("text {empty}"),
                "at least 1 token",
                "none",
            ));
        }
        if let Some(&id) = self.ids.iter().find(|id| **id as usize >= vocab) {
            return Err(ModelError::Vocabulary { id, vocab });
        }
        let over = |values: &[u32], limit: usize| values.iter().copied().find(|v| *v as usize >= limit);
        if let Some(place) = over(&self.positions, max_positions) {
            let expected = format!("at most {max_positions} tokens");
            return Err(ModelError::input(
                "a text",
                expected,
                format!("a token at place {place}"),
            ));
        }
        match over(&self.types, types) {
            Some(kind) => Err(ModelError::input(
                "a text",
                format!("token types under {types}"),
                kind,
            )),
            None => Ok(()),
        }
    }
}
