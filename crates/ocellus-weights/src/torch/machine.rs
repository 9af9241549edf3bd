//! The stack machine that a pickle is a program for, with everything left out that is not data.
//!
//! No name is ever looked up in anything but the table of `value.rs`, and no object is made but plain values and tensors.
//! Every count has a bound, and texts stay where they are in the file, so that a pickle cannot take much more memory than
//! its own length times a constant.

use super::opcode as op;
use super::reader::{Reader, integer, quotable};
use super::value::{Global, Heap, Value};
use crate::{Result, WeightsError};
use ocellus_base::limits;
use std::collections::HashMap;

/// What is left when a pickle has run.
pub(super) struct Outcome<'p> {
    pub value: Value<'p>,
    pub heap: Heap<'p>,
    /// Where the bytes after its STOP begin.
    pub end: usize,
}

/// Runs the pickle that starts at byte `start` of `bytes`, a part of the file that messages call `file`.
pub(super) fn run<'p>(bytes: &'p [u8], start: usize, file: &'p str) -> Result<Outcome<'p>> {
    let mut machine = Machine {
        reader: Reader {
            file,
            bytes,
            at: start,
        },
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        heap: Heap::default(),
        copied: 0,
    };
    for _ in 0..limits::PICKLE_OPCODES {
        if machine.reader.at - start > limits::PICKLE_BYTES {
            let limit = limits::PICKLE_BYTES;
            return Err(machine
                .reader
                .damaged(format!("longer than the {limit} bytes that are accepted")));
        }
        let opcode = machine.reader.byte()?;
        if opcode == op::STOP {
            let value = machine.pop()?;
            return Ok(Outcome {
                value,
                heap: machine.heap,
                end: machine.reader.at,
            });
        }
        machine.step(opcode)?;
    }
    let limit = limits::PICKLE_OPCODES;
    Err(machine
        .reader
        .damaged(format!("more than the {limit} opcodes that are accepted")))
}

pub(super) struct Machine<'p> {
    pub(super) reader: Reader<'p>,
    stack: Vec<Value<'p>>,
    /// Heights of the stack at the marks that are open.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'p>>,
    pub(super) heap: Heap<'p>,
    /// Pairs that were copied from lists into dictionaries.
    pub(super) copied: usize,
}

impl<'p> Machine<'p> {
    fn step(&mut self, opcode: u8) -> Result<()> {
        if let Some(value) = self.literal(opcode)? {
            self.stack.push(value);
            return Ok(());
        }
        match opcode {
            op::PROTO => {
                let version = self.reader.byte()?;
                if version > 5 {
                    return Err(self
                        .reader
                        .damaged(format!("its protocol is {version}, expected 2 to 5")));
                }
            }
            op::FRAME => {
                self.reader.take(8)?;
            }
            op::MARK => {
                if self.marks.len() == limits::PICKLE_MARKS {
                    let limit = limits::PICKLE_MARKS;
                    return Err(self.reader.damaged(format!("more than {limit} marks are open")));
                }
                self.marks.push(self.stack.len());
            }
            op::POP => {
                self.pop()?;
            }
            op::POP_MARK => {
                self.pop_to_mark()?;
            }
            op::DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }
            op::PUT1 => {
                let key = self.reader.byte()?.into();
                self.remember(key)?;
            }
            op::PUT4 => {
                let key = u32::from_le_bytes(self.reader.array()?);
                self.remember(key)?;
            }
            op::MEMOIZE => {
                let key = self.memo.len() as u32; // at most PICKLE_MEMO
                self.remember(key)?;
            }
            op::GET1 => {
                let key = self.reader.byte()?.into();
                self.recall(key)?;
            }
            op::GET4 => {
                let key = u32::from_le_bytes(self.reader.array()?);
                self.recall(key)?;
            }
            _ => return self.container(opcode),
        }
        Ok(())
    }

    /// Literal values in the pickle.
    fn literal(&mut self, opcode: u8) -> Result<Option<Value<'p>>> {
        Ok(Some(match opcode {
            op::NONE => Value::None,
            op::TRUE => Value::Bool(true),
            op::FALSE => Value::Bool(false),
            op::INT32 => Value::Int(i32::from_le_bytes(self.reader.array()?).into()),
            op::UINT8 => Value::Int(self.reader.byte()?.into()),
            op::UINT16 => Value::Int(u16::from_le_bytes(self.reader.array()?).into()),
            op::LONG1 | op::LONG4 => integer(self.reader.counted(if opcode == op::LONG1 { 1 } else { 4 })?),
            op::FLOAT => {
                self.reader.take(8)?;
                Value::Opaque
            }
            op::TEXT1 => self.reader.text(1)?,
            op::TEXT4 => self.reader.text(4)?,
            op::TEXT8 => self.reader.text(8)?,
            op::STRING1 | op::STRING4 => {
                // Python 2 did not distinguish texts from bytes.
                let bytes = self.reader.counted(if opcode == op::STRING1 { 1 } else { 4 })?;
                std::str::from_utf8(bytes).map_or(Value::Opaque, Value::Text)
            }
            op::BYTES1 | op::BYTES4 | op::BYTES8 | op::BYTE_ARRAY8 => {
                self.reader.counted(match opcode {
                    op::BYTES1 => 1,
                    op::BYTES4 => 4,
                    _ => 8,
                })?;
                Value::Opaque
            }
            op::EMPTY_LIST | op::EMPTY_SET => self.list(Vec::new()),
            op::EMPTY_TUPLE => self.tuple(Vec::new()),
            op::EMPTY_DICT => self.dict(Vec::new()),
            _ => return Ok(None),
        }))
    }

    /// Opcodes that make a container of what is on the stack, or fill one.
    fn container(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            op::TUPLE | op::LIST | op::FROZEN_SET => {
                let items = self.pop_to_mark()?;
                if opcode == op::TUPLE {
                    self.tuple(items)
                } else {
                    self.list(items)
                }
            }
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let mut items = Vec::with_capacity(3);
                for _ in 0..=opcode - op::TUPLE1 {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.tuple(items)
            }
            op::DICT => {
                let items = self.pop_to_mark()?;
                let pairs = self.pairs(&items)?;
                self.dict(pairs)
            }
            op::APPEND => {
                let item = self.pop()?;
                return self.append(vec![item]);
            }
            op::APPENDS | op::ADD_ITEMS => {
                let items = self.pop_to_mark()?;
                return self.append(items);
            }
            op::SET_ITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.set(vec![(key, value)]);
            }
            op::SET_ITEMS => {
                let items = self.pop_to_mark()?;
                let pairs = self.pairs(&items)?;
                return self.set(pairs);
            }
            _ => return self.object(opcode),
        };
        self.stack.push(value);
        Ok(())
    }

    /// Opcodes that stand for imports, calls and objects in a full machine.
    fn object(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::GLOBAL => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                self.import(module, name)?;
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    return Err(self.reader.damaged("it imports something that has no name"));
                };
                self.import(module, name)?;
            }
            op::INSTANCE => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                self.import(module, name)?;
                return Err(self.unknown(opcode));
            }
            op::REDUCE => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let value = self.call(callee, arguments)?;
                self.stack.push(value);
            }
            op::BUILD => {
                // The state of an ordered dictionary is what torch notes beside the tensors (`_metadata`).
                self.pop()?;
                if !matches!(self.top()?, Value::Dict(_)) {
                    return Err(self
                        .reader
                        .damaged("it gives a state to something that is no dictionary"));
                }
            }
            op::PERSISTENT_ID => {
                let id = self.pop()?;
                let value = self.storage(id)?;
                self.stack.push(value);
            }
            _ => return Err(self.unknown(opcode)),
        }
        Ok(())
    }

    fn append(&mut self, mut items: Vec<Value<'p>>) -> Result<()> {
        let Value::List(place) = self.top()? else {
            return Err(self.reader.damaged("it appends to something that is no list"));
        };
        self.heap.lists[place].append(&mut items);
        Ok(())
    }

    fn set(&mut self, mut pairs: Vec<(Value<'p>, Value<'p>)>) -> Result<()> {
        let Value::Dict(place) = self.top()? else {
            return Err(self
                .reader
                .damaged("it sets items of something that is no dictionary"));
        };
        self.heap.dicts[place].append(&mut pairs);
        Ok(())
    }

    fn pairs(&self, items: &[Value<'p>]) -> Result<Vec<(Value<'p>, Value<'p>)>> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.reader.damaged("a key of a dictionary has no value"));
        }
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn list(&mut self, items: Vec<Value<'p>>) -> Value<'p> {
        self.heap.lists.push(items);
        Value::List(self.heap.lists.len() - 1)
    }

    fn tuple(&mut self, items: Vec<Value<'p>>) -> Value<'p> {
        self.heap.lists.push(items);
        Value::Tuple(self.heap.lists.len() - 1)
    }

    pub(super) fn dict(&mut self, pairs: Vec<(Value<'p>, Value<'p>)>) -> Value<'p> {
        self.heap.dicts.push(pairs);
        Value::Dict(self.heap.dicts.len() - 1)
    }

    fn import(&mut self, module: &str, name: &str) -> Result<()> {
        let Some(global) = Global::find(module, name) else {
            return Err(WeightsError::Import {
                file: self.reader.file.to_string(),
                name: quotable(module) + "." + &quotable(name),
            });
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(key, top);
        if self.memo.len() > limits::PICKLE_MEMO {
            let limit = limits::PICKLE_MEMO;
            return Err(self
                .reader
                .damaged(format!("it remembers more than {limit} values")));
        }
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        let Some(&value) = self.memo.get(&key) else {
            return Err(self
                .reader
                .damaged(format!("it recalls value {key}, which it never remembered")));
        };
        self.stack.push(value);
        Ok(())
    }

    /// The top of the stack. What lies below the last mark cannot be reached before the mark is closed.
    fn top(&self) -> Result<Value<'p>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(value) if self.stack.len() > floor => Ok(*value),
            _ => Err(self.reader.damaged("it takes a value from an empty stack")),
        }
    }

    fn pop(&mut self) -> Result<Value<'p>> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'p>>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.reader.damaged("it closes a mark that was never opened")),
        }
    }

    fn unknown(&self, opcode: u8) -> WeightsError {
        let sign = (opcode as char).escape_default();
        self.reader.damaged(format!(
            "opcode {opcode:#04x} (`{sign}`) is none that a checkpoint of tensors needs"
        ))
    }
}
