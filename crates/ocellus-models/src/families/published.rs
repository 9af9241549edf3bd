//! Published checkpoints to try a task with.

use crate::Task;

/// A small checkpoint on the hub that can do a task, as users name it.
pub fn published(task: Task) -> &'static str {
    match task {
        Task::Ask | Task::Chat | Task::Ocr => "Qwen/Qwen2.5-VL-3B-Instruct",
        Task::Caption => "Salesforce/blip-image-captioning-base",
        Task::Score | Task::Classify | Task::Embed => "openai/clip-vit-base-patch32",
        Task::Fill => "dandelin/vilt-b32-mlm",
        Task::Detect => "unc-nlp/frcnn-vg-finetuned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FAMILIES;

    #[test]
    fn every_task_that_a_family_can_do_has_one() {
        for task in FAMILIES.iter().flat_map(|family| family.tasks) {
            assert_eq!(published(*task).split('/').count(), 2, "{}", task.as_str());
        }
    }
}
