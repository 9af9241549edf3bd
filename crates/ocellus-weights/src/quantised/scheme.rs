//! What a config says of quantised matrices that their tensors do not show.

/// How matrices were quantised, as far as their tensors leave it open. What a default says is what tensors alone say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scheme {
    /// How words of small integers are read.
    pub words: Words,
    /// Weights of a row that share a scale, where rows are not cut evenly.
    pub group: Option<usize>,
    /// Rows and columns of a block that shares a scale.
    pub block: Option<[usize; 2]>,
    /// Bits of a value, where words leave it open: of each kind of matrix.
    pub bits: Vec<u8>,
    /// Bits and group of matrices in affine groups: of all, then of modules by their names.
    pub affine: Option<[usize; 2]>,
    pub modules: Vec<(String, [usize; 2])>,
}

/// How words of small integers are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// Along inputs.
    Gptq {
        /// Whether zeros are stored less one.
        zeros_less_one: bool,
    },
    /// Along outputs.
    AwqGemm,
    /// Along inputs, an output's words side by side.
    AwqGemv,
    /// The same, four outputs interleaved.
    AwqGemvFast,
}
