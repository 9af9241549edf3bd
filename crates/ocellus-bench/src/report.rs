//! What was measured, as one line of JSON and as a table.

use serde_json::{Value, json};

use crate::ceilings::Ceilings;
use crate::intake::Intake;
use crate::measure::{Measured, Run};
use crate::median::median;
use crate::profile::Profile;
use crate::shares::{Costs, Shares};
use crate::streams::Streams;

/// Where and with what was measured.
#[derive(Debug, Clone)]
pub struct Conditions {
    pub model: String,
    /// The storage dtype of the weights, as the option names it.
    pub weights: String,
    pub image: (u32, u32),
    pub threads: usize,
    pub processor: String,
    pub cores: usize,
    /// The instruction level of the kernels.
    pub isa: String,
}

/// Everything that `bench` says.
#[derive(Debug, Clone)]
pub struct Report {
    pub conditions: Conditions,
    pub measured: Measured,
    pub intake: Intake,
    /// From opening the checkpoint to a model that can be asked.
    pub load_s: f64,
    /// The most memory that the process held, where the system tells.
    pub peak_bytes: Option<u64>,
    /// What the work costs, for families whose sizes can be told from the config.
    pub costs: Option<Costs>,
    pub ceilings: Option<Ceilings>,
    /// Several requests at once, where that was asked for.
    pub streams: Vec<Streams>,
    pub profile: Option<Profile>,
}

impl Conditions {
    /// The model and the width of its weights.
    pub fn title(&self) -> String {
        format!("{} in {}", self.model, self.weights)
    }
}

impl Report {
    /// The middle value of all runs.
    pub(super) fn median(&self, value: impl Fn(&Run) -> f64) -> f64 {
        median(self.measured.runs.iter().map(value))
    }

    /// One object.
    pub fn json(&self) -> Value {
        let (s, m) = (&self.conditions, &self.measured);
        let prefill = |r: &Run| m.prefill_tok_s(r);
        let decode = |r: &Run| m.decode_tok_s(r);
        let all =
            |value: &dyn Fn(&Run) -> f64| -> Value { m.runs.iter().map(|r| rounded(value(r))).collect() };
        let mut object = json!({
            "peer": "ocellus", "version": env!("CARGO_PKG_VERSION"), "model": s.model, "weights": s.weights,
            "image": format!("{}x{}", s.image.0, s.image.1),
            "patches": m.grid.t * m.grid.h * m.grid.w, "prompt_tokens": m.prompt_tokens, "image_tokens": m.image_tokens,
            "gen": m.tokens, "threads": s.threads, "runs": m.runs.len(),
            "preprocess_s": rounded(self.median(|r| r.preprocess_s)),
            "png_mpx_s": rounded(self.intake.png_mpx_s), "jpeg_mpx_s": rounded(self.intake.jpeg_mpx_s),
            "encode_s": rounded(self.median(|r| r.encode_s)),
            "prefill_tok_s": rounded(self.median(prefill)), "decode_tok_s": rounded(self.median(decode)),
            "ttft_s": rounded(self.median(|r| r.first_token_s)), "load_s": rounded(self.load_s),
            "peak_rss_gb": self.peak_bytes.map(gib), "peak_rss_bytes": self.peak_bytes,
            "encode_s_runs": all(&|r| r.encode_s), "prefill_tok_s_runs": all(&prefill),
            "decode_tok_s_runs": all(&decode), "ttft_s_runs": all(&|r| r.first_token_s),
            "first_tokens": m.first_tokens,
            "processor": s.processor, "cores": s.cores, "isa": s.isa,
            "costs": self.costs.map(|c| json!({
                "tower_flops": c.tower_flops, "prefill_flops": c.prefill_flops, "token_bytes": c.token_bytes,
            })),
            "ceilings": self.ceilings.map(|c| json!({
                "read_gb_s": rounded(c.read_gb_s), "f32_gflops": c.f32_gflops.map(rounded),
                "bf16_gflops": c.bf16_gflops.map(rounded), "int8_gops": c.int8_gops.map(rounded),
            })),
            "shares": self.shares().map(|s| json!({
                "tower": s.tower.map(rounded), "prefill": s.prefill.map(rounded), "decode": rounded(s.decode),
            })),
            "profile": self.profile.as_ref().map(Profile::json),
        });
        if !self.streams.is_empty() {
            object["streams"] = self.streams.iter().map(|row| self.streams_json(row)).collect();
        }
        object
    }

    fn streams_json(&self, row: &Streams) -> Value {
        let bound = self.bound(row);
        json!({
            "streams": row.streams, "decode_tok_s": rounded(row.decode_tok_s), "each_tok_s": rounded(row.each_tok_s()),
            "times_one": self.times_one(row).map(rounded),
            "step_bytes": self.costs.as_ref().map(|costs| row.step_bytes(costs)),
            "bound_tok_s": bound.map(rounded), "share": bound.map(|bound| rounded(row.decode_tok_s / bound)),
        })
    }

    /// How many times the tokens of one request alone, where that was measured.
    pub(super) fn times_one(&self, row: &Streams) -> Option<f64> {
        let one = self.streams.iter().find(|row| row.streams == 1)?;
        Some(row.decode_tok_s / one.decode_tok_s)
    }

    /// Tokens a second that memory allows, where both it and the costs are known.
    pub(super) fn bound(&self, row: &Streams) -> Option<f64> {
        let (costs, ceilings) = (self.costs.as_ref()?, self.ceilings.as_ref()?);
        Some(row.bound_tok_s(costs, ceilings))
    }

    /// What was reached of the ceilings, where both they and the costs are known.
    pub(super) fn shares(&self) -> Option<Shares> {
        let (costs, ceilings) = (self.costs.as_ref()?, self.ceilings.as_ref()?);
        Some(Shares::of(&self.measured, costs, ceilings))
    }
}

/// Four digits behind the point; what is no number is null.
fn rounded(value: f64) -> Value {
    json!((value * 1e4).round() / 1e4)
}

/// Powers of 1024, as the other engines' figures are had from the operating system.
fn gib(bytes: u64) -> Value {
    json!((bytes as f64 / f64::from(1 << 30) * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::report;

    #[test]
    fn the_object_has_the_fields_that_tables_of_engines_are_made_of() {
        let found = report().json();
        let expected = json!({
            "peer": "ocellus", "version": env!("CARGO_PKG_VERSION"), "model": "org/model", "weights": "bf16",
            "image": "1092x784", "patches": 4368, "prompt_tokens": 1124, "image_tokens": 1092, "gen": 65, "threads": 2,
            "runs": 3, "preprocess_s": 0.05, "png_mpx_s": 40.0, "jpeg_mpx_s": 55.5, "encode_s": 20.0,
            "prefill_tok_s": 112.4, "decode_tok_s": 8.0, "ttft_s": 30.1, "load_s": 2.5,
            "peak_rss_gb": 7.5, "peak_rss_bytes": 8_053_063_680u64,
            "encode_s_runs": [25.0, 20.0, 10.0], "prefill_tok_s_runs": [89.92, 112.4, 224.8],
            "decode_tok_s_runs": [6.4, 8.0, 16.0], "ttft_s_runs": [37.625, 30.1, 15.05], "first_tokens": [5, 6, 7],
            "processor": "A processor", "cores": 2, "isa": "avx512",
            "costs": {"tower_flops": 4_000_000_000_000u64, "prefill_flops": 2_000_000_000_000u64,
                      "token_bytes": 5_000_000_000u64},
            "ceilings": {"read_gb_s": 50.0, "f32_gflops": 200.0, "bf16_gflops": 400.0, "int8_gops": null},
            "shares": {"tower": 0.5, "prefill": 0.5, "decode": 0.8}, "profile": null,
        });
        assert_eq!(found, expected, "{found:#}");
        assert!(!found.to_string().contains('\n'));
    }

    #[test]
    fn streams_have_their_ratio_and_bound() {
        let row = |streams, decode_tok_s| Streams {
            streams,
            decode_tok_s,
        };
        let report = Report {
            streams: vec![row(1, 8.0), row(4, 20.0)],
            ..report()
        };
        let expected = json!([
            {"streams": 1, "decode_tok_s": 8.0, "each_tok_s": 8.0, "times_one": 1.0, "step_bytes": 5_000_000_000u64,
             "bound_tok_s": 10.0, "share": 0.8},
            {"streams": 4, "decode_tok_s": 20.0, "each_tok_s": 5.0, "times_one": 2.5, "step_bytes": 8_000_000_000u64,
             "bound_tok_s": 25.0, "share": 0.8},
        ]);
        assert_eq!(report.json()["streams"], expected);
        let unknown = Report {
            streams: vec![row(4, 20.0)],
            ceilings: None,
            ..report
        };
        for field in ["times_one", "bound_tok_s", "share"] {
            assert_eq!(unknown.json()["streams"][0][field], Value::Null, "{field}");
        }
    }

    #[test]
    fn what_is_not_known_is_null() {
        let report = Report {
            peak_bytes: None,
            costs: None,
            ceilings: None,
            ..report()
        };
        let found = report.json();
        for field in ["peak_rss_gb", "peak_rss_bytes", "costs", "ceilings", "shares"] {
            assert_eq!(found[field], Value::Null, "{field}");
        }
    }
}
