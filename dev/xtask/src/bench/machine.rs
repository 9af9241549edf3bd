//! What the machine is, and what day it is.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: u64 = 86_400;

/// Extensions worth telling, as Linux names them.
const EXTENSIONS: [&str; 10] = [
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
];

#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    pub processor: String,
    pub extensions: Vec<String>,
    pub cores: usize,
    pub memory_gib: Option<u64>,
    /// Year, month, day.
    pub date: String,
}

impl Machine {
    pub fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::parse(
            &read("/proc/cpuinfo"),
            &read("/proc/meminfo"),
            std::thread::available_parallelism().map_or(1, usize::from),
            &date(elapsed.as_secs() / SECONDS_A_DAY),
        )
    }

    fn parse(processor: &str, memory: &str, cores: usize, date: &str) -> Self {
        let flags = field(processor, "flags")
            .or_else(|| field(processor, "Features"))
            .unwrap_or_default();
        let has = |name: &str| flags.split(' ').any(|flag| flag == name);
        let total_kib =
            field(memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Self {
            processor: field(processor, "model name")
                .unwrap_or(std::env::consts::ARCH)
                .to_owned(),
            extensions: EXTENSIONS
                .iter()
                .filter(|name| has(name))
                .map(|&n| n.to_owned())
                .collect(),
            cores,
            memory_gib: total_kib.map(|kib| (kib + (1 << 19)) >> 20),
            date: date.to_owned(),
        }
    }

    /// The name of a folder for what is measured today; `name` stands for the machine.
    pub fn dated(&self, name: Option<&str>) -> String {
        let own = || {
            let words = self.processor.split(|char: char| !char.is_ascii_alphanumeric());
            let words: Vec<String> = words
                .filter(|w| !w.is_empty())
                .map(str::to_ascii_lowercase)
                .collect();
            format!("{}-{}cores", words.join("-"), self.cores)
        };
        format!("{}-{}", self.date, name.map_or_else(own, str::to_owned))
    }
}

/// `name : value` of a file with such lines.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .into_iter()
        .find(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim())
}

/// The commit that is checked out in `root`, with a mark when files differ from it.
pub fn commit(root: &std::path::Path) -> Option<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(root)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The day that lies `days` after 1970-01-01, in the Gregorian calendar.
fn date(days: u64) -> String {
    // Counted in eras of 400 years from a March on, so that a leap day ends its year.
    let from_march = days + 719_468;
    let (era, day) = (from_march / 146_097, from_march % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (year, month) = match month_from_march {
        0..10 => (era * 400 + year_of_era, month_from_march + 3),
        _ => (era * 400 + year_of_era + 1, month_from_march - 9),
    };
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (364, "1970-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_780, "2026-11-23"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }

    #[test]
    fn a_machine_is_read_and_named() {
        let processor = "processor : 0\nmodel name\t: AMD EPYC 9R14 (x)\nflags : fpu avx2 avx512_vnni sse\n\nprocessor : 1\n";
        let machine = Machine::parse(
            processor,
            "MemTotal:  24600000 kB\nMemFree: 1 kB\n",
            2,
            "2026-11-24",
        );
        assert_eq!(machine.processor, "AMD EPYC 9R14 (x)");
        assert_eq!(machine.extensions, ["avx2", "avx512_vnni"]);
        assert_eq!(machine.memory_gib, Some(23));
        assert_eq!(machine.dated(None), "2026-11-24-amd-epyc-9r14-x-2cores");
        assert_eq!(machine.dated(Some("zen4")), "2026-11-24-zen4");
        let unknown = Machine::parse("", "", 4, "2026-11-24");
        assert_eq!(
            (unknown.processor.as_str(), unknown.memory_gib),
            (std::env::consts::ARCH, None)
        );
    }
}
