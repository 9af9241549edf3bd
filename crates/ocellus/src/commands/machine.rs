//! What the machine is made of, for `doctor` and `bench`.

use std::process::{Command, Stdio};

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, System};

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

/// The processor's name; empty where the system does not tell.
pub fn processor() -> String {
    let mut system = System::new();
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let brand = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned());
    brand
        .filter(|brand| !brand.is_empty())
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The most memory that this process has held so far, where the system tells.
pub fn peak_bytes() -> Option<u64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::peak_in;

    #[test]
    fn the_peak_is_read_from_the_status_of_a_process() {
        assert_eq!(
            peak_in("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n"),
            Some(2 << 20)
        );
        for other in [
            "",
            "VmHWM:\n",
            "VmHWM: many kB\n",
            "VmHWM: 99999999999999999999 kB\n",
        ] {
            assert_eq!(peak_in(other), None, "{other}");
        }
    }
}
