//! `ocellus chat`: a conversation, with `/image`, `/save`, `/reset`, `/help`.

use std::io::IsTerminal;
use std::path::Path;

use ocellus_engine::{Engine, EngineOptions};
use ocellus_models::Task;
use ocellus_session::{OpenOptions, PreparedPicture, Session, Usage};
use ocellus_text::{Conversation, Message, Part, Role};
use serde_json::json;

use super::answer::{warnings, written};
use crate::args::Chat;
use crate::context::Context;
use crate::error::Failure;
use crate::lines::Lines;
use crate::{destination, inputs, output};

const HELP: &str = "\
/image FILE   show the model a picture with the next question
/save FILE    write the conversation as JSON
/reset        forget everything said so far
/help         this list
/exit         leave (as does the end of input)
";

/// Bytes of visual tokens that are kept between questions.
const ENCODER_CACHE_BYTES: usize = 256 << 20;

/// What has been said and shown so far.
struct Talk {
    /// Keeps what it read of earlier questions and answers.
    engine: Engine<'static>,
    conversation: Conversation,
    pictures: Vec<PreparedPicture>,
    /// Pictures that go with the next question.
    waiting: Vec<PreparedPicture>,
}

impl Talk {
    /// With nothing said but what the model is told before, if anything.
    fn new(session: &Session, args: &Chat) -> Result<Self, Failure> {
        let system = args
            .system
            .iter()
            .map(|text| Message::text(Role::System, text.clone()));
        let conversation = Conversation {
            messages: system.collect(),
        };
        Ok(Self {
            engine: session.engine()?,
            conversation,
            pictures: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// Shows a picture with the next question.
    fn show(&mut self, session: &Session, path: &Path) -> Result<(), Failure> {
        let picture = session.picture(&inputs::read(path)?, Default::default());
        self.waiting
            .push(picture.map_err(|error| error.about(&inputs::name(path)))?);
        Ok(())
    }
}

/// Talks until the end of standard input or `/exit`.
pub fn run(context: &Context, args: Chat) -> Result<(), Failure> {
    let checkpoint = context.checkpoint(args.model.model.as_deref())?;
    let options = context.options(&checkpoint, Usage::default());
    let options = OpenOptions {
        engine: EngineOptions {
            prefix_cache: true,
            encoder_cache_bytes: ENCODER_CACHE_BYTES,
            ..options.engine
        },
        ..options
    };
    let session = context.open_with(&checkpoint, &options)?;
    if session.reads_lines() {
        return Err(
            Failure::new(format!("{} reads lines of print, it cannot talk", session.name()))
                .hint("name a model that answers questions: -m ORG/NAME or -m FOLDER"),
        );
    }
    session.check_converses(Task::Chat)?;
    if std::io::stdin().is_terminal() && !context.global.quiet {
        output::note(&format!(
            "talking with {}; /help lists the commands",
            session.name()
        ));
    }
    let mut talk = Talk::new(&session, &args)?;
    for path in &args.images {
        talk.show(&session, path)?;
    }
    let mut lines = Lines::new();
    loop {
        let Some(line) = lines.next("> ")? else {
            return Ok(());
        };
        match line.trim() {
            "" => {}
            "/exit" | "/quit" => return Ok(()),
            // An error in one line is reported and the conversation goes on.
            text => match turn(&session, &mut talk, &args, text) {
                Err(failure) if failure.code() == 1 || failure.code() == 2 => failure.report(),
                other => other?,
            },
        }
    }
}

fn turn(session: &Session, talk: &mut Talk, args: &Chat, line: &str) -> Result<(), Failure> {
    let (command, rest) = line
        .split_once(char::is_whitespace)
        .map_or((line, ""), |(c, r)| (c, r.trim()));
    match command {
        "/help" => output::write(HELP),
        "/reset" => {
            *talk = Talk::new(session, args)?;
            Ok(())
        }
        "/image" | "/save" if rest.is_empty() => {
            Err(Failure::usage(format!("{command} needs a file")).hint("/help lists the commands"))
        }
        "/image" => talk.show(session, Path::new(rest)),
        "/save" => save(talk, Path::new(rest)),
        command if command.starts_with('/') => {
            Err(Failure::usage(format!("there is no command {command}")).hint("/help lists the commands"))
        }
        _ => answer(session, talk, args, line),
    }
}

fn answer(session: &Session, talk: &mut Talk, args: &Chat, text: &str) -> Result<(), Failure> {
    let mut content: Vec<Part> = talk.waiting.iter().map(|_| Part::Image).collect();
    content.push(Part::Text(text.to_owned()));
    let mut conversation = talk.conversation.clone();
    conversation.messages.push(Message::new(Role::User, content));
    let pictures: Vec<PreparedPicture> = talk.pictures.iter().chain(&talk.waiting).cloned().collect();
    let options = args.sampling.options();
    let request = session.request(&conversation, &pictures, &options)?;
    let answer = written((session, &mut talk.engine), &request, &options.stop, true)?;
    output::line("")?;
    warnings(session, "the answer", answer.finish, answer.tokens.len());
    conversation
        .messages
        .push(Message::text(Role::Assistant, answer.text));
    talk.conversation = conversation;
    talk.pictures = pictures;
    talk.waiting.clear();
    Ok(())
}

fn save(talk: &Talk, path: &Path) -> Result<(), Failure> {
    let part = |part: &Part| match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image => json!({ "type": "image" }),
        Part::Video => json!({ "type": "video" }),
    };
    let messages: Vec<_> = talk
        .conversation
        .messages
        .iter()
        .map(|m| json!({ "role": m.role.name(), "content": m.content.iter().map(part).collect::<Vec<_>>() }))
        .collect();
    destination::file(
        path,
        format!("{:#}\n", json!({ "messages": messages })).as_bytes(),
    )
}
