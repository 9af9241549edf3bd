//! `ocellus models`: list, download, inspect and remove models.

mod calibrate;
mod families;
mod list;
mod merge;
mod plan;
mod pull;
mod quantize;
mod rm;
mod show;

use crate::args::Models;
use crate::context::Context;
use crate::error::Failure;

pub fn run(context: &Context, args: Models) -> Result<(), Failure> {
    match args {
        Models::List { format } => list::run(context, format),
        Models::Pull { models } => pull::run(context, &models),
        Models::Show { model, format } => show::run(context, &model, format),
        Models::Rm { models } => rm::run(context, &models),
        Models::Families { format } => families::run(format),
        Models::Plan(args) => plan::run(context, &args),
        Models::Quantize(args) => quantize::run(context, &args),
        Models::Merge(args) => merge::run(context, &args),
    }
}
