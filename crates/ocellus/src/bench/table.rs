//! What was measured, for people.

use super::{Profile, Report, Run};
use crate::output;

impl Report {
    /// What was measured where, and a row for every part.
    pub fn table(&self) -> String {
        let mut rows = vec![
            ["", "median", "of the ceiling", "runs"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(self.parts().into_iter().map(Part::row));
        let body = output::table(&rows);
        let lines = body.lines().map(|line| format!("{}\n", line.trim_end()));
        let profile = self.profile.as_ref().map(Profile::table);
        // What there is, with a line between.
        let blocks = [
            self.head(),
            lines.collect(),
            self.foot(),
            profile.unwrap_or_default(),
        ];
        let blocks: Vec<String> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
        blocks.join("\n")
    }

    /// What was measured, and on what.
    fn head(&self) -> String {
        let (s, m) = (&self.setting, &self.measured);
        let text = m.prompt_tokens - m.image_tokens;
        format!(
            "{}: a picture of {}x{} px = {} tokens, {text} tokens of text, {} generated\n{}, {} cores, {}, {} threads\n",
            s.title(),
            s.image.0,
            s.image.1,
            m.image_tokens,
            m.tokens,
            s.processor,
            s.cores,
            s.isa,
            s.threads
        )
    }

    fn parts(&self) -> Vec<Part> {
        let (m, shares) = (&self.measured, self.shares());
        let timed = |name, unit, share, value: &dyn Fn(&Run) -> f64| Part {
            name,
            value: format!("{} {unit}", short(self.median(value))),
            share,
            note: m
                .runs
                .iter()
                .map(|r| short(value(r)))
                .collect::<Vec<_>>()
                .join(" "),
        };
        let once = |name, value: String, note: &str| Part {
            name,
            value,
            share: None,
            note: note.to_owned(),
        };
        let mut parts = vec![
            once("load", format!("{} s", short(self.load_s)), ""),
            timed("preprocessing", "s", None, &|r| r.preprocess_s),
            timed("vision tower", "s", shares.and_then(|s| s.tower), &|r| r.encode_s),
            timed("prefill", "tokens/s", shares.and_then(|s| s.prefill), &|r| {
                m.prefill_tok_s(r)
            }),
            timed("decoding", "tokens/s", shares.map(|s| s.decode), &|r| {
                m.decode_tok_s(r)
            }),
            timed("to the first token", "s", None, &|r| r.first_token_s),
        ];
        let rate = |mpx_s: f64| format!("{} Mpx/s", short(mpx_s));
        parts.push(once("PNG to patches", rate(self.intake.png_mpx_s), "one core"));
        parts.push(once("JPEG to patches", rate(self.intake.jpeg_mpx_s), "one core"));
        parts.extend(
            self.peak_bytes
                .map(|peak| once("memory at its peak", output::size(peak), "")),
        );
        parts
    }

    /// The ceilings, and the costs that the shares are computed from.
    fn foot(&self) -> String {
        let mut text = String::new();
        if let Some(c) = &self.ceilings {
            let peaks = [
                ("f32", c.f32_gflops),
                ("bf16", c.bf16_gflops),
                ("int8", c.int8_gops),
            ];
            let peaks = peaks
                .iter()
                .filter_map(|(name, peak)| Some(format!(", {name} {peak:.0} Gop/s", peak = (*peak)?)));
            let peaks: String = peaks.collect();
            text += &format!("ceilings: memory {} GB/s{peaks}\n", short(c.read_gb_s));
        }
        if let Some(c) = &self.costs {
            let token = c.prefill_flops / self.measured.prompt_tokens.max(1) as u64;
            text += &format!(
                "costs: tower {} operations, prompt {} a token, {} read for each new token\n",
                output::count(c.tower_flops),
                output::count(token),
                output::size(c.token_bytes)
            );
        }
        text
    }
}

/// A row of the table.
struct Part {
    name: &'static str,
    value: String,
    share: Option<f64>,
    note: String,
}

impl Part {
    fn row(self) -> Vec<String> {
        let share = self.share.map(|share| format!("{:.0} %", share * 100.0));
        vec![
            self.name.to_owned(),
            self.value,
            share.unwrap_or_default(),
            self.note,
        ]
    }
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

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::Report;

    #[test]
    fn the_table_is_as_recorded() {
        assert_eq!(report().table(), include_str!("../../tests/bench/table.txt"));
    }

    #[test]
    fn a_table_without_ceilings_shows_no_shares() {
        let table = Report {
            ceilings: None,
            costs: None,
            ..report()
        }
        .table();
        assert!(
            !table.contains('%') && !table.contains("ceilings:") && !table.contains("costs:"),
            "{table}"
        );
    }
}
