//! From glyphs to lines: chains of letters, chains that continue one another, and the small marks around them.

use super::components::{find, join};
use super::gaps;
use super::glyph_group::{Group, group};
use super::glyphs::Glyph;
use super::rect::Rect;
use super::shelves::Shelves;

/// Em of a font whose tall letters have height 1.
pub(super) const EM_PER_SIZE: f32 = 1.45;
/// Gaps up to this many em do not end a line yet.
const WIDEST_GAP_EM: f32 = 1.45;
/// In text of equal character cells, gaps up to this many cells: two spaces and the white of the letters.
const WIDEST_GRID_GAP: f32 = 2.9;

/// All lines, including lone marks that belong to none.
pub(super) fn lines(glyphs: &[Glyph], vertical_rules: &[Rect], letter: i32) -> Vec<Group> {
    let mut groups = chain(glyphs, vertical_rules, letter);
    for _ in 0..2 {
        groups = merge(groups, glyphs, vertical_rules, letter);
        groups = attach_marks(groups, glyphs, vertical_rules);
    }
    groups = join_pieces(groups, glyphs, letter);
    merge(groups, glyphs, vertical_rules, letter)
}

fn regroup(
    glyphs: &[Glyph],
    sets: &mut [u32],
    members: impl Iterator<Item = (u32, Vec<usize>)>,
) -> Vec<Group> {
    let mut by_root = std::collections::BTreeMap::<u32, Vec<usize>>::new();
    for (set, indices) in members {
        by_root.entry(find(sets, set)).or_default().extend(indices);
    }
    by_root
        .into_values()
        .map(|members| group(members, glyphs))
        .collect()
}

/// Whether a vertical rule stands between the two boxes.
fn ruled_off(left: &Rect, right: &Rect, rules: &[Rect]) -> bool {
    rules.iter().any(|rule| {
        let middle = (left.y0.max(right.y0) + left.y1.min(right.y1)) / 2;
        // Letters may overlap a rule a little, not cross it.
        let slack = ((right.x1 - right.x0).min(left.x1 - left.x0) / 3).min(3);
        (rule.y0..rule.y1).contains(&middle) && rule.x0 >= left.x1 - slack && rule.x1 <= right.x0 + slack
    })
}

/// Joins letters of like height side by side, at less than their height apart.
fn chain(glyphs: &[Glyph], vertical_rules: &[Rect], letter: i32) -> Vec<Group> {
    let rects: Vec<Rect> = glyphs.iter().map(|glyph| glyph.rect).collect();
    let shelves = Shelves::new(&rects, letter);
    let mut sets: Vec<u32> = (0..glyphs.len() as u32).collect();
    for (index, a) in rects.iter().enumerate() {
        let reach = a.height() * 2;
        for other in shelves.between(a.y0, a.y1, a.x0, a.x1 + reach) {
            let b = rects[other];
            let (low, high) = (a.height().min(b.height()), a.height().max(b.height()));
            let overlap = -a.gap_y(&b);
            if other != index
                && high * 5 <= low * 11
                && overlap * 20 >= low * 11
                && a.gap_x(&b) * 5 <= high * 4
                // What is inside a ring is not beside it.
                && !a.contains(&b)
                && !ruled_off(a, &b, vertical_rules)
            {
                join(&mut sets, index as u32, other as u32);
            }
        }
    }
    regroup(
        glyphs,
        &mut sets,
        (0..glyphs.len()).map(|index| (index as u32, vec![index])),
    )
}

/// Joins groups that continue one another in the same line.
fn merge(groups: Vec<Group>, glyphs: &[Glyph], vertical_rules: &[Rect], letter: i32) -> Vec<Group> {
    let rects: Vec<Rect> = groups.iter().map(|group| group.rect).collect();
    let shelves = Shelves::new(&rects, letter * 2);
    let mut sets: Vec<u32> = (0..groups.len() as u32).collect();
    let pitches: Vec<Option<f32>> = groups
        .iter()
        .map(|group| {
            gaps::pitch(
                &gaps::columns(group.glyphs.iter().map(|&index| glyphs[index].rect)),
                group.size,
            )
        })
        .collect();
    for (index, a) in groups.iter().enumerate() {
        let reach = (a.size * 2.2 * EM_PER_SIZE * WIDEST_GAP_EM).max(a.size * WIDEST_GRID_GAP) as i32;
        for other in shelves.between(a.rect.y0, a.rect.y1, a.rect.x0, a.rect.x1 + reach) {
            let b = &groups[other];
            let joins = continues(a, b) || same_grid(&pitches, index, other, &groups, glyphs);
            if other != index && joins && !ruled_off(&a.rect, &b.rect, vertical_rules) {
                join(&mut sets, index as u32, other as u32);
            }
        }
    }
    let members = groups
        .into_iter()
        .enumerate()
        .map(|(index, group)| (index as u32, group.glyphs));
    regroup(glyphs, &mut sets, members)
}

fn continues(a: &Group, b: &Group) -> bool {
    let (low, high) = (a.size.min(b.size), a.size.max(b.size));
    let overlap = -a.rect.gap_y(&b.rect) as f32;
    let shorter = a.rect.height().min(b.rect.height()) as f32;
    let gap = a.rect.gap_x(&b.rect) as f32;
    high <= 2.2 * low && overlap >= 0.55 * shorter && gap <= WIDEST_GAP_EM * EM_PER_SIZE * high
}

/// Whether the two are so close that they fit into the height of one letter: a letter and what is raised beside it,
/// the halves of an ideograph.
fn is_compact(a: &Group, b: &Group, letter: i32) -> bool {
    let few = a.glyphs.len().max(b.glyphs.len()) <= 2;
    let height = a.rect.union(&b.rect).height();
    let tallest = (letter * 3 / 2).min((a.size.max(b.size) * 2.3) as i32);
    few && height <= tallest && a.rect.gap_x(&b.rect) * 8 <= letter * 5
}

/// Joins what is left over of letters of several pieces.
fn join_pieces(groups: Vec<Group>, glyphs: &[Glyph], letter: i32) -> Vec<Group> {
    let rects: Vec<Rect> = groups.iter().map(|group| group.rect).collect();
    let shelves = Shelves::new(&rects, letter * 2);
    let mut sets: Vec<u32> = (0..groups.len() as u32).collect();
    for (index, a) in groups
        .iter()
        .enumerate()
        .filter(|(_, group)| group.glyphs.len() <= 2)
    {
        let rect = a.rect;
        for other in shelves.between(rect.y0 - letter, rect.y1 + letter, rect.x0, rect.x1 + letter) {
            if other != index && is_compact(a, &groups[other], letter) {
                join(&mut sets, index as u32, other as u32);
            }
        }
    }
    let members = groups
        .into_iter()
        .enumerate()
        .map(|(index, group)| (index as u32, group.glyphs));
    regroup(glyphs, &mut sets, members)
}

/// Whether two groups of one row are set in one grid of equal character cells: then what is between them are spaces.
fn same_grid(pitches: &[Option<f32>], a: usize, b: usize, groups: &[Group], glyphs: &[Glyph]) -> bool {
    let pitch = match (pitches[a], pitches[b]) {
        (Some(a), Some(b)) if (a - b).abs() <= 0.04 * a => (a + b) / 2.0,
        (Some(pitch), None) | (None, Some(pitch)) => pitch,
        _ => return false,
    };
    let (a, b) = (&groups[a], &groups[b]);
    let overlap = -a.rect.gap_y(&b.rect) as f32;
    let gap = a.rect.gap_x(&b.rect) as f32;
    if gap < 0.0
        || gap > WIDEST_GRID_GAP * pitch
        || overlap < 0.6 * a.rect.height().min(b.rect.height()) as f32
        || a.size.max(b.size) > 1.6 * a.size.min(b.size)
    {
        return false;
    }
    let centre = |column: Option<&(i32, i32)>| column.map_or(0.0, |&(x0, x1)| (x0 + x1) as f32 / 2.0);
    let columns = |group: &Group| gaps::columns(group.glyphs.iter().map(|&index| glyphs[index].rect));
    gaps::on_grid(centre(columns(b).first()) - centre(columns(a).last()), pitch)
}

/// Gives dots, accents, dashes and raised figures to the line around or beside them.
fn attach_marks(groups: Vec<Group>, glyphs: &[Glyph], vertical_rules: &[Rect]) -> Vec<Group> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&index| (groups[index].rect.x0, index));
    let lines: Vec<usize> = order
        .iter()
        .copied()
        .filter(|&index| groups[index].glyphs.len() >= 2)
        .collect();
    let mut extent: Vec<Rect> = groups.iter().map(|group| group.rect).collect();
    let mut owner: Vec<Option<usize>> = vec![None; groups.len()];
    let shelf = 32;
    let rows = extent.iter().map(|rect| rect.y1).max().unwrap_or(0) / shelf + 2;
    let mut shelves: Vec<Vec<usize>> = vec![Vec::new(); rows as usize];
    for &line in &lines {
        let (rect, reach) = (extent[line], groups[line].size as i32);
        for row in (rect.y0 - reach).max(0) / shelf..=((rect.y1 + reach) / shelf).min(rows - 1) {
            shelves[row as usize].push(line);
        }
    }
    // From left to right, then back: a row of dots is taken one dot after the other.
    let back: Vec<usize> = order.iter().rev().copied().collect();
    for &mark in order.iter().chain(&back) {
        if owner[mark].is_some() {
            continue;
        }
        let small = &groups[mark];
        let middle = (small.rect.y0 + small.rect.y1) as f32 / 2.0;
        let nearest = shelves[(middle as i32 / shelf) as usize]
            .iter()
            .filter(|&&line| line != mark && owner[line].is_none())
            .filter_map(|&line| {
                let size = groups[line].size;
                if small.size > 0.7 * size || small.rect.height() as f32 > size {
                    return None;
                }
                let (top, bottom) = (groups[line].rect.y0 as f32, groups[line].rect.y1 as f32);
                let outside = (top - middle).max(middle - bottom).max(0.0);
                let aside = extent[line].gap_x(&small.rect).max(0) as f32;
                let beside = if extent[line].x0 < small.rect.x0 {
                    ruled_off(&extent[line], &small.rect, vertical_rules)
                } else {
                    ruled_off(&small.rect, &extent[line], vertical_rules)
                };
                let near = outside <= 0.35 * size && aside <= 0.95 * EM_PER_SIZE * size && !beside;
                near.then_some((line, aside + 3.0 * outside))
            })
            .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        if let Some((line, _)) = nearest {
            owner[mark] = Some(line);
            extent[line] = extent[line].union(&small.rect);
        }
    }
    let mut sets: Vec<u32> = (0..groups.len() as u32).collect();
    for (mark, owner) in owner.iter().enumerate() {
        if let Some(line) = owner {
            join(&mut sets, mark as u32, *line as u32);
        }
    }
    let members = groups
        .into_iter()
        .enumerate()
        .map(|(index, group)| (index as u32, group.glyphs));
    regroup(glyphs, &mut sets, members)
}
