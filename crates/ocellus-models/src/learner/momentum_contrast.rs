//! Momentum contrast (He et al. 2020, section 3.2): an EMA teacher, and queues of the features that it gave the last pairs.

use candle_core::Tensor;

/// Features of the last pictures and texts, from the teacher.
#[derive(Clone)]
pub struct Queues {
    /// `[features, entries]`, one column an entry.
    pub pictures: Tensor,
    pub texts: Tensor,
    /// The column that is overwritten next.
    pub next: usize,
}

/// A model with an EMA teacher.
pub trait MomentumContrast {
    /// The temperature that similarities are divided by, a scalar; a variable in training.
    fn temperature(&self) -> &Tensor;
    /// The name of the teacher's tensor that follows the student's tensor `name`, if one does.
    fn teacher_tensor(&self, name: &str) -> Option<String>;
    /// The queues as they were loaded.
    fn queues(&self) -> &Queues;
}
