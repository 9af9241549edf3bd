//! Chat templates: Jinja as model publishers use it, with a bound on everything.
//!
//! A template comes with a checkpoint, so it is a program by a stranger. It gets the conversation and nothing else: no files,
//! no includes, no clock unless the caller lends one. Work and memory are paid for from one budget that grows with the
//! conversation, up to [`TEMPLATE_FUEL`]. Every value that a template makes has a bounded size and depth, and what looks at one pays
//! for all of it (`template_rewrite`, `template_bounds`); so rendering needs no stack of its own, and a hostile template ends with an
//! error.

use crate::template_functions::{self, Raised};
use crate::{Conversation, Message, Part, Result, TextError, template_rewrite, template_source};
use minijinja::machinery::{self, CodeGenerator, Instructions};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, Value, context};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest source of a template.
pub const MAX_TEMPLATE_BYTES: usize = ocellus_base::limits::TEMPLATE_BYTES;
/// Longest prompt that a template may write, and longest conversation that it is given.
pub const MAX_RENDERED_BYTES: usize = ocellus_base::limits::TEXT_BYTES;
/// Largest budget of one rendering: an instruction costs one, and so do 64 bytes of text that are made.
pub const TEMPLATE_FUEL: u64 = ocellus_base::limits::TEMPLATE_FUEL;
/// Budget for what a template does once, for each message and each of its parts, and for each byte of text. Published templates
/// take about two hundred for a message, and write its text once or twice.
const FUEL: u64 = 40_000;
const PART_FUEL: u64 = 1000;
const FUEL_OF_BYTES: fn(u64) -> u64 = |bytes| bytes / 4;
/// Depth of calls and blocks; a macro call counts several.
const MAX_DEPTH: usize = 150;
/// Stack for compiling: the longest source can chain about 10,000 conditions, which the engine walks recursively.
const COMPILE_STACK_BYTES: usize = 32 << 20;
const NAME: &str = "chat template";

/// What a caller may vary from prompt to prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// End with the start of the assistant's message.
    pub add_generation_prompt: bool,
    /// Number the pictures and videos in the text.
    pub add_vision_id: bool,
}

impl Default for RenderOptions {
    /// A prompt to be answered, pictures not numbered.
    fn default() -> RenderOptions {
        RenderOptions {
            add_generation_prompt: true,
            add_vision_id: false,
        }
    }
}

/// A compiled chat template.
#[derive(Clone)]
pub struct Template {
    environment: Environment<'static>,
    instructions: Arc<Instructions<'static>>,
}

impl Template {
    /// Compiles `source`, with the white-space rules and functions that published chat templates rely on.
    pub fn new(source: &str) -> Result<Template> {
        if source.len() > MAX_TEMPLATE_BYTES {
            let (found, limit) = (source.len() as u64, MAX_TEMPLATE_BYTES as u64);
            return Err(TextError::TooLarge {
                what: "the chat template".to_string(),
                found,
                limit,
            });
        }
        template_source::check_tags(source)?;
        on_stack(COMPILE_STACK_BYTES, || Template::compile(source))?
    }

    fn compile(source: &str) -> Result<Template> {
        let mut environment = Environment::new();
        environment.set_recursion_limit(MAX_DEPTH);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(template_functions::python_method);
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(syntax_error)?;
        template_functions::add_to(&mut environment);
        let source = lasting(template_source::without_generation_marks(source));
        let tree = machinery::parse(source, NAME, syntax).map_err(syntax_error)?;
        let mut generator = CodeGenerator::new(NAME, source);
        generator.compile_stmt(&template_rewrite::statement(&tree));
        let instructions = Arc::new(generator.finish().0);
        Ok(Template {
            environment,
            instructions,
        })
    }

    /// The manner of Qwen-VL chat models, whose pictures stand as addresses between `<img>` and `</img>`.
    pub fn chatml_addressed() -> Template {
        match Template::new(include_str!("chatml_addressed.jinja")) {
            Ok(template) => template,
            Err(error) => unreachable!("the built-in template compiles, which a test checks: {error}"),
        }
    }

    /// The template of the Qwen2-VL and Qwen2.5-VL instruct models, whose conversations open with `system` where they have no system
    /// message; later ones open with nothing.
    pub fn chatml_vision(system: Option<&str>) -> Template {
        match Template::new(include_str!("chatml_vision.jinja")) {
            Ok(template) => match system {
                Some(system) => template.with_text("default_system", system),
                None => template,
            },
            Err(error) => unreachable!("the built-in template compiles, which a test checks: {error}"),
        }
    }

    /// Defines a text that templates read by name, such as `bos_token`.
    pub fn with_text(mut self, name: &str, text: &str) -> Template {
        self.environment.add_global(name.to_string(), text.to_string());
        self
    }

    /// Gives the template a clock: `strftime_now(format)` calls it with the format. Without one the function is undefined.
    pub fn with_clock(mut self, strftime: impl Fn(&str) -> String + Send + Sync + 'static) -> Template {
        self.environment
            .add_function("strftime_now", move |format: &str| strftime(format));
        self
    }

    /// The prompt text of `conversation`; every picture and video is one placeholder in it.
    pub fn render(&self, conversation: &Conversation, options: &RenderOptions) -> Result<String> {
        let found = conversation.text_bytes();
        if found > MAX_RENDERED_BYTES {
            return Err(too_large("the conversation", found));
        }
        self.run(conversation, options, fuel(conversation))
    }

    fn run(&self, conversation: &Conversation, options: &RenderOptions, fuel: u64) -> Result<String> {
        let messages: Vec<Value> = conversation.messages.iter().map(message_value).collect();
        let values = context! {
            messages,
            add_generation_prompt => options.add_generation_prompt,
            add_vision_id => options.add_vision_id,
        };
        let failure = |error: minijinja::Error| failure(&error, fuel);
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(fuel));
        let mut text = String::new();
        let blocks = BTreeMap::new();
        // The text cannot grow by more than the budget, and one value, before the engine stops.
        let mut output = machinery::make_string_output(&mut text);
        machinery::eval(
            &environment,
            &self.instructions,
            values,
            &blocks,
            &mut output,
            AutoEscape::None,
        )
        .map(drop)
        .map_err(failure)?;
        if text.len() > MAX_RENDERED_BYTES {
            return Err(too_large("the rendered prompt", text.len()));
        }
        Ok(text)
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Template")
    }
}

/// What a rendering of this conversation may cost.
fn fuel(conversation: &Conversation) -> u64 {
    let parts: usize = conversation.messages.iter().map(|m| 1 + m.content.len()).sum();
    let text = FUEL_OF_BYTES(conversation.text_bytes() as u64);
    (FUEL + PART_FUEL * parts as u64 + text).min(TEMPLATE_FUEL)
}

/// Runs `work` on a thread with a stack of this size and waits for it.
fn on_stack<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> Result<T> {
    let failed = |reason: String| TextError::TemplateFailed { line: None, reason };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(bytes)
            .spawn_scoped(scope, work);
        let thread = thread.map_err(|e| failed(format!("no memory for its stack: {e}")))?;
        thread
            .join()
            .map_err(|_| failed("the template engine stopped unexpectedly".to_string()))
    })
}

/// A message as templates expect it: `content` is a string when it is one piece of text, else a list of parts.
fn message_value(message: &Message) -> Value {
    let content = match &message.content[..] {
        [Part::Text(text)] => Value::from(text.as_str()),
        parts => Value::from(parts.iter().map(part_value).collect::<Vec<Value>>()),
    };
    context! { role => message.role.name(), content }
}

fn part_value(part: &Part) -> Value {
    match part {
        Part::Text(text) => context! { type => "text", text },
        Part::Image => context! { type => "image" },
        Part::Video => context! { type => "video" },
    }
}

/// The engine's instructions borrow their source, so it stays as long as the program: once for every different template.
fn lasting(source: String) -> &'static str {
    static SOURCES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
    let sources = sources.get_or_insert_default();
    if let Some(known) = sources.get(source.as_str()) {
        return known;
    }
    let source: &'static str = source.leak();
    sources.insert(source);
    source
}

fn too_large(what: &str, found: usize) -> TextError {
    TextError::TooLarge {
        what: what.to_string(),
        found: found as u64,
        limit: MAX_RENDERED_BYTES as u64,
    }
}

fn syntax_error(error: minijinja::Error) -> TextError {
    TextError::TemplateSyntax {
        line: error.line(),
        reason: reason(&error),
    }
}

/// Sorts what went wrong while rendering. The cause may lie below an error about the block or macro around it.
fn failure(error: &minijinja::Error, fuel: u64) -> TextError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(Raised(message)) = current.downcast_ref() {
            return TextError::TemplateRaised {
                message: message.clone(),
            };
        }
        if let Some(inner) = current.downcast_ref::<minijinja::Error>() {
            if inner.kind() == ErrorKind::OutOfFuel {
                return TextError::TemplateFuel { fuel };
            }
            if inner
                .detail()
                .is_some_and(|detail| detail.contains("recursion limit exceeded"))
            {
                return TextError::TemplateRecursion;
            }
        }
        cause = current.source();
    }
    TextError::TemplateFailed {
        line: error.line(),
        reason: reason(error),
    }
}

fn reason(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
