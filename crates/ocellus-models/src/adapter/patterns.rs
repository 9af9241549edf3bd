//! Names of modules as PEFT's configs give them: the ends of names, or regular expressions.

use fancy_regex::Regex;

/// The most characters of an expression; longer ones are no names that a person wrote.
const LONGEST: usize = 16 << 10;

/// Modules that a config names.
#[derive(Debug, Default)]
pub enum Modules {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// Names, or their last parts.
    Ends(Vec<String>),
    /// An expression for whole names. `None` = one that is not in the dialect that is read.
    Expression(Option<Regex>),
}

impl Modules {
    pub fn expression(text: &str) -> Self {
        Self::Expression(whole(text))
    }

    /// Whether `module` is named; `None` where that cannot be told.
    pub fn name(&self, module: &str) -> Option<bool> {
        match self {
            Self::Unsaid => None,
            Self::Ends(ends) => Some(ends.iter().any(|end| ends_with(module, end))),
            Self::Expression(expression) => expression.as_ref()?.is_match(module).ok(),
        }
    }
}

/// Whether the last parts of `module` are `end`.
pub fn ends_with(module: &str, end: &str) -> bool {
    module
        .strip_suffix(end)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Values for modules by expressions for the ends of their names, in the order of the config: the first that fits counts.
#[derive(Debug, Default)]
pub struct Patterns(Vec<(Regex, f64)>);

impl Patterns {
    /// # Errors
    /// The expression that cannot be read.
    pub fn new(pairs: Vec<(String, f64)>) -> Result<Self, String> {
        let read = |(text, value): (String, f64)| {
            let expression = whole(&format!(r"(?:.*\.)?(?:{text})")).ok_or(text)?;
            Ok((expression, value))
        };
        pairs.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub fn value(&self, module: &str) -> Option<f64> {
        // An expression that runs out of steps fits nothing.
        let fits = |(expression, _): &&(Regex, f64)| expression.is_match(module).unwrap_or(false);
        self.0.iter().find(fits).map(|(_, value)| *value)
    }
}

fn whole(text: &str) -> Option<Regex> {
    match text.len() {
        0..LONGEST => Regex::new(&format!("^(?:{text})$")).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_modules() {
        let ends = Modules::Ends(vec!["q_proj".into(), "mlp.0".into()]);
        let expression = Modules::expression(r"^(?!.*visual).*\.(?:q_proj|v_proj)");
        for (module, by_ends, by_expression) in [
            ("model.layers.0.self_attn.q_proj", true, true),
            ("q_proj", true, false),
            ("model.layers.0.self_attn.seq_proj", false, false),
            ("visual.merger.mlp.0", true, false),
            ("visual.blocks.0.q_proj", true, false),
            ("model.layers.0.v_proj.x", false, false),
        ] {
            assert_eq!(ends.name(module), Some(by_ends), "{module}");
            assert_eq!(expression.name(module), Some(by_expression), "{module}");
        }
        assert_eq!(Modules::expression("(").name("x"), None);
        assert_eq!(Modules::expression(&"a".repeat(LONGEST)).name("x"), None);
    }

    #[test]
    fn the_first_pattern_that_fits_counts() {
        let pairs = [
            ("q_proj", 1.0),
            (r"^layers\.1\.q_proj", 2.0),
            (r"layers\.\d+\.(k|v)_proj", 3.0),
        ];
        let patterns = Patterns::new(pairs.map(|(text, value)| (text.to_owned(), value)).into()).unwrap();
        for (module, value) in [
            ("layers.1.q_proj", Some(1.0)),
            ("model.layers.12.v_proj", Some(3.0)),
            ("model.layers.12.v_proj.x", None),
            ("o_proj", None),
        ] {
            assert_eq!(patterns.value(module), value, "{module}");
        }
        assert_eq!(Patterns::new(vec![("(".into(), 1.0)]).unwrap_err(), "(");
        // What would take for ever fits nothing.
        let patterns = Patterns::new(vec![("(a+)+(?=b)".into(), 1.0)]).unwrap();
        assert_eq!(patterns.value(&"a".repeat(200)), None);
    }
}
