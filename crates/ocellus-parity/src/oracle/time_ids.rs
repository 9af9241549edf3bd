//! Kind `mrope_time_ids`: a video between text → its temporal positions and where the text goes on.

use ocellus_models::mrope::positions;
use ocellus_models::{Facts, Grid, PositionRule, VisualSpan};
use serde::Deserialize;
use serde_json::{Value, json};

/// Ids of the prompt that is placed; which numbers they are does not matter.
const TEXT: u32 = 0;
const VIDEO: u32 = 1;
/// Patches along a side of a visual token.
const MERGE: usize = 2;

#[derive(Deserialize)]
struct Input {
    text_before: usize,
    text_after: usize,
    /// Temporal patches, rows, columns.
    video_grid_thw: [usize; 3],
    second_per_grid_ts: f32,
    tokens_per_second: f32,
}

/// The rule that a version of transformers has.
fn rule(program: &str) -> Option<PositionRule> {
    let version = program.strip_prefix("transformers ")?;
    match version.split('.').collect::<Vec<_>>()[..] {
        ["4", "49" | "50" | "51", ..] => Some(PositionRule::Published),
        ["4", "57", ..] => Some(PositionRule::WholeSeconds),
        ["5", ..] => Some(PositionRule::LargestSide),
        _ => None,
    }
}

pub fn answer(program: &str, input: &Value) -> Option<Result<Value, String>> {
    let rule = rule(program)?;
    Some(
        Input::deserialize(input)
            .map_err(|e| e.to_string())
            .and_then(|i| place(&i, rule)),
    )
}

/// Text, the token that opens a video, the video, the token that closes it, text.
fn place(input: &Input, rule: PositionRule) -> Result<Value, String> {
    const MOST: usize = 1 << 20;
    let [t, h, w] = input.video_grid_thw;
    let patches = t.checked_mul(h).and_then(|n| n.checked_mul(w));
    if patches.is_none_or(|n| n == 0 || n > MOST) || input.text_before.max(input.text_after) > MOST {
        return Err(format!(
            "expected 1 to {MOST} patches and at most {MOST} tokens of text"
        ));
    }
    let facts = facts(input.tokens_per_second);
    let vision = VisualSpan {
        grid: Grid { t, h, w },
        video_seconds: Some(input.second_per_grid_ts),
    };
    let (base, tokens) = (input.text_before + 1, facts.visual_tokens(&vision.grid));
    let ids = [
        vec![TEXT; base],
        vec![VIDEO; tokens],
        vec![TEXT; 1 + input.text_after],
    ]
    .concat();
    let placed = match positions(&facts, &ids, &[vision], rule) {
        Ok(placed) => placed,
        Err(error) => return Ok(json!({ "error": error.to_string() })),
    };
    let frames = placed.ids[base..base + tokens].chunks_exact((tokens / t).max(1));
    let times: Vec<i64> = frames.map(|frame| frame[0][0] - base as i64).collect();
    Ok(json!({
        "t_ids_minus_base": times,
        "base": base,
        "vision_end_position": placed.ids[base + tokens],
        "delta": placed.delta,
    }))
}

fn facts(tokens_per_second: f32) -> Facts {
    Facts {
        family: "",
        image_token: None,
        video_token: Some(VIDEO),
        merge: MERGE,
        patch_size: 14,
        temporal_patch_size: 2,
        patch_features: 3 * 2 * 14 * 14,
        tokens_per_second: Some(tokens_per_second),
        frames_apart: false,
        max_positions: usize::MAX,
    }
}
