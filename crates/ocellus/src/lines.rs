//! Lines that a user types: with keys for editing and earlier lines on a terminal, as they come elsewhere.

use std::io::{BufRead, IsTerminal, StdinLock};

use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Behavior, Config, Editor};

use crate::error::Failure;

/// Standard input, line by line.
pub enum Lines {
    Edited(Box<Editor<(), MemHistory>>),
    Plain(std::io::Lines<StdinLock<'static>>),
}

impl Lines {
    pub fn new() -> Self {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            // The prompt goes to the terminal itself: standard output carries results only.
            let config = Config::builder().behavior(Behavior::PreferTerm).build();
            let history = MemHistory::with_config(&config);
            if let Ok(editor) = Editor::with_history(config, history) {
                return Self::Edited(Box::new(editor));
            }
        }
        Self::Plain(stdin.lock().lines())
    }

    /// The next line; nothing at the end of the input.
    ///
    /// # Errors
    /// Ctrl-C, and input that cannot be read.
    pub fn next(&mut self, prompt: &str) -> Result<Option<String>, Failure> {
        let unreadable =
            |error: &dyn std::fmt::Display| Failure::new(format!("standard input cannot be read: {error}"));
        match self {
            Self::Plain(lines) => lines.next().transpose().map_err(|error| unreadable(&error)),
            Self::Edited(editor) => match editor.readline(prompt) {
                Ok(line) => {
                    // A line that is not kept can be typed again.
                    let _ = editor.add_history_entry(&line);
                    Ok(Some(line))
                }
                Err(ReadlineError::Eof) => Ok(None),
                Err(ReadlineError::Interrupted) => Err(Failure::interrupted()),
                Err(error) => Err(unreadable(&error)),
            },
        }
    }
}
