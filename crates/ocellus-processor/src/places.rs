//! Where the parts of a checkpoint's preprocessing stand: one table, in the order of the newest version of the reference.
//!
//! Older versions differ in two places: before 5.0 `preprocessor_config.json` came before `processor_config.json`, and before
//! 4.52 `chat_template.jinja` came before `chat_template.json`. Files that one program wrote say the same.

use serde_json::Value;

use crate::error::Result;
use crate::text_files::TextFiles;

/// A part of a checkpoint's preprocessing that may stand in several files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Pictures,
    Videos,
    Template,
}

/// A file, and the field in it that the part stands under; without one it is the whole file.
type Place = (Part, &'static str, Option<&'static str>);

const PLACES: &[Place] = &[
    (Part::Pictures, "processor_config.json", Some("image_processor")),
    (
        Part::Pictures,
        "preprocessor_config.json",
        Some("image_processor"),
    ),
    (Part::Pictures, "preprocessor_config.json", None),
    (Part::Videos, "processor_config.json", Some("video_processor")),
    (Part::Videos, "video_preprocessor_config.json", None),
    (Part::Videos, "preprocessor_config.json", None),
    (Part::Template, "processor_config.json", Some("chat_template")),
    (Part::Template, "chat_template.json", Some("chat_template")),
    (Part::Template, "chat_template.jinja", None),
    (Part::Template, "tokenizer_config.json", Some("chat_template")),
];

/// The first place that has `part`: its file, and what stands there. A file that is no JSON is one text.
///
/// # Errors
/// A file that cannot be read, or is not JSON and should be.
pub fn find(files: &TextFiles, part: Part) -> Result<Option<(&'static str, Value)>> {
    for (_, file, field) in PLACES.iter().filter(|place| place.0 == part) {
        let content = match file.ends_with(".json") {
            true => files.json(file)?,
            false => files.text(file)?.map(Value::String),
        };
        let found = match field {
            Some(field) => content.and_then(|mut content| Some(content.get_mut(field)?.take())),
            None => content,
        };
        if let Some(found) = found.filter(|found| !found.is_null()) {
            return Ok(Some((file, found)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_first_place_that_has_a_part_counts() {
        let mut texts = BTreeMap::new();
        let mut told = |file: &'static str, text: &str, part: Part| {
            texts.insert(file, text.to_owned());
            let found = find(&TextFiles::Made(texts.clone()), part).unwrap();
            found.map(|(file, value)| format!("{file} {value}"))
        };
        let template = Part::Template;
        assert_eq!(told("tokenizer_config.json", "{}", template), None);
        for (file, text, expected) in [
            (
                "tokenizer_config.json",
                r#"{"chat_template": "a"}"#,
                r#"tokenizer_config.json "a""#,
            ),
            ("chat_template.jinja", "b", r#"chat_template.jinja "b""#),
            (
                "chat_template.json",
                r#"{"chat_template": "c"}"#,
                r#"chat_template.json "c""#,
            ),
            (
                "processor_config.json",
                r#"{"image_processor": 1}"#,
                r#"chat_template.json "c""#,
            ),
            (
                "processor_config.json",
                r#"{"chat_template": null}"#,
                r#"chat_template.json "c""#,
            ),
            (
                "processor_config.json",
                r#"{"chat_template": "d"}"#,
                r#"processor_config.json "d""#,
            ),
        ] {
            assert_eq!(told(file, text, template).as_deref(), Some(expected));
        }
        for (file, text, expected) in [
            (
                "preprocessor_config.json",
                r#"{"size": 1}"#,
                r#"preprocessor_config.json {"size":1}"#,
            ),
            (
                "preprocessor_config.json",
                r#"{"image_processor": {"size": 2}}"#,
                r#"preprocessor_config.json {"size":2}"#,
            ),
            (
                "processor_config.json",
                r#"{"image_processor": {"size": 3}}"#,
                r#"processor_config.json {"size":3}"#,
            ),
        ] {
            assert_eq!(told(file, text, Part::Pictures).as_deref(), Some(expected));
        }
        let videos = told("video_preprocessor_config.json", r#"{"fps": 2}"#, Part::Videos);
        assert_eq!(
            videos.as_deref(),
            Some(r#"video_preprocessor_config.json {"fps":2}"#)
        );
    }
}
