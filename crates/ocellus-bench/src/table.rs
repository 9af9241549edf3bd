//! What was measured, for people.

use ocellus_base::columns::columns;
use ocellus_base::units::{count, size};

use crate::measure::Run;
use crate::profile::Profile;
use crate::report::Report;
use crate::streams::Streams;

impl Report {
    /// What was measured where, and a row for every part.
    pub fn table(&self) -> String {
        let mut rows = vec![
            ["", "median", "of the ceiling", "runs"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(self.parts().into_iter().map(Part::row));
        let body = columns(&rows);
        let lines = body.lines().map(|line| format!("{}\n", line.trim_end()));
        let profile = self.profile.as_ref().map(Profile::table);
        // What there is, with a line between.
        let blocks = [
            self.head(),
            lines.collect(),
            self.foot(),
            self.streams_table(),
            profile.unwrap_or_default(),
        ];
        let blocks: Vec<String> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
        blocks.join("\n")
    }

    /// What was measured, and on what.
    fn head(&self) -> String {
        let (s, m) = (&self.conditions, &self.measured);
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
                .map(|peak| once("memory at its peak", size(peak), "")),
        );
        parts
    }

    /// A row for every number of requests at once; nothing where none was asked for.
    fn streams_table(&self) -> String {
        if self.streams.is_empty() {
            return String::new();
        }
        let head = [
            "streams",
            "all",
            "each",
            "times one",
            "bound by memory",
            "of the bound",
        ];
        let row = |row: &Streams| {
            let bound = self.bound(row);
            vec![
                row.streams.to_string(),
                format!("{} tokens/s", short(row.decode_tok_s)),
                format!("{} tokens/s", short(row.each_tok_s())),
                self.times_one(row)
                    .map_or_else(String::new, |times| format!("{times:.2}")),
                bound.map_or_else(String::new, |bound| format!("{} tokens/s", short(bound))),
                bound.map_or_else(String::new, |bound| {
                    format!("{:.0} %", row.decode_tok_s / bound * 100.0)
                }),
            ]
        };
        let rows = self.streams.iter().map(row);
        let table = columns(
            &std::iter::once(head.map(str::to_owned).to_vec())
                .chain(rows)
                .collect::<Vec<_>>(),
        );
        table
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
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
                count(c.tower_flops),
                count(token),
                size(c.token_bytes)
            );
        }
        if self.shares().is_some_and(|shares| shares.decode > 1.0) {
            text += "a share over 100 %: these weights stay in the processor's caches, which are faster than memory\n";
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
    use crate::Report;
    use crate::Streams;
    use crate::example::report;

    #[test]
    fn the_table_is_as_recorded() {
        assert_eq!(report().table(), include_str!("../tests/recorded/table.txt"));
    }

    #[test]
    fn streams_are_a_table_of_their_own() {
        let row = |streams, decode_tok_s| Streams {
            streams,
            decode_tok_s,
        };
        let table = Report {
            streams: vec![row(1, 8.0), row(4, 20.0)],
            ..report()
        }
        .table();
        let expected = "
streams  all            each           times one  bound by memory  of the bound
1        8.00 tokens/s  8.00 tokens/s  1.00       10.0 tokens/s    80 %
4        20.0 tokens/s  5.00 tokens/s  2.50       25.0 tokens/s    80 %
";
        assert!(table.ends_with(expected), "{table}");
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
