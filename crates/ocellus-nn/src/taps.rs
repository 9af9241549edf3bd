//! Taps: named intermediate results, in the order of computation.

use candle_core::Tensor;

/// Receives `(name, tensor)` pairs during a forward pass. Parity compares them with a reference, and a trainer uses those that it
/// has a loss on. [`Taps::none`] costs nothing.
pub struct Taps<'a>(Option<&'a mut Listener<'a>>);

/// The listener.
pub type Listener<'a> = dyn FnMut(&str, &Tensor) + 'a;

impl<'a> Taps<'a> {
    /// No listener.
    pub fn none() -> Self {
        Self(None)
    }

    /// Calls `listen` for every tap.
    pub fn new(listen: &'a mut Listener<'a>) -> Self {
        Self(Some(listen))
    }

    /// Passes a tensor to the listener under `name`.
    pub fn tap(&mut self, name: &str, tensor: &Tensor) {
        if let Some(listen) = &mut self.0 {
            listen(name, tensor);
        }
    }

    /// Passes the tensor of layer `index` to the listener as `name_index`.
    pub fn tap_layer(&mut self, name: &str, index: usize, tensor: &Tensor) {
        if let Some(listen) = &mut self.0 {
            listen(&format!("{name}_{index}"), tensor);
        }
    }
}
