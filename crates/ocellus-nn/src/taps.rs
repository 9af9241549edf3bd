//! Named intermediate results, in the order in which they are computed.

use candle_core::Tensor;

/// Receives `(name, tensor)` at every stage of a forward pass; the parity check compares them with a reference, and a
/// trainer takes the ones it has a loss on. [`Taps::none`] costs nothing.
pub struct Taps<'a>(Option<&'a mut Listener<'a>>);

/// The listener.
pub type Listener<'a> = dyn FnMut(&str, &Tensor) + 'a;

impl<'a> Taps<'a> {
    /// No listener.
    pub fn none() -> Self {
        Self(None)
    }

    /// Calls `listen` at every stage.
    pub fn new(listen: &'a mut Listener<'a>) -> Self {
        Self(Some(listen))
    }

    /// Offers the tensor of the stage `name`.
    pub fn tap(&mut self, name: &str, tensor: &Tensor) {
        if let Some(listen) = &mut self.0 {
            listen(name, tensor);
        }
    }

    /// Offers the tensor of layer `index` of the stage `name`, as `name_index`.
    pub fn tap_layer(&mut self, name: &str, index: usize, tensor: &Tensor) {
        if let Some(listen) = &mut self.0 {
            listen(&format!("{name}_{index}"), tensor);
        }
    }
}
