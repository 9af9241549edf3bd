//! What a pickle can make here: plain values, containers, and descriptions of tensors.

use crate::Dtype;

/// A value of the machine.
///
/// Values are copied freely. What has parts lives in the [`Heap`] and is named by its place there, so that values never
/// nest in memory: no depth of nesting can exhaust the call stack, and a value that holds itself is no harm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'p> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits: little-endian, two's complement.
    Long(&'p [u8]),
    /// A float or a byte string, which no tensor is made of. The value itself is dropped.
    Opaque,
    Text(&'p str),
    Global(Global),
    /// A list or a set; place in [`Heap::lists`].
    List(usize),
    /// Place in [`Heap::lists`].
    Tuple(usize),
    /// Place in [`Heap::dicts`].
    Dict(usize),
    /// Place in [`Heap::storages`].
    Storage(usize),
    /// Place in [`Heap::tensors`].
    Tensor(usize),
}

/// Everything with parts. Grows with the number of opcodes, which is bounded.
#[derive(Debug, Default)]
pub(super) struct Heap<'p> {
    pub lists: Vec<Vec<Value<'p>>>,
    pub dicts: Vec<Vec<(Value<'p>, Value<'p>)>>,
    pub storages: Vec<StorageRef<'p>>,
    pub tensors: Vec<TensorRef>,
}

/// Elements that lie one after the other in the file, as a persistent id describes them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StorageRef<'p> {
    pub key: &'p str,
    pub dtype: Dtype,
    /// Elements of the whole storage.
    pub elements: i64,
    /// The part that tensors may use, in elements: first one and number. All, unless the storage is a view of another.
    pub part: (i64, i64),
}

/// A tensor as the pickle describes it; nothing of it is checked yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorRef {
    pub storage: usize,
    /// First element, counted from the first one of the storage's part.
    pub offset: i64,
    pub shape: Vec<i64>,
    /// Elements from one index to the next, per axis.
    pub strides: Vec<i64>,
}

/// The only names that a checkpoint may import. Nothing is imported for them: each stands for a few lines of `rebuild.rs`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    Storage(Dtype),
}

const TABLE: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::OrderedDict),
    ("torch._utils", "_rebuild_tensor", Global::RebuildTensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensorV2),
    ("torch._utils", "_rebuild_parameter", Global::RebuildParameter),
    ("torch", "FloatStorage", Global::Storage(Dtype::F32)),
    ("torch", "HalfStorage", Global::Storage(Dtype::F16)),
    ("torch", "BFloat16Storage", Global::Storage(Dtype::Bf16)),
    ("torch", "DoubleStorage", Global::Storage(Dtype::F64)),
    ("torch", "LongStorage", Global::Storage(Dtype::I64)),
    ("torch", "IntStorage", Global::Storage(Dtype::I32)),
    ("torch", "ShortStorage", Global::Storage(Dtype::I16)),
    ("torch", "CharStorage", Global::Storage(Dtype::I8)),
    ("torch", "ByteStorage", Global::Storage(Dtype::U8)),
    ("torch", "BoolStorage", Global::Storage(Dtype::Bool)),
];

impl Global {
    /// What `module.name` stands for, if it is one of the few.
    pub(super) fn find(module: &str, name: &str) -> Option<Global> {
        TABLE
            .iter()
            .find(|row| row.0 == module && row.1 == name)
            .map(|row| row.2)
    }

    /// The name as messages give it, such as `collections.OrderedDict`.
    pub(super) fn name(self) -> String {
        TABLE
            .iter()
            .find(|row| row.2 == self)
            .map(|row| format!("{}.{}", row.0, row.1))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_one_thing() {
        for (module, name, global) in TABLE {
            assert_eq!(Global::find(module, name), Some(*global));
            assert_eq!(global.name(), format!("{module}.{name}"));
        }
        for (module, name) in [
            ("os", "system"),
            ("torch", "storage"),
            ("collections", "ordereddict"),
            ("", ""),
        ] {
            assert_eq!(Global::find(module, name), None, "{module}.{name}");
        }
    }
}
