//! What is known of a layout of quantised matrices.

use super::matrix::QuantisedMatrix;
use super::parts::{Parts, Reason};
use super::scheme::Scheme;

/// A layout of quantised matrices.
pub(crate) struct Layout {
    /// What messages call it.
    pub name: &'static str,
    /// The end of the name of a tensor that every matrix of this layout has.
    pub mark: &'static str,
    /// Ends of the names of the other tensors that may belong to a matrix.
    pub beside: &'static [&'static str],
    /// Whether the tensors are of this layout, where others have the same mark.
    pub claims: fn(&Parts, &Scheme) -> bool,
    /// `[outputs, inputs]` of the matrix, from the types and shapes of its tensors.
    pub shape: fn(&Parts, &Scheme) -> Reason<[usize; 2]>,
    /// Reads everything but the codes; of a matrix whose shape was read before.
    pub open: fn(&Parts, &Scheme, [usize; 2]) -> Reason<QuantisedMatrix>,
}
