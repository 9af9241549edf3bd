//! Many answers at once: what a machine decodes in total when several requests share every reading of the weights.

use ocellus_base::clock::Clock;
use ocellus_engine::{Event, Request};
use ocellus_media::Rgb;
use ocellus_session::{PixelBounds, Session};

use crate::ceilings::Ceilings;
use crate::error::BenchError;
use crate::measure::{decoded, request, seconds};
use crate::median::median;
use crate::shares::Costs;
use crate::work::Work;

/// So many requests at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Streams {
    pub streams: usize,
    /// Tokens a second of all together, while all of them decode: the median of the runs.
    pub decode_tok_s: f64,
}

impl Streams {
    /// Tokens a second of each.
    pub fn each_tok_s(&self) -> f64 {
        self.decode_tok_s / self.streams as f64
    }

    /// Bytes that a decode step of all of them reads: weights once, keys and values of each.
    pub fn step_bytes(&self, costs: &Costs) -> u64 {
        let cache = costs.cache_bytes.saturating_mul(self.streams as u64);
        costs.weights_bytes().saturating_add(cache)
    }

    /// Tokens a second if nothing but reading memory took time.
    pub fn bound_tok_s(&self, costs: &Costs, ceilings: &Ceilings) -> f64 {
        let steps_s = ceilings.read_gb_s * 1e9 / self.step_bytes(costs).max(1) as f64;
        steps_s * self.streams as f64
    }
}

/// Starts `count` requests of `work` together, for each of `counts`; `seen` is told of each.
///
/// # Errors
/// As [`measure`](crate::measure()), and requests that end before the last one has begun.
pub fn streams(
    session: &Session,
    picture: &Rgb,
    bounds: PixelBounds,
    (work, counts): (&Work, &[usize]),
    clock: &dyn Clock,
    mut seen: impl FnMut(&Streams),
) -> Result<Vec<Streams>, BenchError> {
    let picture = session.decoded_picture(&decoded(picture), bounds)?;
    let (request, _) = request(session, picture, work)?;
    let mut found = Vec::with_capacity(counts.len());
    for &streams in counts {
        let runs = (0..work.runs).map(|_| one(session, &request, streams, clock));
        let decode_tok_s = median(runs.collect::<Result<Vec<f64>, _>>()?);
        let row = Streams {
            streams,
            decode_tok_s,
        };
        seen(&row);
        found.push(row);
    }
    Ok(found)
}

/// Tokens a second over the steps in which every request decodes: from the step that gave the last of them its first token to the
/// one that gave the first of them its last.
fn one(session: &Session, request: &Request, streams: usize, clock: &dyn Clock) -> Result<f64, BenchError> {
    let mut engine = session.engine()?;
    for _ in 0..streams {
        engine.submit(request.clone())?;
    }
    // When all have begun, tokens since then, when the first ended.
    let (mut begun, mut all_began_ns, mut tokens, mut first_ended_ns) = (0, None, 0usize, None);
    while !engine.is_idle() {
        let events = engine.step();
        let now_ns = clock.now_ns();
        let (mut came, mut ended) = (0, false);
        for event in events {
            match event {
                Event::Started { .. } => begun += 1,
                Event::Token { .. } => came += 1,
                Event::Finished { .. } => ended = true,
                Event::Failed { error, .. } => return Err(error.into()),
            }
        }
        match (all_began_ns, first_ended_ns) {
            // A step in which all of them have a token.
            (None, _) if begun == streams && came == streams => all_began_ns = Some(now_ns),
            (Some(_), None) => tokens += came,
            _ => {}
        }
        if ended && first_ended_ns.is_none() {
            first_ended_ns = Some(now_ns);
        }
    }
    match (all_began_ns, first_ended_ns) {
        (Some(from), Some(to)) if to > from && tokens > 0 => Ok(tokens as f64 / seconds(to - from)),
        _ => Err(BenchError::NotTogether { streams }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::report;

    #[test]
    fn weights_are_read_once_for_all_and_keys_and_values_for_each() {
        let report = report();
        let (costs, ceilings) = (report.costs.unwrap(), report.ceilings.unwrap());
        for (streams, bytes, bound) in [(1, 5_000_000_000, 10.0), (4, 8_000_000_000, 25.0)] {
            let row = Streams {
                streams,
                decode_tok_s: 20.0,
            };
            assert_eq!(row.step_bytes(&costs), bytes);
            assert_eq!(row.bound_tok_s(&costs, &ceilings), bound);
            assert_eq!(row.each_tok_s(), 20.0 / streams as f64);
        }
    }
}
