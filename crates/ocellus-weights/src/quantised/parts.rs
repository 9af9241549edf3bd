//! The tensors that make up one quantised matrix.

use crate::header::Entry;
use crate::storage::Storage;
use crate::{Dtype, View, minifloat};
use std::borrow::Cow;
use std::sync::Arc;

/// Why a matrix cannot be read, in words that follow its name.
pub(super) type Reason<T> = Result<T, String>;

/// One tensor, with its file.
#[derive(Clone)]
pub(crate) struct Part {
    pub storage: Arc<Storage>,
    pub entry: Entry,
}

impl Part {
    pub fn bytes(&self) -> &[u8] {
        &self.storage.bytes()[self.entry.range.clone()]
    }

    pub fn release(&self) {
        self.storage.release(self.entry.range.clone());
    }

    fn view(&self) -> View<'_> {
        View {
            name: "",
            dtype: self.entry.dtype,
            shape: self.entry.shape.clone(),
            bytes: Cow::Borrowed(self.bytes()),
        }
    }
}

/// The tensors of one matrix by the ends of their names.
#[derive(Clone)]
pub(crate) struct Parts {
    /// What stands in front of the ends: the name of the module, with a dot.
    pub base: String,
    pub parts: Vec<(&'static str, Part)>,
}

impl Parts {
    pub(super) fn find(&self, end: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.0 == end).map(|part| &part.1)
    }

    pub(super) fn part(&self, end: &str) -> Reason<&Part> {
        self.find(end)
            .ok_or_else(|| format!("there is no tensor `{}{end}`", self.base))
    }

    /// The tensor with one of these types and this shape.
    pub(super) fn of(&self, end: &str, dtypes: &[Dtype], shape: &[usize]) -> Reason<&Part> {
        let part = self.part(end)?;
        self.typed(end, part, dtypes)?;
        match part.entry.shape == shape {
            true => Ok(part),
            false => Err(self.shape(end, &format!("{shape:?}"))),
        }
    }

    pub(super) fn typed(&self, end: &str, part: &Part, dtypes: &[Dtype]) -> Reason<()> {
        let found = part.entry.dtype;
        match dtypes.contains(&found) {
            true => Ok(()),
            false => {
                let expected: Vec<&str> = dtypes.iter().map(|dtype| dtype.name()).collect();
                let expected = expected.join(" or ");
                Err(format!(
                    "the type of `{}{end}` is {found}, expected {expected}",
                    self.base
                ))
            }
        }
    }

    /// The reason that a tensor has the wrong shape.
    pub(super) fn shape(&self, end: &str, expected: &str) -> String {
        let found = self
            .find(end)
            .map(|part| &part.entry.shape[..])
            .unwrap_or_default();
        format!(
            "the shape of `{}{end}` is {found:?}, expected {expected}",
            self.base
        )
    }

    /// Rows and columns of a tensor.
    pub(super) fn table(&self, end: &str) -> Reason<[usize; 2]> {
        match self.part(end)?.entry.shape[..] {
            [rows, cols] if rows > 0 && cols > 0 => Ok([rows, cols]),
            _ => Err(self.shape(end, "rows and columns")),
        }
    }

    /// Finite numbers of any floating-point type, as many as `count`.
    pub(super) fn numbers(&self, end: &str, count: usize) -> Reason<Vec<f32>> {
        let view = self.part(end)?.view();
        if view.elements() != count {
            return Err(self.shape(end, &format!("{count} numbers")));
        }
        let values = view
            .to_f32()
            .map_err(|error| format!("`{}{end}`: {error}", self.base))?;
        self.finite(end, values)
    }

    /// Powers of two of a byte each, as many as `count`.
    pub(super) fn powers(&self, end: &str, count: usize) -> Reason<Vec<f32>> {
        let part = self.part(end)?;
        self.typed(end, part, &[Dtype::U8, Dtype::F8E8M0])?;
        if part.bytes().len() != count {
            return Err(self.shape(end, &format!("{count} numbers")));
        }
        self.finite(
            end,
            part.bytes().iter().map(|code| minifloat::e8m0(*code)).collect(),
        )
    }

    fn finite(&self, end: &str, values: Vec<f32>) -> Reason<Vec<f32>> {
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(at) => Err(format!("number {at} of `{}{end}` is not finite", self.base)),
        }
    }

    /// Whole numbers of any type, as many as `count`.
    pub(super) fn integers(&self, end: &str, count: usize) -> Reason<Vec<i64>> {
        let view = self.part(end)?.view();
        if view.elements() != count {
            return Err(self.shape(end, &format!("{count} whole numbers")));
        }
        let values = view.to_i64();
        values.map_err(|error| format!("`{}{end}`: {error}", self.base))
    }
}

/// `[groups, outputs]` as `[outputs, groups]`.
pub(super) fn transposed<T: Copy>(values: &[T], outputs: usize) -> Vec<T> {
    let groups = values.len() / outputs.max(1);
    let of_output = |output| (0..groups).map(move |group| values[group * outputs + output]);
    (0..outputs).flat_map(of_output).collect()
}
