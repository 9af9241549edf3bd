//! Pages of text, read: by a line reader strip by strip, by other models at once.

use ocellus_engine::{FinishReason, Flow, Request, Sampling};
use ocellus_media::{Gray, Limits, Rgb};
use ocellus_models::PositionRule;
use ocellus_processor::PixelBounds;
use ocellus_tasks::layout::{ChunkText, LineText, PageText};
use ocellus_tasks::ocr::CutPage;
use ocellus_text::Conversation;

use crate::ask::{Listen, confidence, engine_pictures};
use crate::error::SessionError;
use crate::sampling::GenerationOptions;
use crate::session::Session;

/// The prompt of a model that reads whole pages.
const QUESTION: &str = "Read all the text in the image. Give the text only, line by line.";
/// Strips in one packed pass: enough for long matrices, few enough for little memory.
const BATCH: usize = 64;
/// Characters that a visual token can hold at most; a reading that is longer is going round in circles.
const CHARACTERS_PER_TOKEN: usize = 8;

/// Which page of a file is read, and how. The default reads the first as the model is used to.
#[derive(Debug, Clone, Default)]
pub struct PageOptions {
    /// Counted from 0; only TIFF files have more than one.
    pub page: u32,
    /// Whether lines stay of which a line reader is unsure.
    pub keep_uncertain: bool,
    /// What a model that reads whole pages is told, in place of the usual request for all the text.
    pub prompt: Option<String>,
    /// Bounds of the picture for a model that reads whole pages.
    pub bounds: PixelBounds,
    /// How a model that reads whole pages answers.
    pub generation: GenerationOptions,
}

/// A page with everything done to it that can be done while the model is busy with another.
pub struct PreparedPage {
    /// The page as a viewer shows it.
    pub image: Rgb,
    keep_uncertain: bool,
    input: PageInput,
}

/// What the model is given of a page.
enum PageInput {
    Lines(CutPage),
    Whole(Box<Request>),
}

impl Session {
    /// Decodes a page and splits it into the model's inputs.
    ///
    /// # Errors
    /// What is no picture; a model that reads no pages.
    pub fn prepare_page(&self, bytes: &[u8], options: &PageOptions) -> Result<PreparedPage, SessionError> {
        let decoded = ocellus_media::decode_page(bytes, options.page, &Limits::default())?;
        let input = if self.reads_lines() {
            PageInput::Lines(CutPage::new(&decoded.image))
        } else {
            let picture = self.decoded_picture(&decoded, options.bounds)?;
            let prompt = options.prompt.as_deref().unwrap_or(QUESTION);
            let conversation = Conversation::about_images(1, prompt);
            let request = self.request(&conversation, &[picture], &options.generation)?;
            PageInput::Whole(Box::new(request))
        };
        Ok(PreparedPage {
            image: decoded.image,
            keep_uncertain: options.keep_uncertain,
            input,
        })
    }

    /// Reads a page. Boxes are in pixels of its image; of a model that reads the page at once, which gives none, a line's box is
    /// the page.
    ///
    /// # Errors
    /// A request that the engine cannot serve; a listener that breaks off.
    pub fn read_page(&self, page: &PreparedPage, listen: &mut Listen) -> Result<PageText, SessionError> {
        match &page.input {
            PageInput::Lines(cut) => cut.read(&page.image, page.keep_uncertain, &mut |strips| {
                self.read_strips(strips)
            }),
            PageInput::Whole(request) => self.read_whole(request, &page.image, listen),
        }
    }

    /// The text and confidence of every strip of print, in order.
    ///
    /// # Errors
    /// A model that is no line reader.
    pub fn read_strips(&self, strips: &[Gray]) -> Result<Vec<ChunkText>, SessionError> {
        // Strips of similar length share a batch, so that short ones do not wait for long ones.
        let mut order: Vec<usize> = (0..strips.len()).collect();
        order.sort_by_key(|i| strips[*i].width);
        let mut out: Vec<Option<ChunkText>> = strips.iter().map(|_| None).collect();
        let mut engine = self.engine()?;
        for batch in order.chunks(BATCH) {
            let requests = batch.iter().map(|i| self.strip_request(&strips[*i]));
            let requests = requests.collect::<Result<Vec<_>, _>>()?;
            let answers = engine.generate(&requests, &mut |_, _| Flow::Continue)?;
            self.intact()?;
            for (i, answer) in batch.iter().zip(answers) {
                let ids: Vec<u32> = answer.tokens.iter().map(|t| t.id).collect();
                out[*i] = Some(ChunkText {
                    text: self.text()?.tokenizer.decode(&ids)?,
                    confidence: confidence(&answer.tokens),
                });
            }
        }
        Ok(out.into_iter().flatten().collect())
    }

    fn strip_request(&self, strip: &Gray) -> Result<Request, SessionError> {
        let picture = self.pictures().prepare_strip(&strip.to_rgb())?;
        let talk = Conversation::about_images(1, "");
        let ids = self.prompt_ids(&talk, &[picture.geometry.grid])?;
        Ok(Request {
            ids,
            max_tokens: CHARACTERS_PER_TOKEN * (picture.geometry.tokens + 1),
            pictures: engine_pictures(&[picture]),
            min_tokens: 0,
            sampling: Sampling::default(),
            end: self.text()?.generation.end.clone(),
            rule: PositionRule::default(),
        })
    }

    fn read_whole(
        &self,
        request: &Request,
        image: &Rgb,
        listen: &mut Listen,
    ) -> Result<PageText, SessionError> {
        let answer = self.answer(request, &[], listen)?;
        if answer.finish == FinishReason::Cancelled {
            return Err(SessionError::Cancelled);
        }
        let line = |text: &str| LineText {
            text: text.to_owned(),
            bbox: [0.0, 0.0, image.width as f32, image.height as f32],
            confidence: answer.confidence(),
            em_px: 1.0,
            quad: None,
            cell: None,
        };
        let lines = answer.text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<LineText> = lines.map(line).collect();
        let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        Ok(PageText {
            text: text.join("\n"),
            lines,
            cut_tokens: (answer.finish == FinishReason::Length).then_some(answer.tokens.len()),
            ..PageText::default()
        })
    }
}
