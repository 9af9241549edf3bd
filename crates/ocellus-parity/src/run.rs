//! Runs cases: a task is found by its name, fills [`Produced`], and what it left out is a failing row.

use std::cell::LazyCell;
use std::path::{Path, PathBuf};

use ocellus_session::Quant;

use crate::case::{Case, Stage};
use crate::case_report::CaseReport;
use crate::compare::{self, Row};
use crate::error::CaseError;
use crate::produced::Produced;
use crate::vocabulary::Vocabularies;
use crate::{forward, loss, positions, preprocess, template, tokens};

type Task = fn(&Case, &Vocabularies, &mut Produced) -> Result<(), CaseError>;

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

/// Runs every case with its weights at `width`; `vocabularies` serve the cases that need one and do not have it.
pub fn verify(cases: &[PathBuf], vocabularies: &Vocabularies, width: Quant) -> Vec<CaseReport> {
    cases
        .iter()
        .map(|folder| one(folder, vocabularies, width, true))
        .collect()
}

/// Runs one case as it is; what its checkpoint warns of stands in the report and is no error.
pub fn verify_with_warnings(folder: &Path, vocabularies: &Vocabularies, width: Quant) -> CaseReport {
    one(folder, vocabularies, width, false)
}

fn one(folder: &Path, vocabularies: &Vocabularies, width: Quant, strict: bool) -> CaseReport {
    let case = match Case::read(folder, width).map(|case| case.strictly(strict)) {
        Ok(case) => case,
        Err(error) => {
            let trouble = Some(error.to_string());
            return CaseReport {
                case: name(folder),
                family: String::new(),
                rows: Vec::new(),
                warnings: Vec::new(),
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
    let row = |stage: &Stage| match produced.arrays.get(&stage.name) {
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
        warnings: case.warnings.take().into_iter().collect(),
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
