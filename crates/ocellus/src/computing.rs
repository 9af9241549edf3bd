//! Where a model computes and at which width, and models put together that way.

use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device};
use ocellus_models::ModelError;
use ocellus_nn::{Format, Frozen, KvWidth, Measured, Params, Precision};
use ocellus_weights::Weights;

use crate::context::Context;
use crate::error::Failure;
use crate::values::{self, Dtype, Quant};

/// The model of a config over a set of tensors, none of them left over.
pub fn build(
    config: &str,
    weights: Arc<Weights>,
    how: Computing,
) -> Result<Box<dyn ocellus_models::Model>, ModelError> {
    assemble(config, &Rc::new(how.source(weights)), &how)
}

/// The same over a source of tensors that the caller made.
pub fn assemble(
    config: &str,
    source: &Rc<Frozen>,
    how: &Computing,
) -> Result<Box<dyn ocellus_models::Model>, ModelError> {
    let family = ocellus_models::find(&ocellus_models::families::parse(config)?)?;
    let mut params = Params::new(source.clone(), how.precision);
    if let Some(format) = how.format {
        params = params.rounded(format);
    }
    params = params.keeping(how.kv_width);
    let model = ocellus_models::load(config, &params)?;
    source.finish(|name| family.ignores(name))?;
    Ok(model)
}

/// Where a model computes, in which type, and what its weights are rounded to.
pub struct Computing {
    device: Device,
    dtype: DType,
    precision: Precision,
    format: Option<Format>,
    kv_width: KvWidth,
    measured: Option<Arc<Measured>>,
}

impl Computing {
    /// On the CPU, at one width.
    pub fn on_cpu(width: Quant) -> Self {
        let (precision, format) = match width {
            Quant::F32 => (Precision::F32, None),
            Quant::Bf16 => (Precision::Bf16, None),
            // What is not rounded to few bits has no more to lose in bf16.
            Quant::Q8 => (Precision::Bf16, Some(Format::Q8)),
            Quant::Q6 => (Precision::Bf16, Some(Format::Q6)),
            Quant::Q4 => (Precision::Bf16, Some(Format::Q4)),
        };
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
            precision,
            format,
            kv_width: KvWidth::Full,
            measured: None,
        }
    }

    /// The same, with keys and values of tokens kept so.
    pub fn keeping(self, kv_width: KvWidth) -> Self {
        Self { kv_width, ..self }
    }

    /// The same, with what goes into matrices added up in `measured`.
    pub fn measuring(self, measured: &Arc<Measured>) -> Self {
        let measured = Some(measured.clone());
        Self { measured, ..self }
    }

    /// The tensors of a checkpoint as this wants them.
    pub fn source(&self, weights: Arc<Weights>) -> Frozen {
        let source = Frozen::new(weights, self.device.clone(), self.dtype);
        match &self.measured {
            Some(measured) => source.measuring(measured.clone()),
            None => source,
        }
    }

    fn elsewhere(device: Device, dtype: DType) -> Self {
        Self {
            device,
            dtype,
            precision: Precision::F32,
            format: None,
            kv_width: KvWidth::Full,
            measured: None,
        }
    }
}

/// Where and in which type to compute: f32 on the CPU unless asked otherwise, bf16 elsewhere.
pub fn of(context: &Context, weights: &Weights) -> Result<Computing, Failure> {
    let device = match context.device()? {
        values::Device::Cpu => Device::Cpu,
        values::Device::Cuda(index) => Device::new_cuda(index).map_err(|e| no_device(&e))?,
        values::Device::Metal => Device::new_metal(0).map_err(|e| no_device(&e))?,
    };
    let packed = weights.metadata().contains_key(ocellus_nn::stored::LAYOUT);
    if packed && !device.is_cpu() {
        return Err(Failure::new("quantised weights work on the CPU only")
            .hint("use the checkpoint that they were made from on this device"));
    }
    if packed && context.global.quant.is_some() {
        return Err(Failure::new("the model is quantised already").hint("leave out --quant"));
    }
    if packed || (weights.gguf().is_some() && context.global.quant.is_none()) {
        // What is not packed has no more to lose in bf16.
        let asked = context.global.dtype == Some(Dtype::F32);
        return Ok(Computing::on_cpu(if asked { Quant::F32 } else { Quant::Bf16 }));
    }
    if let Some(width) = context.global.quant {
        if !device.is_cpu() {
            return Err(
                Failure::new("--quant works on the CPU only").hint("use --dtype bf16 or f16 on this device")
            );
        }
        return Ok(Computing::on_cpu(width));
    }
    match (context.global.dtype, device.is_cpu()) {
        (None | Some(Dtype::F32), true) => Ok(Computing::on_cpu(Quant::F32)),
        (Some(Dtype::Bf16), true) => Ok(Computing::on_cpu(Quant::Bf16)),
        (Some(Dtype::F16), true) => {
            Err(Failure::new("the CPU does not compute in f16").hint("use --dtype bf16 or f32"))
        }
        (Some(Dtype::F32), false) => Ok(Computing::elsewhere(device, DType::F32)),
        (Some(Dtype::F16), false) => Ok(Computing::elsewhere(device, DType::F16)),
        (None | Some(Dtype::Bf16), false) => Ok(Computing::elsewhere(device, DType::BF16)),
    }
}

fn no_device(error: &candle_core::Error) -> Failure {
    Failure::new(format!("the device cannot be used: {error}")).hint("`--device cpu` always works")
}
