//! Memory of this machine, or of the container that this process is in when that is less.

use std::path::Path;

use sysinfo::{MemoryRefreshKind, System};

/// What there is, and what a process may still take without another being pushed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub total_bytes: u64,
    pub available_bytes: u64,
}

pub fn memory() -> Memory {
    told(|path| std::fs::read_to_string(path).ok()).unwrap_or_else(elsewhere)
}

/// Where there is no such file system.
fn elsewhere() -> Memory {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    Memory {
        total_bytes: system.total_memory(),
        available_bytes: system.available_memory(),
    }
}

/// Memory by the kernel's files, limits of all containers around this process included.
fn told(read: impl Fn(&Path) -> Option<String>) -> Option<Memory> {
    let file = |path: String| read(Path::new(&path));
    let status = file("/proc/self/status".into());
    let info = file("/proc/meminfo".into())?;
    let mut memory = Memory {
        total_bytes: kib(&info, "MemTotal:")?,
        available_bytes: kib(&info, "MemAvailable:")?,
    };
    // Addresses that this process may still take, where an account or a shell limits them.
    let limits = file("/proc/self/limits".into()).unwrap_or_default();
    if let Some(most) = address_limit(&limits) {
        let taken = status.and_then(|status| kib(&status, "VmSize:")).unwrap_or(0);
        memory.total_bytes = memory.total_bytes.min(most);
        memory.available_bytes = memory.available_bytes.min(most.saturating_sub(taken));
    }
    let groups = file("/proc/self/cgroup".into()).unwrap_or_default();
    for group in groups.lines() {
        let mut parts = group.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let limits = match controllers.split(',').any(|c| c == "memory") {
            true => &FIRST,
            false if controllers.is_empty() => &SECOND,
            false => continue,
        };
        // Inside a container the path of the outside may not exist; the root is then the container's own.
        for above in Path::new(path).ancestors() {
            let folder = format!("{}{}", limits.root, above.display());
            let folder = folder.trim_end_matches('/');
            if let Some(group) = limits.read(folder, &file) {
                memory.total_bytes = memory.total_bytes.min(group.total_bytes);
                memory.available_bytes = memory.available_bytes.min(group.available_bytes);
            }
        }
    }
    Some(memory)
}

/// Where a version of control groups keeps its numbers.
struct Limits {
    root: &'static str,
    most: &'static str,
    used: &'static str,
    /// Rows of `memory.stat`: pages of files, which the kernel gives back when they are needed.
    cached: [&'static str; 2],
}

const FIRST: Limits = Limits {
    root: "/sys/fs/cgroup/memory",
    most: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cached: ["total_inactive_file ", "total_active_file "],
};
const SECOND: Limits = Limits {
    root: "/sys/fs/cgroup",
    most: "memory.max",
    used: "memory.current",
    cached: ["inactive_file ", "active_file "],
};

impl Limits {
    /// The limit of one group and what is left of it; nothing where there is none.
    fn read(&self, folder: &str, file: &impl Fn(String) -> Option<String>) -> Option<Memory> {
        let number = |name: &str| file(format!("{folder}/{name}"))?.trim().parse::<u64>().ok();
        let most = number(self.most)?;
        let used = number(self.used)?;
        let stat = file(format!("{folder}/memory.stat")).unwrap_or_default();
        let row = |name: &str| {
            let value = stat.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().parse::<u64>().ok()
        };
        let cached: u64 = self.cached.iter().filter_map(|name| row(name)).sum();
        Some(Memory {
            total_bytes: most,
            available_bytes: most.saturating_sub(used.saturating_sub(cached)),
        })
    }
}

/// The first number of the row about addresses; nothing where they are unlimited.
fn address_limit(limits: &str) -> Option<u64> {
    let row = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max address space"))?;
    row.split_whitespace().next()?.parse().ok()
}

/// The row `name` of a table in kB.
fn kib(table: &str, name: &str) -> Option<u64> {
    let value = table.lines().find_map(|line| line.strip_prefix(name))?;
    let value: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    value.checked_mul(1024)
}

/// The most memory that this process has held so far, where the system reports it.
pub fn peak_bytes() -> Option<u64> {
    kib(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n";
    const GIB: u64 = 1 << 30;

    fn found(files: &[(&str, &str)]) -> Option<(u64, u64)> {
        let read = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path)?;
            Some(file.1.to_owned())
        };
        told(read).map(|m| (m.total_bytes, m.available_bytes))
    }

    #[test]
    fn the_machine_counts_where_nothing_limits_it() {
        assert_eq!(found(&[]), None);
        let machine = Some((16 * GIB, 8 * GIB));
        assert_eq!(found(&[("/proc/meminfo", INFO)]), machine);
        let unlimited = [
            ("/proc/meminfo", INFO),
            ("/proc/self/cgroup", "0::/user\n"),
            ("/sys/fs/cgroup/user/memory.max", "max\n"),
            ("/sys/fs/cgroup/user/memory.current", "5\n"),
        ];
        assert_eq!(found(&unlimited), machine);
    }

    #[test]
    fn the_narrowest_group_around_the_process_counts_and_its_cached_files_are_free() {
        let files = [
            ("/proc/meminfo", INFO),
            ("/proc/self/cgroup", "1:cpu:/x\n0::/outer/inner\n"),
            ("/sys/fs/cgroup/outer/inner/memory.max", "max\n"),
            ("/sys/fs/cgroup/outer/memory.max", "4294967296\n"),
            ("/sys/fs/cgroup/outer/memory.current", "3221225472\n"),
            (
                "/sys/fs/cgroup/outer/memory.stat",
                "anon 1\ninactive_file 1073741824\nactive_file 1073741824\n",
            ),
        ];
        assert_eq!(found(&files), Some((4 * GIB, 3 * GIB)));
    }

    #[test]
    fn a_limit_of_addresses_counts() {
        let limits = |most: &str| {
            format!(
                "Limit  Soft  Hard  Units\nMax address space         {most}            unlimited            bytes\n"
            )
        };
        let files = |limits: &str| {
            found(&[
                ("/proc/meminfo", INFO),
                ("/proc/self/limits", limits),
                ("/proc/self/status", "VmPeak: 9 kB\nVmSize:  1048576 kB\n"),
            ])
        };
        assert_eq!(files(&limits("3221225472")), Some((3 * GIB, 2 * GIB)));
        assert_eq!(files(&limits("1024")), Some((1024, 0)));
        assert_eq!(files(&limits("unlimited")), Some((16 * GIB, 8 * GIB)));
    }

    #[test]
    fn a_container_sees_its_own_limit_at_the_root() {
        let files = [
            ("/proc/meminfo", INFO),
            ("/proc/self/cgroup", "0::/a/path/of/the/outside\n"),
            ("/sys/fs/cgroup/memory.max", "2147483648\n"),
            ("/sys/fs/cgroup/memory.current", "1073741824\n"),
        ];
        assert_eq!(found(&files), Some((2 * GIB, GIB)));
    }

    #[test]
    fn the_first_version_of_groups_is_read_too() {
        let files = [
            ("/proc/meminfo", INFO),
            ("/proc/self/cgroup", "9:blkio,memory:/box\n3:cpu:/\n"),
            ("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "1073741824\n"),
            ("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "2073741824\n"),
            (
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "7\n"),
        ];
        assert_eq!(found(&files), Some((GIB, 0)));
    }

    #[test]
    fn rows_are_read_in_kib() {
        assert_eq!(
            kib("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n", "VmHWM:"),
            Some(2 << 20)
        );
        for other in [
            "",
            "VmHWM:\n",
            "VmHWM: many kB\n",
            "VmHWM: 99999999999999999999 kB\n",
        ] {
            assert_eq!(kib(other, "VmHWM:"), None, "{other}");
        }
    }
}
