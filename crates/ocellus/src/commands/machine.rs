//! What the machine is made of, for `doctor`.

use std::process::{Command, Stdio};

use sysinfo::{MemoryRefreshKind, System};

/// Memory of the machine, or of the container that this process is in when that is less.
pub struct Memory {
    pub total_bytes: u64,
    pub available_bytes: u64,
}

pub fn memory() -> Memory {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let (total, available) = (system.total_memory(), system.available_memory());
    match system.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 && limits.total_memory < total => Memory {
            total_bytes: limits.total_memory,
            available_bytes: limits.free_memory.min(available),
        },
        _ => Memory {
            total_bytes: total,
            available_bytes: available,
        },
    }
}

/// The processor's extensions that kernels make use of, as far as this process can tell.
pub fn cpu_features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! look {
            ($($name:tt),*) => { $(if std::arch::is_x86_feature_detected!($name) { found.push($name); })* };
        }
        look!(
            "sse4.2",
            "avx",
            "avx2",
            "fma",
            "f16c",
            "avx512f",
            "avx512bw",
            "avx512vl",
            "avx512vnni",
            "avx512bf16"
        );
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! look {
            ($($name:tt),*) => { $(if std::arch::is_aarch64_feature_detected!($name) { found.push($name); })* };
        }
        look!("neon", "fp16", "dotprod", "bf16", "i8mm", "sve");
    }
    found
}

/// First line of what a program says about its version; nothing when it is not there.
pub fn version_of(program: &str) -> Option<String> {
    let output = Command::new(program)
        .arg("-version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.chars().take(60).collect())
}
