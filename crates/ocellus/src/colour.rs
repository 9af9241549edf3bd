//! Whether messages may be coloured.

/// `NO_COLOR` asks for none, before any other variable is read.
pub fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
