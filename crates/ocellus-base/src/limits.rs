//! Every bound on what may come in.
//!
//! A reader checks its bound *before* it allocates; over a bound is a typed error of that reader that names the
//! bound, what was found and what was allowed. The constants are the defaults; [`Limits`] carries the ones that a
//! caller may move. Sizes are in the unit of the name's suffix.

/// Bytes of one encoded picture file: as many pixels as a picture may have, uncompressed, and some pages of a scan in one file.
pub const ENCODED_BYTES: u64 = 320 << 20;

/// Pixels of one picture, as its header states them. 100 megapixels are a 300 dpi scan of an A1 sheet.
pub const PICTURE_PX: u64 = 100_000_000;

/// Longer side of one picture, before any resize.
pub const SIDE_PX: u32 = 32_768;

/// Longer side divided by shorter side. The vision towers of the supported families are defined up to 200.
pub const ASPECT_RATIO: u32 = 200;

/// Memory a decoder may take for one picture: 100 megapixels at 16 bits and four channels.
pub const DECODE_BYTES: u64 = 800_000_000;

/// Memory of all pictures that are decoded at a time: the largest one, and smaller ones side by side.
pub const DECODING_BYTES: u64 = 1_100_000_000;

/// Pictures of one request.
pub const PICTURES: usize = 64;

/// Bytes of one JSON file: configuration or weight index.
pub const JSON_BYTES: u64 = 64 << 20;

/// Files of one repository on a hub.
pub const LISTED_FILES: usize = 100_000;

/// Bytes of a branch's or tag's file in a cache: a commit.
pub const REFERENCE_BYTES: u64 = 1_024;

/// Bytes of a tokenizer file (the largest published one is 20 MB).
pub const VOCABULARY_BYTES: u64 = 128 << 20;

/// Tokens of one vocabulary: four times those of the largest published ones.
pub const VOCABULARY_TOKENS: usize = 1 << 20;

/// Tokens beside the pieces of a vocabulary, such as special ones: ten times those of the published ones with most.
pub const VOCABULARY_ADDED: usize = 1 << 16;

/// Bytes of one token of a vocabulary whose merges are found from its tokens.
pub const TOKEN_BYTES: usize = 1_024;

/// Bytes that are looked at to find the merges of a vocabulary from its tokens: for each token the square of its length.
pub const MERGING_BYTES: usize = 1 << 27;

/// Bytes of one file of a text corpus, and of one font file (the largest published CJK collections have about 100 MB).
pub const CORPUS_FILE_BYTES: u64 = 256 << 20;
pub const FONT_BYTES: u64 = 256 << 20;

/// Examples, pages or lines that a recipe of training takes at a time.
pub const TRAINING_BATCH: usize = 1 << 16;

/// Threads that a recipe of training asks for.
pub const TRAINING_SHARDS: usize = 1_024;

/// Characters, visual tokens and frames of one line of a recipe of training.
pub const TRAINING_LINE: usize = 1 << 12;

/// Bytes of a chat template's source.
pub const TEMPLATE_BYTES: usize = 128 << 10;

/// Largest budget of one rendering of a chat template: an instruction costs one, and so do 64 bytes of text that are made.
pub const TEMPLATE_FUEL: u64 = 1_000_000;

/// Nodes of one value that a chat template makes: every item of a list or a map, and every 64 bytes of text.
pub const TEMPLATE_NODES: u64 = 1 << 20;

/// Bytes of a rendered prompt, and of one text to be tokenised.
pub const TEXT_BYTES: usize = 16 << 20;

/// Ids of one prompt, places of pictures included.
pub const PROMPT_IDS: usize = 1 << 22;

/// Requests that one engine runs at a time.
pub const RUNNING_REQUESTS: usize = 256;

/// Requests that wait in one engine.
pub const WAITING_REQUESTS: usize = 1_024;

/// Blocks of one KV cache. Callers who know their memory set less.
pub const KV_BLOCKS: usize = 1 << 20;

/// Hypotheses that a search keeps of one request, and answers that are ranked in full.
pub const HYPOTHESES: usize = 256;

/// Bytes of the header of a weight file: hundreds of bytes for each of a hundred thousand tensors.
pub const WEIGHTS_HEADER_BYTES: u64 = 64 << 20;

/// Tensors of one weight file.
pub const TENSORS: usize = 1 << 18;

/// Keys of the metadata of one weight file. Published files have about fifty.
pub const METADATA_KEYS: usize = 1 << 16;

/// Axes of one tensor.
pub const TENSOR_AXES: usize = 8;

/// Shards of one checkpoint.
pub const SHARDS: usize = 4_096;

/// Bytes of the pickle of a torch checkpoint: about 500 for each tensor, and what was saved beside the tensors.
pub const PICKLE_BYTES: usize = 64 << 20;

/// Opcodes of one pickle, and so the values that it can make: about 30 for each tensor.
pub const PICKLE_OPCODES: usize = 1 << 22;

/// Marks of one pickle that are open at a time. Real checkpoints open about ten.
pub const PICKLE_MARKS: usize = 1_000;

/// Values in the memo of one pickle: about ten for each tensor.
pub const PICKLE_MEMO: usize = 1 << 21;

/// Bytes of one text, byte string or integer of a pickle.
pub const PICKLE_TEXT_BYTES: usize = 1 << 20;

/// Files in the zip archive of a torch checkpoint: one for each storage and a handful besides.
pub const ARCHIVE_FILES: usize = TENSORS + 64;

/// The bounds of one picture, to be passed to its decoder.
///
/// All are inclusive: a picture of exactly `side_px` is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the encoded file. Default [`ENCODED_BYTES`].
    pub encoded_bytes: u64,
    /// Width times height. Default [`PICTURE_PX`].
    pub picture_px: u64,
    /// The longer side. Default [`SIDE_PX`].
    pub side_px: u32,
    /// The longer side divided by the shorter one. Default [`ASPECT_RATIO`].
    pub aspect_ratio: u32,
    /// Memory the decoder may allocate. Default [`DECODE_BYTES`].
    pub decode_bytes: u64,
    /// Pictures of one request. Default [`PICTURES`].
    pub pictures: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            encoded_bytes: ENCODED_BYTES,
            picture_px: PICTURE_PX,
            side_px: SIDE_PX,
            aspect_ratio: ASPECT_RATIO,
            decode_bytes: DECODE_BYTES,
            pictures: PICTURES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fit_together() {
        let limits = Limits::default();
        // A picture at the pixel bound, decoded at 16 bits and four channels, fits the decoder's memory.
        assert!(limits.picture_px * 8 <= limits.decode_bytes);
        // A square picture at the pixel bound is within the side bound.
        assert!(limits.picture_px <= u64::from(limits.side_px) * u64::from(limits.side_px));
    }
}
