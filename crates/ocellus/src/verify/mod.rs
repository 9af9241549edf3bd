//! Parity with reference implementations: a case is loaded, run and compared tensor by tensor.
//!
//! One file a task; each fills [`Produced`] with the tensors it can compute, under the names that the case uses. What
//! a task leaves out is a failing row, so that a family which cannot do everything says so.

mod array;
mod beams;
mod case;
mod checkpoint;
mod compare;
mod error;
mod files;
mod forward;
mod greedy;
mod loss;
mod momentum;
mod planes;
mod positions;
mod preprocess;
mod report;
mod rows;
mod sizes;
mod template;
mod tokens;
mod trace;
mod vocabulary;

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use array::Array;
use case::Case;
use compare::Row;
use error::CaseError;

pub use report::{json, text};

use crate::values::Quant;

/// What came of one case.
#[derive(Debug)]
pub struct CaseReport {
    /// The name of its folder.
    pub case: String,
    /// Empty when `case.json` could not be read.
    pub family: String,
    /// A row for every expected tensor, from early to late, then rows of our own.
    pub rows: Vec<Row>,
    /// Why the case could not be read or run to its end.
    pub trouble: Option<String>,
}

impl CaseReport {
    pub fn pass(&self) -> bool {
        self.trouble.is_none() && self.rows.iter().all(|r| r.pass)
    }

    /// The first failing row: the first wrong stage.
    pub fn first_wrong(&self) -> Option<&Row> {
        self.rows.iter().find(|r| !r.pass)
    }
}

/// Tensors by the names that the case gives them, and checks that the case implies without naming a tensor.
#[derive(Default)]
struct Produced {
    arrays: BTreeMap<String, Array>,
    own: Vec<Row>,
}

impl Produced {
    fn put(&mut self, name: impl Into<String>, array: Array) {
        self.arrays.insert(name.into(), array);
    }

    /// A row of our own, behind the expected ones.
    fn also(&mut self, row: Row) {
        self.own.push(row);
    }
}

type Task = fn(&Case, &[PathBuf], &mut Produced) -> Result<(), CaseError>;

/// The tasks of this build by the names that cases use.
const TASKS: &[(&str, Task)] = &[
    ("logits", |case, _, out| forward::run(case, out)),
    ("generate", |case, _, out| forward::run(case, out)),
    ("embed", |case, _, out| forward::run(case, out)),
    ("match", |case, _, out| forward::run(case, out)),
    ("loss", |case, _, out| loss::run(case, out)),
    ("positions", |case, _, out| positions::run(case, out)),
    ("preprocess", |case, _, out| preprocess::run(case, out)),
    ("tokens", tokens::run),
    ("template", template::run),
];

/// Runs every case with its weights at `width`; `vocabularies` are rank files, `tekken.json` and `tokenizer.json` for the cases that need one.
pub fn verify(cases: &[PathBuf], vocabularies: &[PathBuf], width: Quant) -> Vec<CaseReport> {
    cases
        .iter()
        .map(|folder| one(folder, vocabularies, width))
        .collect()
}

fn one(folder: &Path, vocabularies: &[PathBuf], width: Quant) -> CaseReport {
    let case = match Case::read(folder, width) {
        Ok(case) => case,
        Err(error) => {
            let trouble = Some(error.to_string());
            return CaseReport {
                case: name(folder),
                family: String::new(),
                rows: Vec::new(),
                trouble,
            };
        }
    };
    let mut produced = Produced::default();
    let trouble = task(&case)
        .and_then(|run| run(&case, vocabularies, &mut produced))
        .err()
        .map(|e| e.to_string());
    // What bf16 gives tells how much the case magnifies.
    let bf16 = LazyCell::new(|| {
        let mut produced = Produced::default();
        if width != Quant::Bf16 {
            let again = Case::read(folder, Quant::Bf16);
            // What cannot be run magnifies nothing.
            let _ = again.and_then(|case| task(&case)?(&case, vocabularies, &mut produced));
        }
        produced
    });
    let row = |stage: &case::Stage| match produced.arrays.get(&stage.name) {
        Some(got) if width != Quant::F32 => {
            let bf16 = || bf16.arrays.get(&stage.name);
            compare::rounded(&stage.name, &stage.expected, got, width, bf16)
        }
        Some(got) => compare::compare(&stage.name, &stage.expected, got, stage.atol, stage.rtol),
        None => compare::missing(&stage.name, &stage.expected),
    };
    let mut rows: Vec<Row> = case.stages.iter().map(row).collect();
    if width != Quant::F32 {
        let own = produced.own.iter_mut();
        own.filter(|row| compare::decided(&row.name))
            .for_each(|row| row.pass = true);
    }
    rows.append(&mut produced.own);
    CaseReport {
        case: name(folder),
        family: case.family,
        rows,
        trouble,
    }
}

fn task(case: &Case) -> Result<Task, CaseError> {
    if ocellus_models::families::named(&case.family).is_none() {
        let known: Vec<&str> = ocellus_models::FAMILIES.iter().map(|f| f.id).collect();
        return Err(CaseError::Family {
            family: case.family.clone(),
            known: known.join(", "),
        });
    }
    let task = TASKS
        .iter()
        .find(|(name, _)| *name == case.task)
        .map(|(_, run)| *run);
    task.ok_or_else(|| {
        let known: Vec<&str> = TASKS.iter().map(|(name, _)| *name).collect();
        CaseError::Task {
            task: case.task.clone(),
            known: known.join(", "),
        }
    })
}

/// The name of the folder, also when it is given as `.` or `x/..`.
fn name(folder: &Path) -> String {
    let named = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    let real = || folder.canonicalize().ok().as_deref().and_then(named);
    named(folder)
        .or_else(real)
        .unwrap_or_else(|| folder.display().to_string())
}
