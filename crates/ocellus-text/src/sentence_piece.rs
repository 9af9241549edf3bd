//! Sentence pieces: `spiece.model` and `tokenizer.model` (arXiv:1808.06226), unigram (arXiv:1804.10959) and byte pairs.

mod charsmap;
mod model;
mod wire;

use crate::added::{Added, Config};
use crate::files::{complete, damaged, read};
use crate::tokenizer::{check_added, check_merging, check_tokens};
use crate::{Result, TextError, Tokenizer};
pub(crate) use charsmap::check as check_charsmap;
use model::{Algorithm, Kind, Model};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use tokenizers::decoders::{
    byte_fallback::ByteFallback, fuse::Fuse, sequence::Sequence as Decoders, strip::Strip,
};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::{NormalizerWrapper, Precompiled, Prepend, utils::Sequence as Normalizers};
use tokenizers::{AddedToken, ModelWrapper};

/// Stands for a space inside pieces.
const SPACE: &str = "\u{2581}";

/// Tokens behind the pieces of an encoder-decoder's vocabulary, where its configuration does not say otherwise.
const EXTRA_IDS: u32 = 100;

/// The model file `name` of `dir`.
pub(crate) fn from_dir(dir: &Path, name: &str) -> Result<Tokenizer> {
    let path = dir.join(name);
    let model = Model::parse(&read(&path)?).map_err(|reason| damaged(&path, reason))?;
    let mut config = Config::read(dir)?;
    let mut added = config.added(dir)?;
    let class = config.tokenizer_class.unwrap_or_default();
    let has_extra = match class.as_str() {
        "" => name == "spiece.model" && model.algorithm == Algorithm::Unigram,
        class => class.starts_with("T5Tokenizer"),
    };
    let is_extra = |added: &Added| added.token.content.starts_with("<extra_id_");
    if has_extra && !added.iter().any(is_extra) {
        let count = config.extra_ids.unwrap_or(EXTRA_IDS);
        check_tokens(model.pieces.len().saturating_add(count as usize))
            .map_err(|reason| damaged(&dir.join("tokenizer_config.json"), format!("extra_ids: {reason}")))?;
        // The first of them has the highest id.
        let ids = (model.pieces.len() as u32..).take(count as usize);
        added.extend(
            ids.zip((0..count).rev())
                .map(|(id, n)| Added::special(&format!("<extra_id_{n}>"), id)),
        );
    }
    let tokenizer = build(&model, added).map_err(|error| match error {
        TextError::Damaged { reason, .. } => damaged(&path, reason),
        other => other,
    })?;
    complete(dir, &path, tokenizer.vocab_size())?;
    Ok(tokenizer)
}

fn build(model: &Model, mut added: Vec<Added>) -> Result<Tokenizer> {
    let known: HashSet<String> = added.iter().map(|added| added.token.content.clone()).collect();
    for (id, piece) in (0..).zip(&model.pieces) {
        let special = match piece.kind {
            Kind::Control | Kind::Unknown => true,
            Kind::UserDefined => false,
            Kind::Normal | Kind::Byte => continue,
        };
        if !known.contains(&piece.text) {
            let token = AddedToken::from(piece.text.clone(), special).normalized(false);
            added.push(Added { id, token });
        }
    }
    check_added(added.len()).map_err(wrong)?;
    added.sort_by_key(|token| token.id);
    let mut inner = tokenizers::Tokenizer::new(pieces(model)?);
    inner.with_normalizer(Some(normalizer(model)?)).map_err(wrong)?;
    inner.with_decoder(Some(Decoders::new(vec![
        Replace::new(SPACE, " ").map_err(wrong)?.into(),
        ByteFallback::new().into(),
        Fuse::new().into(),
        Strip::new(' ', usize::from(model.dummy_prefix), 0).into(),
    ])));
    let tokens: Vec<AddedToken> = added.iter().map(|a| a.token.clone()).collect();
    inner.add_tokens(tokens).map_err(wrong)?;
    for Added { id, token } in added {
        let found = inner.token_to_id(&token.content);
        if found != Some(id) {
            let reason = found.map_or("has none".to_string(), |found| format!("comes out as {found}"));
            return Err(TextError::SpecialToken {
                token: token.content,
                expected: id,
                reason,
            });
        }
    }
    Tokenizer::new(inner)
}

fn wrong(reason: impl ToString) -> TextError {
    TextError::Damaged {
        file: "sentence-piece model".to_string(),
        reason: reason.to_string(),
    }
}

/// The vocabulary and how it is applied.
fn pieces(model: &Model) -> Result<ModelWrapper> {
    let unknown = model.pieces.iter().position(|piece| piece.kind == Kind::Unknown);
    let unknown = unknown.ok_or_else(|| wrong("it has no piece for what is unknown"))?;
    let mut ids: HashMap<&str, u32> = HashMap::new();
    for (id, piece) in (0..).zip(&model.pieces) {
        if ids.insert(&piece.text, id).is_some() {
            return Err(wrong(format!("the piece `{}` is given twice", piece.text)));
        }
    }
    match model.algorithm {
        Algorithm::Unigram => {
            let scored = model.pieces.iter().map(|piece| (piece.text.clone(), piece.score));
            let unigram = Unigram::from(scored.collect(), Some(unknown), model.byte_fallback);
            Ok(unigram.map_err(wrong)?.into())
        }
        Algorithm::BytePairs => {
            check_merging(model.pieces.iter().map(|piece| piece.text.len())).map_err(wrong)?;
            let vocabulary = ids.iter().map(|(text, id)| ((*text).to_string(), *id));
            let pairs = BPE::builder()
                .vocab_and_merges(vocabulary.collect::<Vocab>(), merges(model, &ids))
                .unk_token(model.pieces[unknown].text.clone())
                .fuse_unk(true)
                .byte_fallback(model.byte_fallback)
                .build();
            Ok(pairs.map_err(wrong)?.into())
        }
    }
}

/// Byte pairs merge to the piece with the best score: every way to cut a piece in two is a merge of its rank.
fn merges(model: &Model, ids: &HashMap<&str, u32>) -> Vec<(String, String)> {
    let normal = |text: &str| {
        let id = *ids.get(text)?;
        (model.pieces[id as usize].kind == Kind::Normal).then_some(id)
    };
    let mut ranked = Vec::new();
    for (id, piece) in (0u32..).zip(&model.pieces) {
        if piece.kind != Kind::Normal {
            continue;
        }
        for (at, _) in piece.text.char_indices().skip(1) {
            let (left, right) = piece.text.split_at(at);
            if let (Some(left_id), Some(right_id)) = (normal(left), normal(right)) {
                ranked.push((-piece.score, id, left_id, right_id, left, right));
            }
        }
    }
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2, a.3).cmp(&(b.1, b.2, b.3))));
    let pair = |(.., left, right): (f64, u32, u32, u32, &str, &str)| (left.to_string(), right.to_string());
    ranked.into_iter().map(pair).collect()
}

/// Characters, spaces, the space before the text.
fn normalizer(model: &Model) -> Result<Normalizers> {
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if !model.charsmap.is_empty() {
        let about = |reason: String| wrong(format!("precompiled_charsmap: {reason}"));
        charsmap::check(&model.charsmap).map_err(about)?;
        steps.push(Precompiled::from(&model.charsmap).map_err(wrong)?.into());
    }
    let replace = |pattern: ReplacePattern, by: &str| Replace::new(pattern, by).map_err(wrong);
    if model.one_space {
        steps.push(replace(ReplacePattern::Regex("^ +| +$".to_string()), "")?.into());
        steps.push(replace(ReplacePattern::Regex(" {2,}".to_string()), " ")?.into());
    }
    if model.dummy_prefix {
        steps.push(Prepend::new(SPACE.to_string()).into());
    }
    steps.push(replace(ReplacePattern::String(" ".to_string()), SPACE)?.into());
    Ok(Normalizers::new(steps))
}
