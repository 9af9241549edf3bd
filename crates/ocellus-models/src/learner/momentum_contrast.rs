//! Momentum contrast (He et al. 2020, section 3.2): an EMA teacher, and queues of its features of the latest pairs.

use candle_core::Tensor;

/// The teacher's features of the latest pictures and texts.
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
    /// The name of the teacher's tensor that tracks the tensor `name`, if there is one.
    fn teacher_tensor(&self, name: &str) -> Option<String>;
    /// The queues as they were loaded.
    fn queues(&self) -> &Queues;
}
