//! The rows of a padded batch as sequences: padding taken off, pictures handed to the rows whose tokens they fill.

use std::ops::Range;

use ocellus_models::{Facts, Grid, PositionRule, Positions, VisualSpan};
use serde_json::Value;

use crate::array::Array;
use crate::case::Case;
use crate::error::CaseError;

/// A batch of the reference, `[batch, length]`.
pub struct Rows {
    pub length: usize,
    /// All ids with their padding.
    pub padded: Vec<u32>,
    pub rows: Vec<Sequence>,
    pub images: Pictures,
    pub videos: Pictures,
}

/// One row without its padding.
pub struct Sequence {
    /// Where its tokens stand in the padded row.
    pub columns: Vec<usize>,
    pub ids: Vec<u32>,
    /// Which of the batch's images and videos are its own.
    pub images: Range<usize>,
    pub videos: Range<usize>,
}

/// All pictures of one kind, one after another.
pub struct Pictures {
    pub visions: Vec<VisualSpan>,
}

impl Pictures {
    /// The patches of picture `index`, as rows of the packed patches.
    pub fn patches(&self, index: usize) -> Range<usize> {
        let patches = |visions: &[VisualSpan]| visions.iter().map(|v| v.grid.patches()).sum::<usize>();
        patches(&self.visions[..index])..patches(&self.visions[..=index])
    }

    pub fn grids(&self) -> Vec<Grid> {
        self.visions.iter().map(|v| v.grid).collect()
    }

    /// The pictures from `next` on whose visual tokens stand in `ids` as `token`.
    fn fill(&self, facts: &Facts, ids: &[u32], token: Option<u32>, next: &mut usize) -> Range<usize> {
        let (first, mut visual_tokens) = (*next, ids.iter().filter(|id| Some(**id) == token).count());
        while let Some(vision) = self.visions.get(*next).filter(|_| visual_tokens > 0) {
            visual_tokens = visual_tokens.saturating_sub(facts.visual_tokens(&vision.grid).max(1));
            *next += 1;
        }
        first..*next
    }
}

impl Rows {
    /// Reads `input_ids`, `attention_mask`, and the grids.
    pub fn read(case: &Case, facts: &Facts) -> Result<Self, CaseError> {
        let (shape, ids) = case.integers("input_ids", 2)?;
        let padded = ids
            .iter()
            .map(|id| u32::try_from(*id).map_err(|_| case.wrong_input("input_ids", "token ids", id)))
            .collect::<Result<Vec<u32>, _>>()?;
        let mask = match case.has_input("attention_mask") {
            true => case.integers("attention_mask", 2)?,
            false => (shape.clone(), vec![1; ids.len()]),
        };
        if mask.0 != shape {
            return Err(case.wrong_input("attention_mask", format!("{shape:?}"), format!("{:?}", mask.0)));
        }
        let images = Pictures {
            visions: grids(case, "image_grid_thw")?.into_iter().map(still).collect(),
        };
        let videos = Pictures {
            visions: timed(case)?,
        };
        let (mut image, mut video) = (0, 0);
        let mut rows = Vec::with_capacity(shape[0]);
        for (ids, mask) in padded
            .chunks_exact(shape[1].max(1))
            .zip(mask.1.chunks_exact(shape[1].max(1)))
        {
            let columns: Vec<usize> = (0..shape[1]).filter(|c| mask[*c] != 0).collect();
            let ids: Vec<u32> = columns.iter().map(|c| ids[*c]).collect();
            let images = images.fill(facts, &ids, facts.image_token, &mut image);
            let videos = videos.fill(facts, &ids, facts.video_token, &mut video);
            rows.push(Sequence {
                columns,
                ids,
                images,
                videos,
            });
        }
        Ok(Self {
            length: shape[1],
            padded,
            rows,
            images,
            videos,
        })
    }

    /// The pictures of a row: its images, then its videos.
    pub fn visions(&self, row: &Sequence) -> Vec<VisualSpan> {
        let images = &self.images.visions[row.images.clone()];
        [images, &self.videos.visions[row.videos.clone()]].concat()
    }

    /// The positions of every row.
    pub fn positions(&self, case: &Case, facts: &Facts) -> Result<Vec<Positions>, CaseError> {
        let rule = rule(case)?;
        let place = |row: &Sequence| {
            Ok(ocellus_models::mrope::positions(
                facts,
                &row.ids,
                &self.visions(row),
                rule,
            )?)
        };
        self.rows.iter().map(place).collect::<Result<_, CaseError>>()
    }

    /// The positions of samples packed one after another in the rows, which restart at 0 with each.
    pub fn sample_positions(
        &self,
        case: &Case,
        facts: &Facts,
        lengths: &[usize],
    ) -> Result<Vec<[i64; 3]>, CaseError> {
        let (rule, (mut image, mut video)) = (rule(case)?, (0, 0));
        let ids: Vec<u32> = self.rows.iter().flat_map(|row| row.ids.iter().copied()).collect();
        let (mut rest, mut positions) = (&ids[..], Vec::with_capacity(ids.len()));
        for &length in lengths {
            let (ids, behind) = rest.split_at(length);
            rest = behind;
            let images = self.images.fill(facts, ids, facts.image_token, &mut image);
            let videos = self.videos.fill(facts, ids, facts.video_token, &mut video);
            let visions = [&self.images.visions[images], &self.videos.visions[videos]].concat();
            positions.extend(ocellus_models::mrope::positions(facts, ids, &visions, rule)?.ids);
        }
        Ok(positions)
    }

    /// `[3, batch, length]`, 0 at padding, and `[batch, 1]`.
    pub fn as_reference(&self, positions: &[Positions]) -> (Array, Array) {
        let packed: Vec<[i64; 3]> = positions.iter().flat_map(|p| p.ids.iter().copied()).collect();
        let deltas = positions.iter().map(|p| p.delta).collect();
        (
            self.unpack_positions(&packed),
            Array::integers([self.rows.len(), 1], deltas),
        )
    }

    /// Packed positions `[tokens, 3]` → `[3, batch, length]`, 0 at padding.
    pub fn unpack_positions(&self, packed: &[[i64; 3]]) -> Array {
        let mut ids = vec![0; 3 * self.padded.len()];
        for (place, position) in self.places().zip(packed) {
            for (axis, at) in position.iter().enumerate() {
                ids[axis * self.padded.len() + place] = *at;
            }
        }
        Array::integers([3, self.rows.len(), self.length], ids)
    }

    /// Packed rows `[tokens, width]` → `[batch, length, width]`, 0 at padding.
    pub fn unpack(&self, packed: &[f32], width: usize) -> Array {
        let mut out = vec![0.0; self.padded.len() * width];
        for (place, values) in self.places().zip(packed.chunks_exact(width.max(1))) {
            out[place * width..][..width].copy_from_slice(values);
        }
        Array::floats([self.rows.len(), self.length, width], out)
    }

    /// Where the real tokens stand in the padded batch, one after another.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let rows = self.rows.iter().enumerate();
        let length = self.length;
        rows.flat_map(move |(i, row)| row.columns.iter().map(move |c| i * length + c))
    }
}

/// The rule of positions that the case names, after the library version that had it.
pub fn rule(case: &Case) -> Result<PositionRule, CaseError> {
    match case.options.get("mrope") {
        None | Some(Value::Null) => Ok(PositionRule::default()),
        Some(name) => match name.as_str() {
            Some("4.49") => Ok(PositionRule::Published),
            Some("4.57.1") => Ok(PositionRule::WholeSeconds),
            Some("5.23") => Ok(PositionRule::LargestSide),
            _ => Err(case.wrong_option("mrope", "4.49, 4.57.1 or 5.23")),
        },
    }
}

fn still(grid: Grid) -> VisualSpan {
    VisualSpan {
        grid,
        video_seconds: None,
    }
}

fn timed(case: &Case) -> Result<Vec<VisualSpan>, CaseError> {
    let grids = grids(case, "video_grid_thw")?;
    let seconds = match case.has_input("second_per_grid_ts") {
        true => case.floats("second_per_grid_ts", 1)?.1,
        // The published default.
        false => vec![1.0; grids.len()],
    };
    if seconds.len() != grids.len() {
        return Err(case.wrong_input(
            "second_per_grid_ts",
            format!("{} videos", grids.len()),
            seconds.len(),
        ));
    }
    Ok(grids
        .into_iter()
        .zip(seconds)
        .map(|(grid, s)| VisualSpan {
            grid,
            video_seconds: Some(s),
        })
        .collect())
}

fn grids(case: &Case, name: &str) -> Result<Vec<Grid>, CaseError> {
    if !case.has_input(name) {
        return Ok(Vec::new());
    }
    let (shape, values) = case.integers(name, 2)?;
    let sides: Option<Vec<usize>> = values
        .iter()
        .map(|v| usize::try_from(*v).ok().filter(|v| *v < 1 << 20))
        .collect();
    match sides {
        Some(sides) if shape[1] == 3 => Ok(sides
            .chunks_exact(3)
            .map(|g| Grid {
                t: g[0],
                h: g[1],
                w: g[2],
            })
            .collect()),
        _ => Err(case.wrong_input(name, "[pictures, 3] sides", format!("{shape:?}"))),
    }
}
