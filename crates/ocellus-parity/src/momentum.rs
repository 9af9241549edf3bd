//! Task `loss` for a model with an EMA teacher: one step of contrast, matching and masked words up to the gradients.

use std::rc::Rc;

use candle_core::Tensor;
use ocellus_models::learner::momentum_distillation::MomentumDistillation;
use ocellus_models::{Given, ModelError, VisualInput};
use ocellus_nn::Trainable;
use ocellus_nn::ops::loss::IGNORE;
use ocellus_train::losses::momentum_distillation::{
    MomentumSettings, NegativeChoice, Negatives, Pairs, step,
};

use crate::array::Array;
use crate::case::Case;
use crate::error::CaseError;
use crate::gradients::{put_gradients, shapes};
use crate::produced::Produced;
use crate::trace;

/// Whether the case is such a step: its negatives are given.
pub fn fits(case: &Case) -> bool {
    ["neg_image_idx", "neg_text_idx"]
        .iter()
        .all(|name| case.has_input(name))
}

pub fn run(
    case: &Case,
    (model, patch_size): (&dyn MomentumDistillation, usize),
    source: &Rc<Trainable>,
    out: &mut Produced,
) -> Result<(), CaseError> {
    let given = trace::given(case)?;
    let (patches, grids) = given.patches("image", patch_size, None)?;
    let visual = VisualInput::Pictures { patches, grids };
    let texts = given.rows("input_ids", "attention_mask")?;
    let masked = given.rows("mlm_input_ids", "attention_mask")?;
    let pairs = Pairs {
        visual: &visual,
        texts: &texts.split(),
        masked: &masked.split(),
        hidden: &hidden(case, &masked.places)?,
    };
    let negatives = Negatives {
        pictures: chosen(case, &given, "neg_image_idx")?,
        texts: chosen(case, &given, "neg_text_idx")?,
    };
    let settings = MomentumSettings {
        alpha: number(case, "alpha")?,
        momentum: number(case, "momentum")?,
    };
    let (vars, states, mut queues) = (source.vars(), source.states(), model.queues().clone());
    let losses = step(
        model,
        (&vars, &states),
        &mut queues,
        &pairs,
        NegativeChoice::Given(negatives),
        settings,
    )?;
    let mut put = |name: &str, tensor: &Tensor| {
        out.put(name, Array::from_tensor(tensor)?);
        Ok::<_, CaseError>(())
    };
    put("loss_mlm", &losses.words)?;
    put("loss_ita", &losses.contrast)?;
    put("loss_itm", &losses.matching)?;
    put("neg_image_weights", &losses.picture_weights)?;
    put("neg_text_weights", &losses.text_weights)?;
    put("image_queue_after", &queues.pictures)?;
    put("text_queue_after", &queues.texts)?;
    out.put("queue_ptr_after", Array::counts([queues.next]));

    let store = losses.total()?.backward()?;
    let gradient = |tensor: &Tensor| match store.get(tensor) {
        Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>(),
        None => Ok(vec![0.0; tensor.elem_count()]),
    };
    let gradients: Vec<(String, Vec<f32>)> = vars
        .iter()
        .map(|(name, var)| Ok((name.clone(), gradient(var.as_tensor())?)))
        .collect::<Result<_, candle_core::Error>>()?;
    put_gradients(case, gradients, out)?;
    let shapes = shapes(case)?;
    for (name, var) in states {
        let shape = shapes.get(&name).cloned().unwrap_or_default();
        let values = var.as_tensor().flatten_all()?.to_vec1::<f32>()?;
        out.put(format!("after/{name}"), Array::floats(shape, values));
    }
    Ok(())
}

/// The words behind the masks at these places; negative labels are no masks.
fn hidden(case: &Case, places: &[usize]) -> Result<Vec<u32>, CaseError> {
    let (shape, labels) = case.integers("mlm_labels", 2)?;
    let wrong = |found: String| case.wrong_input("mlm_labels", "a label a token", found);
    let label = |place: &usize| match labels.get(*place) {
        Some(label) if *label < 0 => Ok(IGNORE),
        Some(label) => u32::try_from(*label).map_err(|_| wrong(label.to_string())),
        None => Err(wrong(format!("{shape:?}"))),
    };
    places.iter().map(label).collect()
}

fn chosen(case: &Case, given: &Given, name: &str) -> Result<Vec<usize>, CaseError> {
    let (_, values) = given.integers(name, 1)?;
    let index = |v: &i64| usize::try_from(*v).map_err(|_| case.wrong_input(name, "no negative numbers", v));
    values.iter().map(index).collect()
}

fn number(case: &Case, name: &str) -> Result<f64, CaseError> {
    let number = case.option(name, "a share")?.as_f64();
    let share = number.filter(|v| (0.0..=1.0).contains(v));
    share.ok_or_else(|| case.wrong_option(name, "a share from 0 to 1"))
}

/// A model that has no teacher.
pub fn none(family: &str) -> CaseError {
    let found = format!("one of family `{family}` without");
    CaseError::Model(ModelError::input(
        "the model",
        "one with an EMA teacher and its queues",
        found,
    ))
}
