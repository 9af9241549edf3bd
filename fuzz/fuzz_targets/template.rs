//! Any text as a chat template: it renders within its budget, or it is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_text::{Conversation, RenderOptions, Template};

fuzz_target!(init: ocellus_fuzz::pass_contained(), |source: &str| {
    let Ok(template) = Template::new(source) else { return };
    let conversation = Conversation::about_images(1, "What does the sign say?");
    for add_generation_prompt in [false, true] {
        let options = RenderOptions { add_generation_prompt, add_vision_id: true };
        let _ = template.render(&conversation, &options);
    }
});
