//! Masked region modelling (Chen et al. 2020, section 3.2): masked regions are predicted from the text and the regions around them, as
//! the features that a detector gave them, as its most likely class, or as all of its class probabilities.
//!
//! A batch has one of the three objectives and no masked tokens; masked language modelling and matching have batches of their own
//! ([`single_stream`](super::single_stream)).

use candle_core::Tensor;
use ocellus_models::{MaskedRegionHead, ModelError, VisualInput};
use ocellus_nn::losses::divergence::kl_divergence;
use ocellus_nn::losses::likelihood::negative_log_likelihood;
use ocellus_nn::losses::region_class::foreground_classes;
use ocellus_nn::losses::squared_error::squared_error;

/// Texts with pictures of which some regions are masked. At least one of them has a masked region.
pub struct Hidden<'a> {
    pub visual: &'a VisualInput,
    pub texts: &'a [Vec<u32>],
    /// The masked regions of each picture.
    pub regions: &'a [Vec<usize>],
}

/// What is known of the masked regions, in the order of pictures and of their lists.
pub enum Truth<'a> {
    /// Their features, `[hidden, width]`: the mean of squared errors over all values.
    Features(&'a Tensor),
    /// The detector's probabilities of classes, `[hidden, classes]`, of which the likeliest that is no background counts: the
    /// mean cross-entropy over regions.
    LikeliestClass(&'a Tensor),
    /// The same, all of them: the divergence, its mean over regions and classes.
    Classes(&'a Tensor),
}

/// The loss of one of the tasks, a node of the graph.
pub fn masked_regions(
    model: &dyn MaskedRegionHead,
    hidden: &Hidden,
    truth: &Truth,
) -> Result<Tensor, ModelError> {
    let texts: Vec<&[u32]> = hidden.texts.iter().map(Vec::as_slice).collect();
    let regions: Vec<&[usize]> = hidden.regions.iter().map(Vec::as_slice).collect();
    if regions.iter().all(|r| r.is_empty()) {
        return Err(ModelError::input("the hidden regions", "one at least", "none"));
    }
    let guesses = model.predictions(hidden.visual, &texts, &regions)?;
    let lacks = |what: &str| ModelError::input("the model", what, "none");
    let each = match truth {
        Truth::Features(features) => {
            let guessed = guesses.features.ok_or_else(|| lacks("guesses of features"))?;
            squared_error(&guessed, fitting("features", features, &guessed)?)?
        }
        Truth::LikeliestClass(soft) => {
            let logits = guesses.classes.ok_or_else(|| lacks("guesses of classes"))?;
            let soft = fitting("probabilities", soft, &logits)?
                .flatten_all()?
                .to_vec1()?;
            negative_log_likelihood(&logits, &foreground_classes(&soft, logits.dim(1)?))?
        }
        Truth::Classes(soft) => {
            let logits = guesses.classes.ok_or_else(|| lacks("guesses of classes"))?;
            kl_divergence(&logits, fitting("probabilities", soft, &logits)?)?
        }
    };
    Ok(each.mean_all()?)
}

/// The truth, when it has the shape of the guesses.
fn fitting<'t>(what: &str, truth: &'t Tensor, guessed: &Tensor) -> Result<&'t Tensor, ModelError> {
    match truth.dims() == guessed.dims() {
        true => Ok(truth),
        false => Err(ModelError::input(
            format!("the {what} of hidden regions"),
            format!("{:?}", guessed.dims()),
            format!("{:?}", truth.dims()),
        )),
    }
}
