//! What was measured, as one line of JSON and as a table.

use serde_json::{Value, json};

use super::{Intake, Measured, Run, median};
use crate::output;

/// Where and with what was measured.
#[derive(Debug, Clone)]
pub struct Setting {
    pub model: String,
    /// The width at which weights are held, as the option names it.
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
    pub setting: Setting,
    pub measured: Measured,
    pub intake: Intake,
    /// From opening the checkpoint to a model that can be asked.
    pub load_s: f64,
    /// The most memory that the process held, where the system tells.
    pub peak_bytes: Option<u64>,
}

impl Report {
    fn median(&self, value: impl Fn(&Run) -> f64) -> f64 {
        median(self.measured.runs.iter().map(value))
    }

    /// One object.
    pub fn json(&self) -> Value {
        let (s, m) = (&self.setting, &self.measured);
        let prefill = |r: &Run| m.prefill_tok_s(r);
        let decode = |r: &Run| m.decode_tok_s(r);
        let all =
            |value: &dyn Fn(&Run) -> f64| -> Value { m.runs.iter().map(|r| rounded(value(r))).collect() };
        let fields = json!({
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
            "ceilings": Value::Null, "shares": Value::Null,
        });
        fields
    }

    /// Rows for people.
    pub fn table(&self) -> String {
        let (s, m) = (&self.setting, &self.measured);
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |name: &str, value: String, runs: String| rows.push(vec![name.to_owned(), value, runs]);
        let each = |value: &dyn Fn(&Run) -> f64| -> String {
            let values: Vec<String> = m.runs.iter().map(|r| short(value(r))).collect();
            values.join(" ")
        };
        let prefill = |r: &Run| m.prefill_tok_s(r);
        let decode = |r: &Run| m.decode_tok_s(r);
        row("", "median".into(), "runs".into());
        row("load", format!("{} s", short(self.load_s)), String::new());
        row(
            "preprocessing",
            format!("{} s", short(self.median(|r| r.preprocess_s))),
            each(&|r| r.preprocess_s),
        );
        row(
            "vision tower",
            format!("{} s", short(self.median(|r| r.encode_s))),
            each(&|r| r.encode_s),
        );
        row(
            "prefill",
            format!("{} tokens/s", short(self.median(prefill))),
            each(&prefill),
        );
        row(
            "decoding",
            format!("{} tokens/s", short(self.median(decode))),
            each(&decode),
        );
        row(
            "to the first token",
            format!("{} s", short(self.median(|r| r.first_token_s))),
            each(&|r| r.first_token_s),
        );
        if let Some(peak) = self.peak_bytes {
            row("memory at its peak", output::size(peak), String::new());
        }
        let intake = self.intake;
        row(
            "PNG to patches",
            format!("{} Mpx/s", short(intake.png_mpx_s)),
            "one core".into(),
        );
        row(
            "JPEG to patches",
            format!("{} Mpx/s", short(intake.jpeg_mpx_s)),
            "one core".into(),
        );
        let head = format!(
            "{} {}, {}x{} px = {} image tokens, {} tokens of prompt, {} generated, {} runs\n{}, {} cores, {}, {} threads\n\n",
            s.model,
            s.weights,
            s.image.0,
            s.image.1,
            m.image_tokens,
            m.prompt_tokens - m.image_tokens,
            m.tokens,
            m.runs.len(),
            s.processor,
            s.cores,
            s.isa,
            s.threads
        );
        let body: String = output::table(&rows)
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect();
        head + &body
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

/// About three digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
