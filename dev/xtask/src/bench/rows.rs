//! Every measured value: one row of `raw.csv`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::list::Side;
use super::noise::Noise;
use super::quantity::{self, Quantity};

const HEADER: &str = "round,peer,weights,bits,quantity,value,noise_percent,stolen_percent";

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub round: u32,
    pub peer: String,
    pub weights: String,
    pub bits: u32,
    pub quantity: &'static Quantity,
    pub value: f64,
    /// Of the whole run that the value comes from.
    pub noise: Option<Noise>,
}

/// The rows of what a program told. Fields that are missing, not numbers, or not above zero make no row.
pub fn of(side: &Side, round: u32, told: &Map<String, Value>, noise: Option<Noise>) -> Vec<Row> {
    let row = |quantity: &'static Quantity| {
        let value = told.get(quantity.key)?.as_f64().filter(|value| *value > 0.0)?;
        Some(Row {
            round,
            peer: side.name.clone(),
            weights: side.weights.clone(),
            bits: side.bits,
            quantity,
            value,
            noise,
        })
    };
    quantity::ALL.iter().filter_map(row).collect()
}

impl Row {
    fn line(&self) -> String {
        let percent =
            |of: fn(&Noise) -> f64| self.noise.map_or_else(String::new, |n| format!("{:.1}", of(&n)));
        [
            self.round.to_string(),
            self.peer.clone(),
            self.weights.clone(),
            self.bits.to_string(),
            self.quantity.key.to_owned(),
            number(self.value),
            percent(|n| n.others_percent),
            percent(|n| n.stolen_percent),
        ]
        .join(",")
    }
}

/// A number to four digits, without an exponent.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 0.1 => 3,
        _ => 5,
    };
    format!("{value:.digits$}")
}

/// All rows, in memory and in the file.
pub struct Rows {
    path: PathBuf,
    file: File,
    all: Vec<Row>,
}

impl Rows {
    /// Starts an empty file.
    pub fn create(path: &Path) -> Result<Self, String> {
        let mut file = File::create(path).map_err(|e| format!("{}: cannot be made: {e}", path.display()))?;
        writeln!(file, "{HEADER}").map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            all: Vec::new(),
        })
    }

    /// Writes the rows at once: a run that is cut short keeps what it has.
    pub fn append(&mut self, rows: Vec<Row>) -> Result<(), String> {
        let text: String = rows.iter().map(|row| row.line() + "\n").collect();
        self.all.extend(rows);
        self.file
            .write_all(text.as_bytes())
            .map_err(|e| format!("{}: {e}", self.path.display()))
    }

    pub fn all(&self) -> &[Row] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Map<String, Value> {
        let text = r#"{"peer": "x", "encode_s": 21.20649, "prefill_tok_s": 1234.5, "decode_tok_s": null, "load_s": 0,
                       "peak_rss_gb": "much", "preprocess_s": 0.04217, "runs": 1}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn quantities_become_rows_and_nothing_else_does() {
        let side = Side {
            name: "other".into(),
            weights: "int8".into(),
            bits: 8,
            ..Side::default()
        };
        let noise = Noise {
            others_percent: 3.25,
            stolen_percent: 0.0,
        };
        let lines = |noise| -> Vec<String> { of(&side, 2, &told(), noise).iter().map(Row::line).collect() };
        let expected = [
            "2,other,int8,8,encode_s,21.21,3.2,0.0",
            "2,other,int8,8,prefill_tok_s,1234,3.2,0.0",
            "2,other,int8,8,preprocess_s,0.04217,3.2,0.0",
        ];
        assert_eq!(lines(Some(noise)), expected);
        assert_eq!(lines(None)[0], "2,other,int8,8,encode_s,21.21,,");
        assert_eq!(HEADER.split(',').count(), expected[0].split(',').count());
    }

    #[test]
    fn numbers_have_about_four_digits() {
        for (value, expected) in [
            (1234.56, "1235"),
            (123.456, "123.5"),
            (12.3456, "12.35"),
            (1.23456, "1.235"),
            (0.123456, "0.123"),
            (0.0123456, "0.01235"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn the_file_holds_the_rows() {
        let folder = std::env::temp_dir().join(format!("xtask-rows-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("raw.csv");
        let mut rows = Rows::create(&path).unwrap();
        rows.append(of(&Side::default(), 1, &told(), None)).unwrap();
        rows.append(of(&Side::default(), 2, &told(), None)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(rows.all().len(), 6);
        assert_eq!(text.lines().count(), 7);
        assert!(text.starts_with(&format!("{HEADER}\n1,,,0,encode_s,")), "{text}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
