//! What the few calls of a checkpoint mean: an ordered dictionary, a tensor on a storage, a parameter.

use super::machine::Machine;
use super::value::{Global, StorageRef, TensorRef, Value};
use crate::Result;
use ocellus_base::limits;

impl<'p> Machine<'p> {
    /// The value of `callee(*arguments)`.
    pub(super) fn call(&mut self, callee: Value<'p>, arguments: Value<'p>) -> Result<Value<'p>> {
        let Value::Global(callee) = callee else {
            return Err(self.reader.damaged("it calls something that is no function"));
        };
        match (callee, self.items(arguments)) {
            (Global::OrderedDict, Some(&[])) => Ok(self.dict(Vec::new())),
            (Global::OrderedDict, Some(&[pairs])) => self.ordered_dict(pairs),
            (Global::RebuildTensor, Some(&[storage, offset, shape, strides]))
            | (Global::RebuildTensorV2, Some(&[storage, offset, shape, strides, _, _]))
            | (Global::RebuildTensorV2, Some(&[storage, offset, shape, strides, _, _, _])) => {
                self.tensor(storage, offset, shape, strides)
            }
            (Global::RebuildParameter, Some(&[tensor @ Value::Tensor(_), _, _])) => Ok(tensor),
            _ => Err(self.reader.damaged(format!(
                "it calls `{}` in a way that makes no tensor",
                callee.name()
            ))),
        }
    }

    /// Python 2 writes the pairs as arguments; later versions set them one by one.
    fn ordered_dict(&mut self, pairs: Value<'p>) -> Result<Value<'p>> {
        let pairs = self.items(pairs).unwrap_or_default();
        let pair = |pair: &Value<'p>| match self.items(*pair) {
            Some(&[key, value]) => Some((key, value)),
            _ => None,
        };
        let Some(made) = pairs.iter().map(pair).collect::<Option<Vec<_>>>() else {
            return Err(self
                .reader
                .damaged("an ordered dictionary is made of something that is no pair"));
        };
        // One long list in the memo could be copied again and again.
        self.copied += made.len();
        if self.copied > limits::PICKLE_MEMO {
            let limit = limits::PICKLE_MEMO;
            return Err(self.reader.damaged(format!("it copies more than {limit} pairs")));
        }
        Ok(self.dict(made))
    }

    fn tensor(
        &mut self,
        storage: Value<'p>,
        offset: Value<'p>,
        shape: Value<'p>,
        strides: Value<'p>,
    ) -> Result<Value<'p>> {
        let (Value::Storage(storage), Value::Int(offset)) = (storage, offset) else {
            return Err(self.reader.damaged("a tensor has no storage or no offset"));
        };
        let (shape, strides) = (self.axes(shape)?, self.axes(strides)?);
        self.heap.tensors.push(TensorRef {
            storage,
            offset,
            shape,
            strides,
        });
        Ok(Value::Tensor(self.heap.tensors.len() - 1))
    }

    /// The storage that a persistent id describes: `("storage", type, key, location, elements)`, and in the old stream
    /// format also the part of it that is used: none for all, else `(key, first element, elements)`.
    pub(super) fn storage(&mut self, id: Value<'p>) -> Result<Value<'p>> {
        let id = self.items(id).unwrap_or_default();
        let (described, view) = id.split_at(id.len().min(5));
        let &[
            Value::Text("storage"),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            _,
            Value::Int(elements),
        ] = described
        else {
            return Err(self.reader.damaged("a persistent id is none of a storage"));
        };
        let part = match *view {
            [] | [Value::None] => Some((0, elements)),
            [view] => match self.items(view) {
                Some(&[_, Value::Int(first), Value::Int(count)]) => Some((first, count)),
                _ => None,
            },
            _ => None,
        };
        let inside = |(first, count): &(i64, i64)| {
            *first >= 0 && *count >= 0 && first.checked_add(*count).is_some_and(|end| end <= elements)
        };
        let Some(part) = part.filter(inside) else {
            return Err(self.reader.damaged(format!(
                "storage `{}` has a length or a part that cannot be",
                key.escape_debug()
            )));
        };
        self.heap.storages.push(StorageRef {
            key,
            dtype,
            elements,
            part,
        });
        Ok(Value::Storage(self.heap.storages.len() - 1))
    }

    fn items(&self, value: Value<'p>) -> Option<&[Value<'p>]> {
        match value {
            Value::Tuple(place) | Value::List(place) => Some(&self.heap.lists[place]),
            _ => None,
        }
    }

    /// One integer per axis of a tensor.
    fn axes(&self, value: Value<'p>) -> Result<Vec<i64>> {
        let items = self.items(value).unwrap_or(&[Value::None]);
        if items.len() > limits::TENSOR_AXES {
            let (found, limit) = (items.len(), limits::TENSOR_AXES);
            return Err(self.reader.damaged(format!(
                "a tensor has {found} dimensions, more than the {limit} that are accepted"
            )));
        }
        let integer = |value: &Value| match value {
            Value::Int(integer) => Ok(*integer),
            _ => Err(self
                .reader
                .damaged("a tensor's shape or strides are not a tuple of integers")),
        };
        items.iter().map(integer).collect()
    }
}
