//! How a model is computed, and models put together that way.

use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device as Place};
use ocellus_models::families::Load;
use ocellus_models::{ConfigFile, Family, Model, ModelError, Trace, find, quantisation};
use ocellus_nn::{Format, Frozen, Measured, Params, Precision};
use ocellus_weights::Weights;

use crate::error::SessionError;
use crate::widths::{Activations, Device, Dtype, KvCache, Quant};

/// A caller's choice of device and dtypes. The default is f32 on the CPU, or what a quantised checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ComputeOptions {
    pub device: Device,
    /// Element type to compute in; `None` = f32 on the CPU, bf16 elsewhere. Ignored where [`quant`](Self::quant) is given.
    pub dtype: Option<Dtype>,
    /// Quantisation of the weights; `None` = not quantised.
    pub quant: Option<Quant>,
    pub activations: Activations,
    pub kv_cache: KvCache,
}

/// Device, dtype and quantisation of a model.
pub struct Compute {
    place: Place,
    dtype: DType,
    precision: Precision,
    format: Option<Format>,
    activations: Activations,
    measured: Option<Arc<Measured>>,
}

impl Compute {
    /// On the CPU, with one storage dtype.
    pub fn on_cpu(width: Quant) -> Self {
        let (precision, format) = match width {
            Quant::F32 => (Precision::F32, None),
            Quant::Bf16 => (Precision::Bf16, None),
            // Beside quantised weights, the error of bf16 in the rest does not matter.
            Quant::Q8 => (Precision::Bf16, Some(Format::Q8)),
            Quant::Q6 => (Precision::Bf16, Some(Format::Q6)),
            Quant::Q4 => (Precision::Bf16, Some(Format::Q4)),
        };
        Self {
            place: Place::Cpu,
            dtype: DType::F32,
            precision,
            format,
            activations: Activations::Int8,
            measured: None,
        }
    }

    /// As the options say, for weights that may be quantised already.
    ///
    /// # Errors
    /// A device that this build or machine does not have, and dtypes that the device does not support.
    pub fn of(options: &ComputeOptions, weights: &Weights) -> Result<Self, SessionError> {
        let place = place(options.device)?;
        let quantised = weights.metadata().contains_key(ocellus_nn::stored::LAYOUT);
        if quantised && !place.is_cpu() {
            return Err(SessionError::QuantisedWeightsElsewhere);
        }
        if quantised && options.quant.is_some() {
            return Err(SessionError::QuantisedAlready);
        }
        let of_cpu = if quantised || (weights.gguf().is_some() && options.quant.is_none()) {
            // Beside quantised weights, the error of bf16 in the rest does not matter.
            let f32 = options.dtype == Some(Dtype::F32);
            Self::on_cpu(if f32 { Quant::F32 } else { Quant::Bf16 })
        } else if let Some(width) = options.quant {
            if !place.is_cpu() {
                return Err(SessionError::QuantElsewhere);
            }
            Self::on_cpu(width)
        } else {
            match (options.dtype, place.is_cpu()) {
                (None | Some(Dtype::F32), true) => Self::on_cpu(Quant::F32),
                (Some(Dtype::Bf16), true) => Self::on_cpu(Quant::Bf16),
                (Some(Dtype::F16), true) => return Err(SessionError::F16OnCpu),
                (Some(Dtype::F32), false) => Self::elsewhere(place, DType::F32),
                (Some(Dtype::F16), false) => Self::elsewhere(place, DType::F16),
                (None | Some(Dtype::Bf16), false) => Self::elsewhere(place, DType::BF16),
            }
        };
        Ok(of_cpu.with(options.activations))
    }

    /// The same, with activations rounded to this in products with quantised weights.
    pub fn with(self, activations: Activations) -> Self {
        Self { activations, ..self }
    }

    /// The same, with the statistics of matrix inputs added to `measured`.
    pub fn measuring(self, measured: &Arc<Measured>) -> Self {
        let measured = Some(measured.clone());
        Self { measured, ..self }
    }

    /// Builds the model of a config from a set of tensors; an unused tensor of the model is an error, and others are warnings of the
    /// config.
    ///
    /// # Errors
    /// A config that no family reads, and weights that do not belong to it.
    pub fn build(&self, config: &ConfigFile, weights: Arc<Weights>) -> Result<Box<dyn Model>, ModelError> {
        self.assemble(config, &Rc::new(self.source(weights)))
    }

    /// The same over a source of tensors that the caller made.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn assemble(&self, config: &ConfigFile, source: &Rc<Frozen>) -> Result<Box<dyn Model>, ModelError> {
        let family = find(config)?;
        self.load(family, family.load, config, source)
    }

    /// As [`build`](Self::build), for a model that replays its reference forward pass; `None` where its family has no description
    /// of that.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn trace(
        &self,
        config: &ConfigFile,
        weights: Arc<Weights>,
    ) -> Result<Option<Box<dyn Trace>>, ModelError> {
        let family = find(config)?;
        let source = Rc::new(self.source(weights));
        let load = |load| self.load(family, load, config, &source);
        family.trace.map(load).transpose()
    }

    fn load<M>(
        &self,
        family: &Family,
        load: Load<M>,
        config: &ConfigFile,
        source: &Rc<Frozen>,
    ) -> Result<M, ModelError> {
        let mut params = Params::new(source.clone(), self.precision);
        if let Some(format) = self.format {
            params = params.rounded(format);
        }
        if let Some(precision) = self.activations.widened() {
            params = params.widened(precision);
        }
        // What the config says of quantised weights was read with them; its warnings belong to this config.
        quantisation::scheme(config, family.id)?;
        let model = load(config, &params)?;
        family.finish(config, source)?;
        Ok(model)
    }

    /// The tensors of a checkpoint on this device.
    pub fn source(&self, weights: Arc<Weights>) -> Frozen {
        let source = Frozen::new(weights, self.place.clone(), self.dtype);
        match &self.measured {
            Some(measured) => source.measuring(measured.clone()),
            None => source,
        }
    }

    fn elsewhere(place: Place, dtype: DType) -> Self {
        Self {
            place,
            dtype,
            precision: Precision::F32,
            format: None,
            activations: Activations::Int8,
            measured: None,
        }
    }
}

/// Fails where this build has no code for the device.
pub fn check_device(device: Device) -> Result<(), SessionError> {
    match device {
        Device::Cpu => Ok(()),
        Device::Cuda(_) if cfg!(feature = "cuda") => Ok(()),
        Device::Metal if cfg!(feature = "metal") => Ok(()),
        device => Err(SessionError::NoSuchDevice { device }),
    }
}

fn place(device: Device) -> Result<Place, SessionError> {
    check_device(device)?;
    match device {
        Device::Cpu => Ok(Place::Cpu),
        Device::Cuda(index) => Place::new_cuda(index).map_err(SessionError::Device),
        Device::Metal => Place::new_metal(0).map_err(SessionError::Device),
    }
}
