//! Where a layer's tensors come from: a path of names over a [`Source`].
//!
//! The same layer code serves inference ([`Frozen`]: tensors of a file, converted once) and training ([`Trainable`]: candle
//! variables that a backward pass finds). Both remember what was asked for, so that a caller can say which tensors of a
//! file nobody took.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use ocellus_kernels::attention::KvWidth;
use ocellus_kernels::gemm::{PackedB, Precision};
use ocellus_kernels::matrix::Matrix;
use ocellus_kernels::quant::{Bits, Format, PackedQ};
use ocellus_weights::{Integers, Packing, View, Weights, WeightsError};

use crate::measured::{Columns, Measured};
use crate::rows::{Rows, Table};
use crate::stored::{self, Kept, Stored};

/// Why a model could not be put together from its tensors.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the checkpoint has no tensor `{name}`")]
    Missing { name: String },
    #[error("tensor `{name}` has shape {found:?}, the config asks for {expected:?}")]
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error("nobody takes the tensors {}{}", .names.join(", "), if *.more > 0 { format!(" and {} more", .more) } else { String::new() })]
    Untaken { names: Vec<String>, more: usize },
    #[error("the packed tensor `{name}` cannot be used: {reason}")]
    Packed { name: String, reason: String },
    #[error(
        "weights that were rounded to packed integers cannot be trained: start from those that they were made of"
    )]
    Integers,
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("{0}")]
    Tensor(#[from] candle_core::Error),
}

/// A set of named tensors that layers load from.
pub trait Source {
    /// The tensor `name`, checked against `shape`.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError>;
    /// The tensor `name` as something that training changes by other means than gradients, if at all.
    fn state(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        self.tensor(name, shape)
    }
    /// The `count` whole numbers of a counter or an index `name`.
    fn integers(&self, name: &str, count: usize) -> Result<Vec<i64>, LoadError>;
    /// Whether the source has a tensor of this name (without taking it).
    fn contains(&self, name: &str) -> bool;
    /// The matrix `name` as it is stored, checked against `shape`; nothing where tensors are wanted as they are.
    fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Option<Stored>, LoadError> {
        let _ = (name, shape);
        Ok(None)
    }
    /// Is told that the stored bytes of `name` are not needed for now.
    fn release(&self, name: &str) {
        let _ = name;
    }
    /// Is told how integers are packed that stand in the checkpoint for matrices.
    fn packed_as(&self, packing: Packing) -> Result<(), LoadError> {
        let _ = packing;
        Err(LoadError::Integers)
    }
    /// Is told what the matrix `name` was packed to.
    fn packed(&self, name: &str, matrix: &Arc<Matrix>) {
        let _ = (name, matrix);
    }
    /// How much an error in each column of the matrix `name` counts, where that is known.
    fn importance(&self, name: &str) -> Option<Arc<[f32]>> {
        let _ = name;
        None
    }
    /// Where what goes into matrices is measured, where it is: before the first rounding, whose importance comes from it.
    fn measured(&self) -> Option<&Measured> {
        None
    }
    /// Whether gradients are wanted: layers then keep their tensors as they are instead of packing them.
    fn trainable(&self) -> bool;
}

/// A source, a name prefix, and the precision in which matrix products are computed on the CPU.
#[derive(Clone)]
pub struct Params {
    source: Rc<dyn Source>,
    prefix: String,
    /// Names of ours and of the checkpoint, for the part of the path behind `named_from`.
    names: Names,
    named_from: usize,
    precision: Precision,
    /// What matrices are rounded to on the CPU, where they are.
    format: Option<Format>,
    /// How keys and values are kept on the CPU.
    kv_width: KvWidth,
    /// Tensors are asked for as states.
    untrained: bool,
    /// Another full name that a tensor is asked for under.
    shared: fn(&str) -> Option<String>,
}

/// Pairs of our name and the checkpoint's, each one or several components of a path; an empty name of the checkpoint's
/// leaves the component out. The first pair that fits at a component counts.
pub type Names = &'static [(&'static str, &'static str)];

impl Params {
    pub fn new(source: Rc<dyn Source>, precision: Precision) -> Self {
        Self {
            source,
            prefix: String::new(),
            names: &[],
            named_from: 0,
            precision,
            format: None,
            kv_width: KvWidth::Full,
            untrained: false,
            shared: |_| None,
        }
    }

    /// The same place, whose matrices are rounded to `format` for inference on the CPU.
    pub fn rounded(&self, format: Format) -> Self {
        Self {
            format: Some(format),
            ..self.clone()
        }
    }

    /// The same place, below which keys and values are kept so on the CPU.
    pub fn keeping(&self, kv_width: KvWidth) -> Self {
        Self {
            kv_width,
            ..self.clone()
        }
    }

    /// The same place, whose matrices are not rounded to fewer bits than those of `least`.
    pub fn at_least(&self, least: Format) -> Self {
        Self {
            format: self.format.map(|f| if f.bits < least.bits { least } else { f }),
            ..self.clone()
        }
    }

    /// The same place, below which layers' own names stand for the checkpoint's. Replaces names that were given above.
    pub fn named(&self, names: Names) -> Self {
        let prefix = self.path("");
        Self {
            names,
            named_from: prefix.len(),
            prefix,
            ..self.clone()
        }
    }

    /// The checkpoint's full name of `name` under this prefix.
    fn path(&self, name: &str) -> String {
        let (fixed, ours) = self.prefix.split_at(self.named_from);
        let whole = format!("{ours}{name}");
        let parts: Vec<&str> = whole.split('.').collect();
        let (mut theirs, mut at) = (Vec::with_capacity(parts.len()), 0);
        while at < parts.len() {
            let fits = |pair: &&(&str, &str)| {
                let mut ours = pair.0.split('.').enumerate();
                ours.all(|(i, part)| parts.get(at + i) == Some(&part))
            };
            match self.names.iter().find(fits) {
                Some((ours, name)) => {
                    theirs.extend(Some(*name).filter(|n| !n.is_empty()));
                    at += ours.split('.').count();
                }
                None => {
                    theirs.push(parts[at]);
                    at += 1;
                }
            }
        }
        format!("{fixed}{}", theirs.join("."))
    }

    /// The parameters under `name.`.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self {
            prefix: format!("{}{name}.", self.prefix),
            ..self.clone()
        }
    }

    /// The same place, whose tensors no gradient changes: a teacher's weights, a queue.
    pub fn untrained(&self) -> Self {
        Self {
            untrained: true,
            ..self.clone()
        }
    }

    /// The same place, where a tensor for whose full name `with` gives another is that other one: two parts of a model that
    /// share tensors.
    pub fn sharing(&self, with: fn(&str) -> Option<String>) -> Self {
        Self {
            shared: with,
            ..self.clone()
        }
    }

    /// The name that the source is asked for.
    fn full(&self, name: &str) -> String {
        let name = self.path(name);
        (self.shared)(&name).unwrap_or(name)
    }

    /// The tensor `name` under this prefix; an error names it in full.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let name = self.full(name);
        match self.untrained {
            true => self.source.state(&name, shape),
            false => self.source.tensor(&name, shape),
        }
    }

    /// The matrix `name` under this prefix as it is stored, where the source gives it so.
    pub(crate) fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Option<Stored>, LoadError> {
        self.source.stored(&self.full(name), shape)
    }

    /// A packed matrix `weight` of the source for products: out of its file, into memory.
    pub(crate) fn resident(&self, packed: &PackedQ) -> Arc<Matrix> {
        let matrix = Arc::new(Matrix::Quantized(packed.resident()));
        self.source.release(&self.full("weight"));
        matrix
    }

    /// The table `name [rows, width]` under this prefix.
    pub fn table(&self, name: &str, shape: [usize; 2]) -> Result<Table, LoadError> {
        Ok(match self.stored(name, shape)? {
            Some(Stored::Rows(rows)) => Table::Stored(rows),
            Some(Stored::Packed(packed)) => Table::Packed(packed),
            None => Table::Tensor(self.tensor(name, &shape)?),
        })
    }

    /// Where what goes into matrices here is measured: into those that will be rounded below 8 bits, and are not yet.
    fn measured(&self) -> Option<&Measured> {
        let few = self.format.is_some_and(|format| format.bits < Bits::Eight);
        self.source.measured().filter(|_| few)
    }

    /// Where what goes into the matrix `weight` is measured, under the name that it is packed by.
    pub(crate) fn columns(&self, inputs: usize) -> Option<Arc<Columns>> {
        let measured = self.measured()?;
        Some(measured.columns(self.full("weight"), inputs))
    }

    /// Packs the matrix `weight [outputs, inputs]`, whose rows `read(first row, into)` gives, at the width that is asked for
    /// here.
    pub(crate) fn pack(&self, shape: (usize, usize), read: impl Fn(usize, &mut [f32]) + Sync) -> Arc<Matrix> {
        Arc::new(match self.format.filter(|_| self.measured().is_none()) {
            Some(format) => {
                let importance = self
                    .source
                    .importance(&self.full("weight"))
                    .filter(|i| i.len() == shape.1);
                Matrix::Quantized(PackedQ::quantize(format, shape, importance.as_deref(), read))
            }
            None => Matrix::Dense(PackedB::from_rows(self.precision, shape, read)),
        })
    }

    /// As [`pack`](Self::pack), of a matrix that stands in the checkpoint as it is packed.
    pub(crate) fn pack_stored(&self, shape: (usize, usize), rows: &Rows) -> Arc<Matrix> {
        // Where nothing else is asked for, weights of few bits stay as they are.
        let own = match self.format {
            None => rows
                .few_bits(shape.0)
                .map(|packed| Arc::new(Matrix::Quantized(packed))),
            Some(_) => None,
        };
        let matrix = own.unwrap_or_else(|| self.pack(shape, |first, into| rows.read(first, into)));
        self.source.packed(&self.full("weight"), &matrix);
        matrix
    }

    /// Says how integers are packed that stand in the checkpoint for matrices, where they do.
    pub fn packed_as(&self, packing: Option<Packing>) -> Result<(), LoadError> {
        packing.map_or(Ok(()), |packing| self.source.packed_as(packing))
    }

    /// The `count` whole numbers of `name` under this prefix.
    pub fn integers(&self, name: &str, count: usize) -> Result<Vec<i64>, LoadError> {
        self.source.integers(&self.full(name), count)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.source.contains(&self.full(name))
    }

    pub fn trainable(&self) -> bool {
        self.source.trainable()
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub(crate) fn kv_width(&self) -> KvWidth {
        self.kv_width
    }
}

/// Tensors of a checkpoint for inference, on one device and in one type.
pub struct Frozen {
    weights: Arc<Weights>,
    device: Device,
    dtype: DType,
    taken: RefCell<BTreeSet<String>>,
    /// How integers that stand for matrices are packed, where there are any.
    packing: Cell<Option<Packing>>,
    importance: BTreeMap<String, Arc<[f32]>>,
    measured: Option<Arc<Measured>>,
    /// What was packed, for whoever wants it.
    kept: Option<RefCell<Vec<Kept>>>,
}

impl Frozen {
    /// The same, which rounds weights by how much their columns count (see [`Source::importance`]) and keeps what it packs for
    /// [`kept`](Self::kept).
    pub fn keeping(self, importance: BTreeMap<String, Arc<[f32]>>) -> Self {
        Self {
            importance,
            kept: Some(RefCell::default()),
            ..self
        }
    }

    /// The same, whose matrices keep what goes into them in `measured` instead of being rounded below 8 bits.
    pub fn measuring(self, measured: Arc<Measured>) -> Self {
        Self {
            measured: Some(measured),
            ..self
        }
    }

    /// Every matrix that was packed so far.
    pub fn kept(&self) -> Vec<Kept> {
        self.kept
            .as_ref()
            .map(|kept| kept.borrow().clone())
            .unwrap_or_default()
    }

    pub fn new(weights: Arc<Weights>, device: Device, dtype: DType) -> Self {
        Self {
            weights,
            device,
            dtype,
            taken: RefCell::default(),
            packing: Cell::default(),
            importance: BTreeMap::new(),
            measured: None,
            kept: None,
        }
    }

    /// The packed integers that stand for `name`, where they do.
    fn unpacked(&self, name: &str, shape: &[usize]) -> Result<Option<Integers>, LoadError> {
        let (Some(packing), &[rows, width]) = (self.packing.get(), shape) else {
            return Ok(None);
        };
        if self.weights.contains(name) {
            return Ok(None);
        }
        let Some(names) = stored::integers(&self.weights, name) else {
            return Ok(None);
        };
        let parts = [&names.values, &names.zeros, &names.scales].into_iter();
        let parts: Vec<String> = parts.chain(&names.groups).cloned().collect();
        let integers = Integers::open(self.weights.clone(), names, [rows, width], packing)?;
        let mut taken = self.taken.borrow_mut();
        taken.extend(parts);
        taken.extend(stored::empty_bias(&self.weights, name));
        Ok(Some(integers))
    }

    /// Fails when the checkpoint holds a tensor that nobody took, except those for which `ignored` holds.
    pub fn finish(&self, ignored: impl Fn(&str) -> bool) -> Result<(), LoadError> {
        untaken(&self.weights, &self.taken.borrow(), ignored)
    }
}

fn untaken(
    weights: &Weights,
    taken: &BTreeSet<String>,
    ignored: impl Fn(&str) -> bool,
) -> Result<(), LoadError> {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = weights
        .names()
        .filter(|n| !taken.contains(*n) && !ignored(n))
        .map(str::to_owned)
        .collect();
    names.sort();
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    Err(LoadError::Untaken { names, more })
}

fn checked<'w>(weights: &'w Weights, name: &str, shape: &[usize]) -> Result<View<'w>, LoadError> {
    if !weights.contains(name) {
        return Err(LoadError::Missing {
            name: name.to_owned(),
        });
    }
    let view = weights.view(name)?;
    // A convolution kernel is the same bytes as the matrix it is used as.
    let flat = shape.len() == 2
        && view.shape.len() > 2
        && view.shape[0] == shape[0]
        && view.shape[1..].iter().product::<usize>() == shape[1];
    // Some publishers write vectors and tables with axes of length 1 around them.
    let real = |shape: &[usize]| shape.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    if view.shape != shape && !flat && real(&view.shape) != real(shape) {
        return Err(LoadError::Shape {
            name: name.to_owned(),
            expected: shape.to_vec(),
            found: view.shape.clone(),
        });
    }
    Ok(view)
}

fn read(weights: &Weights, name: &str, shape: &[usize], device: &Device) -> Result<Tensor, LoadError> {
    let values = checked(weights, name, shape)?.to_f32()?;
    weights.release(name);
    Ok(Tensor::from_vec(values, shape, device)?)
}

fn read_integers(weights: &Weights, name: &str, count: usize) -> Result<Vec<i64>, LoadError> {
    if !weights.contains(name) {
        return Err(LoadError::Missing {
            name: name.to_owned(),
        });
    }
    let view = weights.view(name)?;
    if view.elements() != count {
        return Err(LoadError::Shape {
            name: name.to_owned(),
            expected: vec![count],
            found: view.shape.clone(),
        });
    }
    Ok(view.to_i64()?)
}

impl Source for Frozen {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        if let Some(integers) = self.unpacked(name, shape)? {
            let mut values = vec![0.0; shape.iter().product()];
            integers.read_f32(0, &mut values);
            integers.release();
            return Ok(Tensor::from_vec(values, shape, &self.device)?.to_dtype(self.dtype)?);
        }
        let tensor = read(&self.weights, name, shape, &self.device)?.to_dtype(self.dtype)?;
        self.taken.borrow_mut().insert(name.to_owned());
        Ok(tensor)
    }

    fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Option<Stored>, LoadError> {
        if !self.device.is_cpu() || self.dtype != DType::F32 {
            return Ok(None);
        }
        if let Some(packed) = stored::packed(&self.weights, name, shape)? {
            self.taken.borrow_mut().insert(name.to_owned());
            return Ok(Some(Stored::Packed(packed)));
        }
        if let Some(integers) = self.unpacked(name, &shape)? {
            let rows = Rows::of_integers(self.weights.clone(), name.to_owned(), shape[1], integers);
            return Ok(Some(Stored::Rows(Box::new(rows))));
        }
        checked(&self.weights, name, &shape)?;
        self.taken.borrow_mut().insert(name.to_owned());
        let rows = Rows::new(self.weights.clone(), name.to_owned(), shape[1])?;
        Ok(Some(Stored::Rows(Box::new(rows))))
    }

    fn release(&self, name: &str) {
        self.weights.release(name);
    }

    fn packed(&self, name: &str, matrix: &Arc<Matrix>) {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().push((name.to_owned(), matrix.clone()));
        }
    }

    fn importance(&self, name: &str) -> Option<Arc<[f32]>> {
        self.importance.get(name).cloned()
    }

    fn measured(&self) -> Option<&Measured> {
        self.measured.as_deref()
    }

    fn integers(&self, name: &str, count: usize) -> Result<Vec<i64>, LoadError> {
        let values = read_integers(&self.weights, name, count)?;
        self.taken.borrow_mut().insert(name.to_owned());
        Ok(values)
    }

    fn contains(&self, name: &str) -> bool {
        let unpacked = || self.packing.get().and(stored::integers(&self.weights, name));
        self.weights.contains(name) || unpacked().is_some()
    }

    fn packed_as(&self, packing: Packing) -> Result<(), LoadError> {
        self.packing.set(Some(packing));
        Ok(())
    }

    fn trainable(&self) -> bool {
        false
    }
}

/// Variables for training, in f32 on one device: from a checkpoint, or drawn at random.
pub struct Trainable {
    device: Device,
    start: Start,
    /// Which tensors gradients change; the others are no variables.
    trains: fn(&str) -> bool,
    fixed: RefCell<BTreeMap<String, Tensor>>,
    vars: RefCell<BTreeMap<String, Var>>,
    states: RefCell<BTreeMap<String, Var>>,
    counters: RefCell<BTreeSet<String>>,
}

enum Start {
    From(Weights),
    Random { seed: u64, std: f32 },
}

impl Trainable {
    /// Continues from the tensors of a checkpoint.
    pub fn from_weights(weights: Weights, device: Device) -> Self {
        Self::starting(Start::From(weights), device)
    }

    fn starting(start: Start, device: Device) -> Self {
        Self {
            device,
            start,
            trains: |_| true,
            fixed: RefCell::default(),
            vars: RefCell::default(),
            states: RefCell::default(),
            counters: RefCell::default(),
        }
    }

    /// Starts at random: matrices normal with deviation `std`, other vectors zero, `*norm*`/`ln*` weights one. A tensor's
    /// values depend on `seed` and its name alone.
    pub fn random(seed: u64, std: f32, device: Device) -> Self {
        Self::starting(Start::Random { seed, std }, device)
    }

    /// The same source, of which only the tensors that `trains` names become variables; the rest stays as it starts.
    pub fn only(self, trains: fn(&str) -> bool) -> Self {
        Self { trains, ..self }
    }

    /// Every tensor that was asked for and that nothing changes, by name.
    pub fn fixed(&self) -> BTreeMap<String, Tensor> {
        self.fixed.borrow().clone()
    }

    /// Every variable that was asked for and that gradients change, by name.
    pub fn vars(&self) -> BTreeMap<String, Var> {
        self.vars.borrow().clone()
    }

    /// Every variable that was asked for as a state, by name.
    pub fn states(&self) -> BTreeMap<String, Var> {
        self.states.borrow().clone()
    }

    /// As [`Frozen::finish`]; nothing can be left over at random.
    pub fn finish(&self, ignored: impl Fn(&str) -> bool) -> Result<(), LoadError> {
        match &self.start {
            Start::From(weights) => {
                let (vars, states) = (self.vars.borrow(), self.states.borrow());
                let mut taken: BTreeSet<String> = vars.keys().chain(states.keys()).cloned().collect();
                taken.extend(self.fixed.borrow().keys().cloned());
                taken.extend(self.counters.borrow().iter().cloned());
                untaken(weights, &taken, ignored)
            }
            Start::Random { .. } => Ok(()),
        }
    }
}

impl Trainable {
    /// What the tensor `name` is before training.
    fn start(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        match &self.start {
            Start::From(weights) => read(weights, name, shape, &self.device),
            Start::Random { seed, std } => Ok(Tensor::from_vec(
                draw(*seed, name, shape, *std),
                shape,
                &self.device,
            )?),
        }
    }

    /// The variable `name` among `kept`, made when it is not there yet.
    fn variable(
        &self,
        kept: &RefCell<BTreeMap<String, Var>>,
        name: &str,
        shape: &[usize],
    ) -> Result<Tensor, LoadError> {
        if let Some(var) = kept.borrow().get(name) {
            return Ok(var.as_tensor().clone());
        }
        let var = Var::from_tensor(&self.start(name, shape)?)?;
        kept.borrow_mut().insert(name.to_owned(), var.clone());
        Ok(var.as_tensor().clone())
    }
}

impl Source for Trainable {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        if (self.trains)(name) {
            return self.variable(&self.vars, name, shape);
        }
        if let Some(fixed) = self.fixed.borrow().get(name) {
            return Ok(fixed.clone());
        }
        let fixed = self.start(name, shape)?;
        self.fixed.borrow_mut().insert(name.to_owned(), fixed.clone());
        Ok(fixed)
    }

    fn state(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        self.variable(&self.states, name, shape)
    }

    fn integers(&self, name: &str, count: usize) -> Result<Vec<i64>, LoadError> {
        let values = match &self.start {
            Start::From(weights) => read_integers(weights, name, count)?,
            Start::Random { .. } => vec![0; count],
        };
        self.counters.borrow_mut().insert(name.to_owned());
        Ok(values)
    }

    fn contains(&self, name: &str) -> bool {
        match &self.start {
            Start::From(weights) => weights.contains(name),
            Start::Random { .. } => false,
        }
    }

    fn trainable(&self) -> bool {
        true
    }
}

fn draw(seed: u64, name: &str, shape: &[usize], std: f32) -> Vec<f32> {
    let count = shape.iter().product();
    if shape.len() == 1 {
        let one = name.ends_with("weight");
        return vec![if one { 1.0 } else { 0.0 }; count];
    }
    // FNV-1a of the name, then splitmix64: a stream of its own for every tensor.
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count)
        .map(|_| {
            // Box-Muller; 1 - u keeps the logarithm finite.
            let (u, v) = (1.0 - uniform(), uniform());
            ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32 * std
        })
        .collect()
}
