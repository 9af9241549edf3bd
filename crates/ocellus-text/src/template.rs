//! Chat templates: Jinja as model publishers use it, with a bound on everything.
//!
//! A template comes with a checkpoint, so it is a program by a stranger. It gets the conversation and nothing else: no files,
//! no includes, no clock unless the caller lends one. Work and memory are paid for from one budget ([`TEMPLATE_FUEL`]), and
//! everything runs on a stack of its own, deep enough for what that budget can nest: a hostile template ends with an error.
//!
//! One thing the budget does not see: the engine pays for turning a list into text, or comparing two lists, only afterwards, so
//! a template that puts a list into itself many times over (`x = [x, x]`, dozens of times) and then does one of these can
//! still take all memory. Do not load checkpoints from sources that you would not load at all.

use crate::template_functions::{self, Raised};
use crate::{Conversation, Message, Part, Result, TextError, template_source};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};
use std::io::Write;

/// Longest source of a template.
pub const MAX_TEMPLATE_BYTES: usize = ocellus_base::limits::TEMPLATE_BYTES;
/// Longest prompt that a template may write, and longest conversation that it is given.
pub const MAX_RENDERED_BYTES: usize = ocellus_base::limits::TEXT_BYTES;
/// Budget of one rendering: an instruction costs one, and so do 64 bytes of text that are made.
pub const TEMPLATE_FUEL: u64 = ocellus_base::limits::TEMPLATE_FUEL;
/// Depth of calls and blocks; a macro call counts several.
const MAX_DEPTH: usize = 150;
/// Stack for compiling and rendering. The longest source can chain about 10,000 conditions and the budget can nest about 100,000
/// lists; the engine walks both recursively, up to a KiB a level. It is address space: only what is touched takes memory.
const STACK_BYTES: usize = 512 << 20;
const NAME: &str = "chat template";

/// What a caller may vary from prompt to prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// End with the start of the assistant's turn.
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
        on_deep_stack(|| Template::compile(source))?
    }

    fn compile(source: &str) -> Result<Template> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(TEMPLATE_FUEL));
        environment.set_recursion_limit(MAX_DEPTH);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(template_functions::python_method);
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(syntax_error)?;
        environment.set_syntax(syntax);
        template_functions::add_to(&mut environment);
        let source = template_source::without_generation_marks(source);
        environment
            .add_template_owned(NAME, source)
            .map_err(syntax_error)?;
        Ok(Template { environment })
    }

    /// The manner of Qwen-VL chat models, whose pictures stand as addresses between `<img>` and `</img>`.
    pub fn chatml_addressed() -> Template {
        match Template::new(include_str!("chatml_addressed.jinja")) {
            Ok(template) => template,
            Err(error) => unreachable!("the built-in template compiles, which a test checks: {error}"),
        }
    }

    /// The template of the Qwen2-VL and Qwen2.5-VL instruct models.
    pub fn chatml_vision() -> Template {
        match Template::new(include_str!("chatml_vision.jinja")) {
            Ok(template) => template,
            Err(error) => unreachable!("the built-in template compiles, which a test checks: {error}"),
        }
    }

    /// Defines a text that templates read by name, such as `bos_token`.
    pub fn with_text(mut self, name: &str, text: &str) -> Template {
        self.environment.add_global(name.to_string(), text.to_string());
        self
    }

    /// Lends the template a clock: `strftime_now(format)` calls it with the format. Without one the function is undefined.
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
        on_deep_stack(|| self.run(conversation, options))?
    }

    fn run(&self, conversation: &Conversation, options: &RenderOptions) -> Result<String> {
        let messages: Vec<Value> = conversation.messages.iter().map(message_value).collect();
        let values = context! {
            messages,
            add_generation_prompt => options.add_generation_prompt,
            add_vision_id => options.add_vision_id,
        };
        let template = self.environment.get_template(NAME).map_err(|e| failure(&e))?;
        let mut output = Bounded {
            bytes: Vec::new(),
            overflow: false,
        };
        let rendered = template.render_captured_to(values, &mut output).map(drop);
        if output.overflow {
            return Err(too_large("the rendered prompt", MAX_RENDERED_BYTES + 1));
        }
        rendered.map_err(|e| failure(&e))?;
        String::from_utf8(output.bytes).map_err(|e| TextError::TemplateFailed {
            line: None,
            reason: e.to_string(),
        })
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Template")
    }
}

/// Runs `work` on a thread with a large stack and waits for it.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    let failed = |reason: String| TextError::TemplateFailed { line: None, reason };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
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

/// A buffer that refuses to grow over [`MAX_RENDERED_BYTES`].
struct Bounded {
    bytes: Vec<u8>,
    overflow: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_RENDERED_BYTES {
            self.overflow = true;
            return Err(std::io::Error::other("the rendered prompt is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
fn failure(error: &minijinja::Error) -> TextError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(Raised(message)) = current.downcast_ref() {
            return TextError::TemplateRaised {
                message: message.clone(),
            };
        }
        if let Some(inner) = current.downcast_ref::<minijinja::Error>() {
            if inner.kind() == ErrorKind::OutOfFuel {
                return TextError::TemplateFuel { fuel: TEMPLATE_FUEL };
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
