//! Positions on three axes (time, row, column): M-RoPE (Wang et al. 2024, section 2.1; Bai et al. 2025, section 2.1.2).
//!
//! Text advances all three axes by one per token. A visual token has the position where its picture starts plus its frame, row
//! and column. Three public versions of the rule disagree after videos, so the rule is an option.

use crate::error::ModelError;
use crate::facts::Facts;
use ocellus_media::Grid;

/// How frames are timed, and which position follows a picture or video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PositionRule {
    /// Time = floor(frame · seconds · rate) in f32; the next position is the largest so far + 1. The published description.
    #[default]
    Published,
    /// As published, with the seconds cut to a whole number first (transformers 4.57).
    WholeSeconds,
    /// Time = floor(frame · (rate · seconds)); the next position is the start + max(rows, columns) (transformers 5).
    LargestSide,
}

/// The size of a picture or video of a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VisualSpan {
    pub grid: Grid,
    /// `Some(seconds a temporal patch spans)` for a video.
    pub video_seconds: Option<f32>,
}

/// Positions of one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// Time, row and column of every token.
    pub ids: Vec<[i64; 3]>,
    /// Largest position + 1 − number of tokens: generated token `n` has position `ids.len() + n + delta` on all axes.
    pub delta: i64,
}

/// Positions of the prompt `ids`, in which image and video ids stand for the visual tokens of `visions`, in order.
pub fn positions(
    facts: &Facts,
    ids: &[u32],
    visions: &[VisualSpan],
    rule: PositionRule,
) -> Result<Positions, ModelError> {
    let (mut out, mut next) = (Vec::with_capacity(ids.len()), 0i64);
    let visions = apart(facts, visions);
    let mut images = visions.iter().filter(|v| v.video_seconds.is_none());
    let mut videos = visions.iter().filter(|v| v.video_seconds.is_some());
    while out.len() < ids.len() {
        let id = ids[out.len()];
        let (kind, vision) = if Some(id) == facts.image_token {
            ("image", images.next())
        } else if Some(id) == facts.video_token {
            ("video", videos.next())
        } else {
            out.push([next; 3]);
            next += 1;
            continue;
        };
        let run = ids[out.len()..].iter().take_while(|i| **i == id).count();
        let vision = vision.ok_or(ModelError::Span {
            kind,
            expected: 0,
            found: run,
        })?;
        let visual_tokens = facts.visual_tokens(&vision.grid);
        if run < visual_tokens || visual_tokens == 0 {
            return Err(ModelError::Span {
                kind,
                expected: visual_tokens,
                found: run,
            });
        }
        next = place(facts, vision, rule, next, &mut out);
    }
    for (kind, left) in [("image", images.next()), ("video", videos.next())] {
        if let Some(vision) = left {
            return Err(ModelError::Span {
                kind,
                expected: facts.visual_tokens(&vision.grid),
                found: 0,
            });
        }
    }
    let largest = out.iter().flatten().max().map_or(0, |m| m + 1);
    Ok(Positions {
        delta: largest - ids.len() as i64,
        ids: out,
    })
}

/// The spans of visual tokens in the prompt: whole pictures and videos, or single frames where frames stand apart.
fn apart(facts: &Facts, visions: &[VisualSpan]) -> Vec<VisualSpan> {
    let frames = |v: &VisualSpan| match v.video_seconds {
        Some(_) if facts.frames_apart => {
            let frame = Grid { t: 1, ..v.grid };
            vec![VisualSpan { grid: frame, ..*v }; v.grid.t]
        }
        _ => vec![*v],
    };
    visions.iter().flat_map(frames).collect()
}

/// Appends the positions of one picture or video that starts at `start`; returns the position that follows it.
fn place(facts: &Facts, vision: &VisualSpan, rule: PositionRule, start: i64, out: &mut Vec<[i64; 3]>) -> i64 {
    let (rows, columns) = (vision.grid.h / facts.merge, vision.grid.w / facts.merge);
    for frame in 0..vision.grid.t {
        let time = time(facts, vision, rule, frame);
        for row in 0..rows {
            out.extend((0..columns).map(|column| [start + time, start + row as i64, start + column as i64]));
        }
    }
    match rule {
        PositionRule::LargestSide => start + rows.max(columns) as i64,
        _ => out.iter().flatten().max().map_or(start, |m| m + 1),
    }
}

fn time(facts: &Facts, vision: &VisualSpan, rule: PositionRule, frame: usize) -> i64 {
    let (Some(seconds), Some(rate)) = (vision.video_seconds, facts.tokens_per_second) else {
        // Families without timed positions use the frame number; in timed families a picture has a single time.
        return if facts.tokens_per_second.is_none() {
            frame as i64
        } else {
            0
        };
    };
    let frame = frame as f32;
    // The order of multiplication is the reference's: rounding in f32 can change the floor.
    let time = match rule {
        PositionRule::Published => frame * seconds * rate,
        PositionRule::WholeSeconds => frame * seconds.trunc() * rate,
        PositionRule::LargestSide => frame * (rate * seconds),
    };
    time.floor() as i64
}
