//! What a user should know of a checkpoint that loads all the same.

/// What a user should know of a checkpoint that loads all the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ModelWarning {
    /// The reference's classes do not have the field, and so it computes without it; neither is it one of those that other
    /// programs write.
    #[error(
        "config field `{field}` = {value} is not known to family `{family}`, and the model runs without it"
    )]
    UnknownField {
        field: String,
        value: String,
        family: String,
    },
    /// Fields that are read in another object.
    #[error(
        "the config fields {} stand where the reference does not read them, and have no effect; they belong into `{place}`",
        .fields.join(", ")
    )]
    Misplaced { fields: Vec<String>, place: String },
    #[error(
        "the model has no use for the tensors {}{}, and runs without them",
        .names.join(", "),
        if *.more > 0 { format!(" and {} more", .more) } else { String::new() }
    )]
    ExtraTensors { names: Vec<String>, more: usize },
}
