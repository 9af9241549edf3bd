//! A conversation: messages of text, pictures and videos in order.

/// The role of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    /// The name that templates use.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// One piece of a message. Pictures and videos are placeholders only; the caller keeps them in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Image,
    Video,
}

impl From<&str> for Part {
    fn from(text: &str) -> Part {
        Part::Text(text.to_string())
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub role: Role,
    pub content: Vec<Part>,
}

impl Message {
    pub fn new(role: Role, content: Vec<Part>) -> Message {
        Message { role, content }
    }

    /// A message that is one piece of text.
    pub fn text(role: Role, text: impl Into<String>) -> Message {
        Message {
            role,
            content: vec![Part::Text(text.into())],
        }
    }
}

/// Messages in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    pub messages: Vec<Message>,
}

impl Conversation {
    pub fn new(messages: Vec<Message>) -> Conversation {
        Conversation { messages }
    }

    /// One user message: `images` pictures, then `prompt`.
    pub fn about_images(images: usize, prompt: impl Into<String>) -> Conversation {
        let mut content = vec![Part::Image; images];
        content.push(Part::Text(prompt.into()));
        Conversation::new(vec![Message::new(Role::User, content)])
    }

    /// Number of pictures in all messages.
    pub fn image_count(&self) -> usize {
        self.parts().filter(|part| **part == Part::Image).count()
    }

    /// Number of videos in all messages.
    pub fn video_count(&self) -> usize {
        self.parts().filter(|part| **part == Part::Video).count()
    }

    /// Bytes of text in all messages.
    pub(crate) fn text_bytes(&self) -> usize {
        self.parts()
            .map(|part| {
                if let Part::Text(text) = part {
                    text.len()
                } else {
                    0
                }
            })
            .sum()
    }

    /// Whether a text has this character.
    pub(crate) fn contains(&self, char: char) -> bool {
        self.parts()
            .any(|part| matches!(part, Part::Text(text) if text.contains(char)))
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.messages.iter().flat_map(|message| &message.content)
    }
}
