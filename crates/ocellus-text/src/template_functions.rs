//! What chat templates use beyond Jinja itself.

use crate::template_bounds::{self, collect, is_container, keep, look, refused};
use crate::template_rewrite::{CONCAT, FILTER, KEEP, STORE, TEST};
use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::fmt::Write as _;

/// Deepest nesting that `tojson` follows.
const MAX_JSON_DEPTH: usize = 64;

/// The message of a template that refuses a conversation by `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Raised(pub String);

pub(crate) fn add_to(environment: &mut Environment<'static>) {
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, "raised by the template").with_source(Raised(message)))
    });
    environment.add_filter("tojson", tojson);
    // `debug()` writes out all that there is.
    environment.remove_global("debug");
    environment.add_function(KEEP, keep);
    environment.add_function(STORE, template_bounds::store);
    environment.add_function(FILTER, filter);
    environment.add_function(CONCAT, concat);
    environment.add_test(TEST, test);
}

/// `value | name(…)`: looks at every list that goes in, keeps what comes out.
fn filter(state: &mut State, name: String, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    let name: String = name.split_whitespace().collect();
    for arg in args.iter() {
        look(state, arg)?;
    }
    if let Some(text) = args.first().and_then(Value::as_str) {
        state.consume_fuel(text.len() as u64 / 64)?;
    }
    if name == "sum" {
        only_numbers(state, &args)?;
    }
    let made = state
        .apply_filter(&name, &args)
        .map_err(|error| unknown(error, &name))?;
    keep(state, made)
}

/// The engine adds lists by nesting them, one in another for every item.
fn only_numbers(state: &State, args: &[Value]) -> Result<(), Error> {
    let lists = match args {
        [value] => collect(state, value)?.iter().any(is_container),
        _ => args.len() > 1,
    };
    match lists {
        true => Err(refused("sum adds numbers, without arguments")),
        false => Ok(()),
    }
}

/// `value is name(…)`, and every comparison.
fn test(state: &mut State, value: Value, name: String, args: Rest<ValueOrKwargs>) -> Result<bool, Error> {
    let args = args.into_values();
    let name: String = name.split_whitespace().collect();
    look(state, &value)?;
    for arg in args.iter() {
        look(state, arg)?;
    }
    let mut all = vec![value];
    all.extend(args);
    state
        .perform_test(&name, &all)
        .map_err(|error| unknown(error, &name))
}

/// The engine names what it does not know only where it calls it itself.
fn unknown(error: Error, name: &str) -> Error {
    match error.kind() {
        kind @ (ErrorKind::UnknownFilter | ErrorKind::UnknownTest) if error.detail().is_none() => {
            Error::new(kind, format!("`{name}` is unknown"))
        }
        _ => error,
    }
}

/// `left ~ right`.
fn concat(state: &State, left: Value, right: Value) -> Result<String, Error> {
    let length = |value: &Value| value.as_str().map_or(0, |text| text.len() as u64);
    // Paid for once more when it is made; what cannot be paid is not made.
    if state
        .fuel_levels()
        .is_some_and(|(_, left_over)| (length(&left) + length(&right)) / 64 > left_over)
    {
        return Err(Error::from(ErrorKind::OutOfFuel));
    }
    for value in [&left, &right] {
        look(state, value)?;
    }
    let text = format!("{left}{right}");
    if is_container(&left) || is_container(&right) {
        state.consume_fuel(text.len() as u64 / 4)?;
    }
    Ok(text)
}

/// Python's methods of strings, lists and maps. `format` writes a padded number before the engine looks at its size, so its
/// format text may not ask for a width of five digits or more.
pub(crate) fn python_method(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let wide = |text: &str| {
        text.split(|c: char| !c.is_ascii_digit())
            .any(|number| number.len() > 4)
    };
    if method == "format" && value.as_str().is_some_and(wide) {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "format: a width or index of more than four digits",
        ));
    }
    look(state, value)?;
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

/// JSON as Python's `json.dumps(value, ensure_ascii=False)` writes it: `", "` and `": "` between items, nothing escaped for HTML.
fn tojson(state: &State, value: Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    let _: Option<bool> = kwargs.get("ensure_ascii")?;
    let sort_keys = kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    let mut writer = Json {
        state,
        indent: indent.map(|n| n.min(16)),
        sort_keys,
        text: String::new(),
    };
    writer.value(&value, 0)?;
    Ok(writer.text)
}

/// Writes a value piece by piece and pays for each: a list that holds itself many times over ends with the budget.
struct Json<'a, 's, 'e> {
    state: &'a State<'s, 'e>,
    indent: Option<usize>,
    sort_keys: bool,
    text: String,
}

impl Json<'_, '_, '_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.state.consume_fuel(1)?;
        if depth > MAX_JSON_DEPTH {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "tojson: the value is nested too deeply",
            ));
        }
        match value.kind() {
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.items(b"{}", keys, depth, |json, key| {
                    json.key(&key)?;
                    json.text.push_str(": ");
                    json.value(&value.get_item(&key)?, depth + 1)
                })
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.items(b"[]", items, depth, |json, item| json.value(&item, depth + 1))
            }
            ValueKind::None => self.scalar("null"),
            ValueKind::Bool => self.scalar(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.scalar(&value.to_string()),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            other => Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("tojson: cannot write a value of type {other}"),
            )),
        }
    }

    fn items(
        &mut self,
        brackets: &[u8; 2],
        items: Vec<Value>,
        depth: usize,
        mut write: impl FnMut(&mut Self, Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let empty = items.is_empty();
        self.text.push(char::from(brackets[0]));
        for (i, item) in items.into_iter().enumerate() {
            match (i, self.indent) {
                (0, None) => {}
                (0, Some(_)) => {}
                (_, None) => self.text.push_str(", "),
                (_, Some(_)) => self.text.push(','),
            }
            self.new_line(depth + 1)?;
            write(self, item)?;
        }
        if !empty {
            self.new_line(depth)?;
        }
        self.text.push(char::from(brackets[1]));
        Ok(())
    }

    fn new_line(&mut self, depth: usize) -> Result<(), Error> {
        if let Some(indent) = self.indent {
            self.state.consume_fuel((indent * depth / 64) as u64)?;
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', indent * depth));
        }
        Ok(())
    }

    /// Keys that are not strings are written as one, as Python does.
    fn key(&mut self, key: &Value) -> Result<(), Error> {
        match (key.as_str(), key.kind()) {
            (Some(text), _) => self.string(text),
            (None, ValueKind::Bool) => self.string(if key.is_true() { "true" } else { "false" }),
            (None, ValueKind::None) => self.string("null"),
            (None, _) => self.string(&key.to_string()),
        }
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        self.state.consume_fuel(text.len() as u64 / 16)?;
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                control if control < ' ' => {
                    // Writing to a string cannot fail.
                    let _ = write!(self.text, "\\u{:04x}", control as u32);
                }
                other => self.text.push(other),
            }
        }
        self.text.push('"');
        Ok(())
    }

    fn scalar(&mut self, text: &str) -> Result<(), Error> {
        self.text.push_str(text);
        Ok(())
    }
}
