//! A question about pictures.

use ocellus_text::{Conversation, Message, Part, Role};

/// One user turn of `images` pictures, the prompt, and `after` pictures more; after the system text if there is one.
pub fn conversation((images, after): (usize, usize), prompt: &str, system: Option<&str>) -> Conversation {
    let mut conversation = Conversation::about_images(images, prompt);
    for message in &mut conversation.messages {
        message.content.extend(vec![Part::Image; after]);
    }
    if let Some(system) = system {
        conversation
            .messages
            .insert(0, Message::text(Role::System, system));
    }
    conversation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_before_the_prompt_or_after_it_and_the_system_text_before_all() {
        let asked = conversation((2, 1), "What is this?", Some("Be brief."));
        assert_eq!(asked.messages.len(), 2);
        assert_eq!(asked.messages[0], Message::text(Role::System, "Be brief."));
        let content = &asked.messages[1].content;
        assert_eq!(
            content[..],
            [Part::Image, Part::Image, Part::from("What is this?"), Part::Image]
        );
        assert_eq!(
            conversation((0, 0), "Hello", None).messages,
            [Message::text(Role::User, "Hello")]
        );
    }
}
