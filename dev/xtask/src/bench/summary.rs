//! Medians and ratios of the rows.

use std::collections::BTreeMap;

use super::bars::{Bar, Group, Panel};
use super::list::Side;
use super::noise::Noise;
use super::quantity::{self, Quantity};
use super::rows::Row;

/// Values by program, quantity and round.
#[derive(Debug, Default)]
pub struct Summary {
    /// Programs with at least one value: the widest weights first, ours first among equals.
    pub sides: Vec<Side>,
    values: BTreeMap<(String, &'static str), BTreeMap<u32, f64>>,
    noise: Vec<Noise>,
    pub rounds: u32,
}

/// How many times better ours is, over the rounds in which both were measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Summary {
    pub fn of(sides: &[Side], rows: &[Row]) -> Self {
        let mut summary = Self::default();
        for row in rows {
            let label = format!("{} {}", row.peer, row.weights);
            let by_round = summary.values.entry((label, row.quantity.key)).or_default();
            by_round.insert(row.round, row.value);
            summary.rounds = summary.rounds.max(row.round);
        }
        summary.sides = super::rounds::order(sides, 1)
            .into_iter()
            .filter(|side| summary.values.keys().any(|(label, _)| *label == side.label()))
            .cloned()
            .collect();
        // Rows of one run share its noise: one is enough.
        let first_of_run = |row: &&Row, before: Option<&Row>| {
            before.is_none_or(|b| (b.round, &b.peer, &b.weights) != (row.round, &row.peer, &row.weights))
        };
        let places = rows.iter().enumerate();
        summary.noise = places
            .filter(|(place, row)| first_of_run(row, place.checked_sub(1).map(|p| &rows[p])))
            .filter_map(|(_, row)| row.noise)
            .collect();
        summary
    }

    fn by_round(&self, side: &Side, quantity: &Quantity) -> Option<&BTreeMap<u32, f64>> {
        self.values.get(&(side.label(), quantity.key))
    }

    pub fn median(&self, side: &Side, quantity: &Quantity) -> Option<f64> {
        median(self.by_round(side, quantity)?.values().copied())
    }

    /// Round by round, since what slows a round slows both; the median of that.
    pub fn ratio(&self, ours: &Side, theirs: &Side, quantity: &Quantity) -> Option<Ratio> {
        let theirs = self.by_round(theirs, quantity)?;
        let ratios: Vec<f64> = self
            .by_round(ours, quantity)?
            .iter()
            .filter_map(|(round, value)| Some(quantity.ratio(*value, *theirs.get(round)?)))
            .collect();
        Some(Ratio {
            median: median(ratios.iter().copied())?,
            lowest: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            highest: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// The smallest of the ratios to `peers`: the one to whoever is best.
    pub fn ratio_to_best<'a>(
        &self,
        ours: &Side,
        peers: impl IntoIterator<Item = &'a Side>,
        quantity: &Quantity,
    ) -> Option<Ratio> {
        peers
            .into_iter()
            .filter_map(|peer| self.ratio(ours, peer, quantity))
            .min_by(|a, b| a.median.total_cmp(&b.median))
    }

    pub fn ours(&self) -> impl Iterator<Item = &Side> {
        self.sides.iter().filter(|side| side.is_ours())
    }

    /// Peers with weights of the same width as `side`'s, or of another one.
    pub fn peers(&self, side: &Side, same_width: bool) -> Vec<&Side> {
        self.sides
            .iter()
            .filter(|peer| !peer.is_ours() && (peer.bits == side.bits) == same_width)
            .collect()
    }

    /// Median and highest share of the cores that others used, and the same of what a host took; in percent.
    pub fn noise(&self) -> Option<[(f64, f64); 2]> {
        let of = |share: fn(&Noise) -> f64| {
            let shares = || self.noise.iter().map(share);
            Some((median(shares())?, shares().fold(0.0, f64::max)))
        };
        Some([of(|n| n.others_percent)?, of(|n| n.stolen_percent)?])
    }

    /// What the picture shows: how fast everybody is beside the fastest peer with weights of the same width.
    pub fn panels(&self) -> Vec<Panel> {
        let drawn = quantity::ALL.iter().filter(|quantity| quantity.drawn);
        drawn
            .map(|quantity| Panel {
                title: quantity.name.to_owned(),
                groups: self
                    .sides
                    .chunk_by(|a, b| a.bits == b.bits)
                    .filter_map(|sides| self.group(sides, quantity))
                    .collect(),
            })
            .filter(|panel| !panel.groups.is_empty())
            .collect()
    }

    fn group(&self, sides: &[Side], quantity: &Quantity) -> Option<Group> {
        let best = sides
            .iter()
            .filter(|side| !side.is_ours())
            .filter_map(|side| self.median(side, quantity))
            .reduce(|a, b| if quantity.ratio(a, b) > 1.0 { a } else { b })?;
        let bar = |side: &Side| {
            Some(Bar {
                label: side.label(),
                ratio: quantity.ratio(self.median(side, quantity)?, best),
                ours: side.is_ours(),
            })
        };
        Some(Group {
            title: format!("about {} bits a weight", sides.first()?.bits),
            bars: sides.iter().filter_map(bar).collect(),
        })
    }
}

/// The middle value; of an even number of them the mean of the two in the middle.
fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n.is_multiple_of(2) => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
pub mod tests;
