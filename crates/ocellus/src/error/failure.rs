//! What a command fails with.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::terminal::one_line;

/// Any failure of a command.
#[derive(Debug, Clone)]
pub struct Failure {
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
    pub(super) code: u8,
}

impl Failure {
    /// Something failed: exit code 1.
    pub fn new(message: impl Display) -> Self {
        Self {
            message: Some(message.to_string()),
            hint: None,
            code: 1,
        }
    }

    /// The command line or the environment asks for something that does not exist: exit code 2.
    pub fn usage(message: impl Display) -> Self {
        Self {
            code: 2,
            ..Self::new(message)
        }
    }

    /// Stopped by the user: exit code 130.
    pub fn interrupted() -> Self {
        Self {
            code: 130,
            ..Self::new("interrupted")
        }
    }

    /// A part of a batch failed and was reported already: exit code 1, nothing more to say.
    pub fn reported() -> Self {
        Self {
            message: None,
            hint: None,
            code: 1,
        }
    }

    /// The reader closed our output, as `head` does: not an error, no message.
    pub fn nobody_listens() -> Self {
        Self {
            message: None,
            hint: None,
            code: 0,
        }
    }

    /// A file could not be read or written.
    pub fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        let failure = Self::new(format!("{}: cannot {action}: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::NotFound => failure.hint("check the path; it is relative to the current folder"),
            io::ErrorKind::PermissionDenied => failure.hint("check who owns the file and who may use it"),
            io::ErrorKind::StorageFull => failure.hint("free some space and run the command again"),
            io::ErrorKind::IsADirectory => failure.hint("name a file in it"),
            io::ErrorKind::InvalidData => failure.hint("the file must be text in UTF-8"),
            _ => failure.hint("check that the path names a file that can be used, and that its disk works"),
        }
    }

    /// Adds what the user can do about it.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Names the file or model that the sentence is about, unless it does already.
    pub fn about(mut self, name: &str) -> Self {
        self.message = self.message.map(|m| {
            if m.contains(name) {
                m
            } else {
                format!("{name}: {m}")
            }
        });
        self
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// Writes the sentence and the hint to standard error.
    pub fn report(&self) {
        let Some(message) = &self.message else { return };
        let mut stderr = io::stderr().lock();
        let colour = stderr.is_terminal() && crate::colour::colour_wanted();
        let (red, bold, plain) = if colour {
            ("\x1b[1;31m", "\x1b[1m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        // There is nowhere to report that standard error is closed.
        let _ = writeln!(stderr, "{red}error:{plain} {}", one_line(message));
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "{bold}hint:{plain} {}", one_line(hint));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_on_one_line_and_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\nb\x1b[31mc\r"), "a b [31mc ");
    }
}
