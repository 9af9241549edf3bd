//! How a model is opened.

use std::sync::Arc;

use ocellus_base::clock::{Clock, ManualClock};
use ocellus_engine::EngineOptions;

use crate::compute::ComputeOptions;
use crate::error::SessionError;
use crate::memory_estimate::Usage;

/// How a model is opened. The default computes on the CPU as the checkpoint is stored, with all processors and without a bound of
/// memory.
#[derive(Clone)]
pub struct OpenOptions {
    pub compute: ComputeOptions,
    /// Kernels and preprocessing; these are global, so the first model that is opened decides.
    pub cpu: CpuOptions,
    /// Bytes that a model may take; one that needs more is refused before it is loaded. `None` = not checked.
    pub available_bytes: Option<u64>,
    /// The expected requests, for the memory estimate.
    pub usage: Usage,
    /// Bounds and caches of engines; the dtype of keys and values is that of `compute`.
    pub engine: EngineOptions,
    /// A checkpoint that would open with warnings is refused.
    pub strict: bool,
    /// The clock that times answers. Without one all times are 0.
    pub clock: Arc<dyn Clock>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            compute: ComputeOptions::default(),
            cpu: CpuOptions::default(),
            available_bytes: None,
            usage: Usage::default(),
            engine: EngineOptions::default(),
            strict: false,
            clock: Arc::new(ManualClock::default()),
        }
    }
}

/// What the kernels of this program use of its processor.
///
/// The tensor library has a pool of its own for large elementwise operations, which spins while it waits. Its size can be set by the
/// variable `CANDLE_NUM_THREADS` alone, before the program starts; 1 is best for training.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// `None` = as many as the machine lets this process use.
    pub threads: Option<usize>,
    /// Each helper thread is pinned to its own processor.
    pub pin: bool,
    /// The instruction set, by its name; `None` = the best available.
    pub instruction_set: Option<String>,
}

impl CpuOptions {
    /// Gives the kernels' pool its size and kernels their instruction set, before anything is computed. What is left out stays as
    /// it is.
    ///
    /// # Errors
    /// An instruction set that this processor does not have.
    pub fn apply(&self) -> Result<(), SessionError> {
        if let Some(asked) = &self.instruction_set {
            ocellus_kernels::isa::Isa::settle(asked.trim()).map_err(|known| {
                SessionError::InstructionSet {
                    asked: asked.clone(),
                    known,
                }
            })?;
        }
        if let Some(threads) = self.threads {
            ocellus_kernels::use_threads(threads);
            // Preprocessing has a pool of its own, which sleeps while kernels work. Fails only when there is a pool already.
            let _ = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global();
        }
        if self.pin {
            ocellus_kernels::pin_threads(true);
        }
        Ok(())
    }
}
