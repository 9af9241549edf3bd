//! What every command is given: global arguments, environment, and what follows from both.

use std::sync::Arc;

use ocellus_hub::{Checkpoint, Hub, HubConfig, Location, Reference};

use ocellus_session::{ComputeOptions, CpuOptions, OpenOptions, Session, SessionError, Usage};

use crate::args::Global;
use crate::environment::{Allowance, Environment};
use crate::error::Failure;
use crate::memory;
use crate::output;
use crate::progress::Downloads;
use crate::values::{Device, Quant};
use ocellus::{Clock, SystemClock};

/// Precedence everywhere: flag, environment, default.
pub struct Context {
    pub global: Global,
    pub environment: Environment,
}

impl Context {
    pub fn new(global: Global, environment: Environment) -> Self {
        Self { global, environment }
    }

    /// How the hub is reached.
    pub fn hub_config(&self) -> HubConfig {
        let environment = &self.environment;
        HubConfig {
            endpoint: environment.endpoint.clone(),
            token: environment.token.clone(),
            offline: environment.offline,
            proxy: environment.proxy.clone(),
            other_caches: environment.other_caches.clone(),
            modelscope_caches: environment.modelscope_caches.clone(),
            ..HubConfig::new(environment.hub, environment.cache_dir.clone())
        }
    }

    /// The base of an adapter, if one is named.
    ///
    /// # Errors
    /// What is no name of a model.
    pub fn base(&self) -> Result<Option<Reference>, Failure> {
        Ok(self.global.base.as_deref().map(Reference::parse).transpose()?)
    }

    pub fn hub(&self) -> Result<Hub, Failure> {
        Ok(Hub::new(HubConfig {
            base: self.base()?,
            ..self.hub_config()
        }))
    }

    /// The model named by the flag, else by the environment, else the built-in one.
    pub fn reference(&self, flag: Option<&str>) -> Result<Reference, Failure> {
        let name = flag
            .or(self.environment.model.as_deref())
            .unwrap_or(ocellus_hub::BUILT_IN);
        Ok(Reference::parse(name)?)
    }

    /// That model, on this machine; downloads what is missing.
    pub fn checkpoint(&self, flag: Option<&str>) -> Result<Checkpoint, Failure> {
        let reference = self.reference(flag)?;
        Ok(self.hub()?.resolve(&reference, &self.downloads())?)
    }

    pub fn downloads(&self) -> Downloads {
        Downloads::new(self.global.quiet)
    }

    /// Threads to compute with: as many as the machine lets this process use, unless fewer are asked for. More would only wait for
    /// each other.
    pub fn threads(&self) -> usize {
        self.asked_threads()
            .map_or(machine_threads(), |asked| asked.min(machine_threads()))
    }

    fn asked_threads(&self) -> Option<usize> {
        self.global.threads.map(usize::from).or(self.environment.threads)
    }

    /// Bytes that a model may take: what the environment allows, else what is free; `None` = not checked. What lies on other
    /// devices is not counted.
    pub fn available_bytes(&self) -> Option<u64> {
        match self.environment.memory {
            Some(Allowance::Any) => None,
            Some(Allowance::Bytes(bytes)) => Some(bytes),
            None if self.global.device != Device::Cpu => None,
            None => Some(memory::memory().available_bytes),
        }
    }

    /// Gives the kernels' pool its size, and kernels their instruction set; before anything is computed.
    ///
    /// # Errors
    /// An instruction set that this processor does not have.
    pub fn settle_kernels(&self) -> Result<(), Failure> {
        let most = machine_threads();
        if let Some(asked) = self.asked_threads().filter(|asked| *asked > most) {
            log::warn!(
                "{asked} threads are asked for and {most} used: as many as there are processors for this program"
            );
        }
        let options = CpuOptions {
            threads: Some(self.threads()),
            pin: self.environment.pin,
            instruction_set: self.environment.isa.clone(),
        };
        Ok(options.apply()?)
    }

    /// Opens the model named by the flag, else by the environment, else the built-in one.
    pub fn open(&self, flag: Option<&str>) -> Result<Session, Failure> {
        self.open_for(&self.checkpoint(flag)?, Usage::default())
    }

    /// Opens a model for a use that is known already; what the machine cannot hold is refused, and what takes no text.
    pub fn open_for(&self, checkpoint: &Checkpoint, usage: Usage) -> Result<Session, Failure> {
        self.open_with(checkpoint, &self.options(checkpoint, usage))
    }

    /// Opens a model that takes text.
    pub fn open_with(&self, checkpoint: &Checkpoint, options: &OpenOptions) -> Result<Session, Failure> {
        let clock = SystemClock::start();
        let session = Session::open(checkpoint, options)?;
        session.text()?;
        self.warn(session.warnings())?;
        let ms = clock.now_ns() / 1_000_000;
        log::info!(
            "{} is loaded in {}, {ms} ms",
            session.name(),
            session.storage().name
        );
        Ok(session)
    }

    /// Prints warnings about a model, unless `--quiet`.
    ///
    /// # Errors
    /// The first of them with `--strict`.
    pub fn warn(&self, warnings: &[String]) -> Result<(), Failure> {
        if let Some(warning) = warnings.first().filter(|_| self.global.strict) {
            return Err(SessionError::Strict(warning.clone()).into());
        }
        for warning in warnings.iter().filter(|_| !self.global.quiet) {
            output::note(&format!("warning: {warning}"));
        }
        Ok(())
    }

    /// How a model is opened.
    pub fn options(&self, checkpoint: &Checkpoint, usage: Usage) -> OpenOptions {
        OpenOptions {
            compute: self.compute(checkpoint),
            // Settled before anything was computed.
            cpu: CpuOptions::default(),
            available_bytes: self.available_bytes(),
            usage,
            strict: self.global.strict,
            clock: Arc::new(SystemClock::start()),
            ..OpenOptions::default()
        }
    }

    /// Device and dtypes to compute a model with. The built-in model reads in 8 bits unless asked otherwise: pages take 0.6 of the
    /// time, and as few characters are wrong (`benches/runs/2026-11-29-zen5-2cores-pages`).
    pub fn compute(&self, checkpoint: &Checkpoint) -> ComputeOptions {
        let global = &self.global;
        let usual = match (&checkpoint.location, global.device, global.dtype) {
            (Location::BuiltIn, Device::Cpu, None) => Some(Quant::Q8),
            _ => None,
        };
        ComputeOptions {
            device: global.device,
            dtype: global.dtype,
            quant: global.quant.or(usual),
            activations: global.activations,
            kv_cache: global.kv_cache,
        }
    }
}

/// Processors that this process may use.
fn machine_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
