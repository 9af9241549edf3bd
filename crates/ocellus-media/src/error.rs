//! Everything that can be wrong with a picture or with a recipe, one sentence each.

/// Why a picture or a preprocessing recipe was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// No bytes at all.
    #[error("the picture is empty: expected an image file, found 0 bytes")]
    Empty,
    /// The encoded file is over its bound.
    #[error("the picture file is too large: expected at most {allowed} bytes, found {found}")]
    TooManyBytes { found: u64, allowed: u64 },
    /// The content is not an image file of any kind we know.
    #[error("not a picture: expected JPEG, PNG, WebP, GIF, BMP or TIFF content, found {found}")]
    NotAPicture { found: String },
    /// An image file of a kind we do not read.
    #[error("picture format not supported: expected JPEG, PNG, WebP, GIF, BMP or TIFF, found {found}")]
    UnsupportedFormat { found: &'static str },
    /// The decoder does not know this kind of pixel or compression.
    #[error("{format} picture not supported: expected 8-bit or 16-bit grey or RGB pixels, found {found}")]
    UnsupportedPixels { format: &'static str, found: String },
    /// Cut off, or not what its header promises.
    #[error("the {format} picture is damaged or cut off: expected a complete file, found: {found}")]
    Damaged { format: &'static str, found: String },
    /// A page that the file does not have. Counted from 0 here, from 1 in the sentence.
    #[error("the file has no such page: expected a page of 1 to {pages}, found {}", page + 1)]
    NoSuchPage { page: u32, pages: u32 },
    /// A side is zero.
    #[error("the picture has no pixels: expected sides of at least 1 px, found {width} x {height} px")]
    NoPixels { width: u32, height: u32 },
    /// A side is over its bound.
    #[error("the picture is too long: expected sides of at most {allowed} px, found {width} x {height} px")]
    SideTooLong { width: u32, height: u32, allowed: u32 },
    /// Width times height is over its bound.
    #[error(
        "the picture is too large: expected at most {allowed} pixels, found {width} x {height} = {found}"
    )]
    TooManyPixels {
        width: u32,
        height: u32,
        found: u64,
        allowed: u64,
    },
    /// Longer side over shorter side is over its bound.
    #[error(
        "the picture is too narrow: expected an aspect ratio of at most {allowed}, found {width} x {height} px"
    )]
    TooNarrow { width: u32, height: u32, allowed: u32 },
    /// Decoding would take more memory than allowed.
    #[error(
        "the {format} picture needs too much memory to decode: expected at most {allowed} bytes, found {found}"
    )]
    TooMuchMemory {
        format: &'static str,
        found: String,
        allowed: u64,
    },
    /// A picture that must not be resized does not fit the patch grid.
    #[error(
        "the picture does not fit the grid: expected sides in multiples of {multiple} px, found {width} x {height} px"
    )]
    OffGrid { width: u32, height: u32, multiple: u32 },
    /// The rule of the target size leaves nothing of a side.
    #[error(
        "the picture is too narrow for this model: expected sides of at least 1 px after the resize, found \
         {} x {} px, from {width} x {height} px", resized.0, resized.1
    )]
    SideVanishes {
        width: u32,
        height: u32,
        /// Width and height that the rule asks for.
        resized: (u32, u32),
    },
    /// The rule of the target size asks for more pixels than are ever resized to.
    #[error(
        "the picture would be too large after the resize: expected at most {allowed} pixels, found {} x {} px, \
         from {width} x {height} px", resized.0, resized.1
    )]
    ResizedTooLarge {
        width: u32,
        height: u32,
        /// Width and height that the rule asks for.
        resized: (u32, u32),
        allowed: u64,
    },
    /// A raster whose buffer is not `width * height * channels` long.
    #[error(
        "pixel buffer of the wrong length: expected {expected} bytes for {width} x {height} px, found {found}"
    )]
    BufferLength {
        width: u32,
        height: u32,
        expected: u64,
        found: u64,
    },
    /// A video without frames.
    #[error("the video has no frames: expected at least 1, found 0")]
    NoFrames,
    /// Frames of one video that differ in size.
    #[error(
        "frame {index} of the video differs in size: expected {} x {} px like the first, found {} x {} px",
        expected.0, expected.1, found.0, found.1
    )]
    FrameSize {
        index: usize,
        expected: (u32, u32),
        found: (u32, u32),
    },
    /// `preprocessor_config.json` is not a JSON object.
    #[error("the preprocessor configuration cannot be read: expected a JSON object, found: {found}")]
    RecipeJson { found: String },
    /// A field of `preprocessor_config.json` that we cannot honour.
    #[error("preprocessor configuration, field `{field}`: expected {expected}, found {found}")]
    RecipeField {
        field: String,
        expected: String,
        found: String,
    },
}
