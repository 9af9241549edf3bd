//! How large a value of a template may be, and what looking at one costs.
//!
//! The engine shares lists, so that a template of a hundred bytes can make one that takes a terabyte when it is written out. Every
//! value that a template makes is therefore walked as it is made: it has a bounded number of nodes and a bounded depth, nothing in
//! it is lazy, and it cannot contain itself. The walk is paid for from the budget of the rendering.

use minijinja::value::{ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Most nodes of one value; 64 bytes of a text count as one.
const MAX_NODES: u64 = ocellus_base::limits::TEMPLATE_NODES;
/// Deepest nesting of lists and maps.
const MAX_DEPTH: usize = 64;
/// Nodes that are walked for one unit of fuel.
const NODES_OF_FUEL: u64 = 64;

/// The value itself when it may be kept: what is lazy becomes a list, what is too large, too deep or contains a namespace is an error.
pub(crate) fn keep(state: &State, value: Value) -> Result<Value, Error> {
    if !is_container(&value) || is_named(&value, "Loop") {
        return Ok(value);
    }
    let value = match value.kind() {
        ValueKind::Map => value,
        _ if is_plain_list(&value) => value,
        _ => Value::from(collect(state, &value)?),
    };
    look(state, &value)?;
    Ok(value)
}

/// Pays for an operation that looks at all of `value`, and refuses it when `value` is too large for one.
pub(crate) fn look(state: &State, value: &Value) -> Result<(), Error> {
    if !is_container(value) {
        return Ok(());
    }
    let mut nodes = 0;
    let walked = walk(value, 0, &mut nodes);
    state.consume_fuel(nodes / NODES_OF_FUEL)?;
    walked
}

/// The same for what a namespace is to hold, which may be no namespace: it could hold itself.
pub(crate) fn store(state: &State, value: Value) -> Result<Value, Error> {
    if is_named(&value, "Namespace") || is_named(&value, "Loop") {
        return Err(refused("a namespace cannot hold a namespace or a loop"));
    }
    keep(state, value)
}

/// The items of a list, as many as a value may have.
pub(crate) fn collect(state: &State, value: &Value) -> Result<Vec<Value>, Error> {
    let mut items = Vec::new();
    for item in value.try_iter()? {
        if items.len() as u64 >= MAX_NODES {
            return Err(too_large());
        }
        if items.len() as u64 % NODES_OF_FUEL == NODES_OF_FUEL - 1 {
            state.consume_fuel(1)?;
        }
        items.push(item);
    }
    Ok(items)
}

fn walk(value: &Value, depth: usize, nodes: &mut u64) -> Result<(), Error> {
    *nodes += 1 + value.as_str().map_or(0, |text| text.len() as u64 / 64);
    if *nodes > MAX_NODES {
        return Err(too_large());
    }
    if !is_container(value) {
        return Ok(());
    }
    if depth > 0 && (is_named(value, "Namespace") || is_named(value, "Loop")) {
        return Err(refused("a list or a map cannot hold a namespace or a loop"));
    }
    if depth >= MAX_DEPTH {
        return Err(refused(&format!(
            "a value is nested more than {MAX_DEPTH} levels deep"
        )));
    }
    let map = value.kind() == ValueKind::Map;
    for item in value.try_iter()? {
        if map {
            let inner = value.get_item(&item)?;
            walk(&inner, depth + 1, nodes)?;
        }
        walk(&item, depth + 1, nodes)?;
    }
    Ok(())
}

pub(crate) fn is_container(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|object| !matches!(object.repr(), ObjectRepr::Plain))
}

fn is_plain_list(value: &Value) -> bool {
    value.downcast_object_ref::<Vec<Value>>().is_some() || value.downcast_object_ref::<Tuple>().is_some()
}

fn is_named(value: &Value, name: &str) -> bool {
    value
        .as_object()
        .is_some_and(|object| object.type_name().rsplit("::").next() == Some(name))
}

fn too_large() -> Error {
    Error::from(ErrorKind::OutOfFuel)
}

pub(crate) fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.to_string())
}
