//! The command line of `cargo xtask bench peers`.

use std::path::PathBuf;

pub const HELP: &str = "\
usage: cargo xtask bench peers --peers-dir DIR [options]

  --peers-dir DIR    where the other programs and the models lie (tools/peers/README.md)
  --list FILE        which programs take part (DIR/peers.json when it is there, else tools/peers/peers.json)
  --only A,B:W       only these, by name, or by name and weights (ocellus:q8,openvino:int8)
  --runs N           rounds; every program runs once a round (5)
  --image-size WxH   size of the picture (1092x784)
  --tokens N         tokens to generate (64)
  --threads N        threads of every program (all cores)
  --machine NAME     the machine's name in the name of the folder (made from the processor's name)
  --out FOLDER       where the results go (benches/runs/<date>-<machine>)
  --ocellus PROGRAM  our program (built in release mode)
  --limit-s N        seconds that one run of one program may take (1800)
";

#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub peers_dir: PathBuf,
    pub list: Option<PathBuf>,
    pub only: Vec<String>,
    pub rounds: u32,
    pub image: String,
    pub tokens: u32,
    pub threads: usize,
    pub machine: Option<String>,
    pub out: Option<PathBuf>,
    pub ocellus: Option<PathBuf>,
    pub limit_s: u64,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut peers_dir = None;
        let mut options = Self {
            peers_dir: PathBuf::new(),
            list: None,
            only: Vec::new(),
            rounds: 5,
            image: "1092x784".into(),
            tokens: 64,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            machine: None,
            out: None,
            ocellus: None,
            limit_s: 1800,
        };
        let mut words = arguments.iter();
        while let Some(flag) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("`{flag}` needs a value\n\n{HELP}"))?;
            match flag.as_str() {
                "--peers-dir" => peers_dir = Some(absolute(value)?),
                "--list" => options.list = Some(absolute(value)?),
                "--only" => options.only = value.split(',').map(str::to_owned).collect(),
                "--runs" => options.rounds = number(flag, value)?,
                "--image-size" => options.image = size(value)?,
                "--tokens" => options.tokens = number(flag, value)?,
                "--threads" => options.threads = number::<u16>(flag, value)?.into(),
                "--machine" => options.machine = Some(value.clone()),
                "--out" => options.out = Some(absolute(value)?),
                "--ocellus" => options.ocellus = Some(absolute(value)?),
                "--limit-s" => options.limit_s = number(flag, value)?,
                _ => return Err(format!("unknown option `{flag}`\n\n{HELP}")),
            }
        }
        options.peers_dir = peers_dir.ok_or_else(|| format!("--peers-dir is missing\n\n{HELP}"))?;
        Ok(options)
    }
}

/// Programs are started in other folders than this one.
fn absolute(path: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|e| format!("{path}: {e}"))
}

fn number<T: std::str::FromStr + From<u8> + PartialOrd>(flag: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .ok()
        .filter(|n| *n >= T::from(1u8))
        .ok_or_else(|| format!("{flag}: expected a number from 1 on, found `{value}`"))
}

fn size(value: &str) -> Result<String, String> {
    let fine = value.split_once('x').is_some_and(|(w, h)| {
        [w, h]
            .iter()
            .all(|side| side.parse::<u32>().is_ok_and(|px| px > 0))
    });
    fine.then(|| value.to_owned())
        .ok_or_else(|| format!("--image-size: expected WIDTHxHEIGHT in pixels, found `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn options_are_read_and_have_defaults() {
        let options = parse("--peers-dir /p --only ocellus,a:int8 --runs 7 --threads 2 --out /o").unwrap();
        assert_eq!(options.peers_dir, PathBuf::from("/p"));
        assert_eq!(options.only, ["ocellus", "a:int8"]);
        assert_eq!((options.rounds, options.threads, options.tokens), (7, 2, 64));
        assert_eq!(options.image, "1092x784");
        assert_eq!(options.out, Some(PathBuf::from("/o")));
        assert!(parse("--peers-dir p").unwrap().peers_dir.is_absolute());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("", "--peers-dir is missing"),
            ("--peers-dir", "`--peers-dir` needs a value"),
            (
                "--peers-dir p --runs 0",
                "--runs: expected a number from 1 on, found `0`",
            ),
            ("--peers-dir p --runs x", "found `x`"),
            ("--peers-dir p --image-size 12", "expected WIDTHxHEIGHT"),
            ("--peers-dir p --image-size 0x3", "expected WIDTHxHEIGHT"),
            ("--peers-dir p --fast 1", "unknown option `--fast`"),
        ] {
            let found = parse(line).unwrap_err();
            assert!(found.contains(expected), "{line}: {found}");
        }
    }
}
