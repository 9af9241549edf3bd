//! How much of the machine others used while a program ran. Known on Linux only.

use std::fs;

/// Times since the start of the machine, in ticks of the kernel, over all cores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Everything: work, idling, waiting.
    all: u64,
    busy: u64,
    /// What the host of a virtual machine gave to others.
    stolen: u64,
    /// Of this process and of those that it waited for.
    own: u64,
}

/// Shares of all cores, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Used by other processes.
    pub others_percent: f64,
    /// Taken by the host.
    pub stolen_percent: f64,
}

impl Reading {
    pub fn now() -> Option<Self> {
        let read = |path| fs::read_to_string(path).ok();
        Self::parse(&read("/proc/stat")?, &read("/proc/self/stat")?)
    }

    /// From the first line of `/proc/stat` (user, nice, system, idle, iowait, irq, softirq, steal) and from
    /// `/proc/self/stat` (fields 14 to 17: user and system time of the process and of its waited-for children).
    fn parse(machine: &str, process: &str) -> Option<Self> {
        let cores = ticks(machine.lines().next()?.strip_prefix("cpu ")?, 0, 8)?;
        // The second field, the program's name, may hold anything; a parenthesis ends it.
        let own = ticks(process.rsplit_once(')')?.1, 11, 4)?;
        Some(Self {
            all: cores.iter().sum(),
            busy: [0, 1, 2, 5, 6].iter().map(|&field| cores[field]).sum(),
            stolen: cores[7],
            own: own.iter().sum(),
        })
    }

    /// What happened up to `later`; nothing when no time has passed.
    pub fn until(&self, later: &Self) -> Option<Noise> {
        let all = later.all.saturating_sub(self.all);
        let share = |ticks: u64| 100.0 * ticks as f64 / all as f64;
        let busy = later.busy.saturating_sub(self.busy);
        let own = later.own.saturating_sub(self.own);
        (all > 0).then(|| Noise {
            others_percent: share(busy.saturating_sub(own)),
            stolen_percent: share(later.stolen.saturating_sub(self.stolen)),
        })
    }
}

fn ticks(text: &str, skip: usize, count: usize) -> Option<Vec<u64>> {
    let fields: Vec<u64> = text
        .split_whitespace()
        .skip(skip)
        .take(count)
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    (fields.len() == count).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "cpu  100 20 30 1000 5 6 7 8 0 0\ncpu0 50 10 15 500 2 3 3 4 0 0\n";
    const PROCESS: &str = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 22 33 44 20 0 1";

    #[test]
    fn readings_are_parsed() {
        let reading = Reading::parse(MACHINE, PROCESS).unwrap();
        let expected = Reading {
            all: 1176,
            busy: 163,
            stolen: 8,
            own: 110,
        };
        assert_eq!(reading, expected);
        for (machine, process) in [
            ("", PROCESS),
            ("cpu  1 2 3", PROCESS),
            ("cpu  1 2 3 4 x 6 7 8", PROCESS),
            (MACHINE, "12 a S"),
        ] {
            assert_eq!(Reading::parse(machine, process), None, "{machine:?} {process:?}");
        }
    }

    #[test]
    fn what_others_used_is_what_is_busy_and_not_ours() {
        let at = |all, busy, stolen, own| Reading {
            all,
            busy,
            stolen,
            own,
        };
        let noise = at(1000, 100, 10, 50).until(&at(2000, 800, 30, 650)).unwrap();
        assert_eq!((noise.others_percent, noise.stolen_percent), (10.0, 2.0));
        // Ticks are rounded: a process may seem to have used more than the machine was busy.
        let noise = at(0, 0, 0, 0).until(&at(100, 50, 0, 51)).unwrap();
        assert_eq!(noise.others_percent, 0.0);
        assert_eq!(at(5, 1, 1, 1).until(&at(5, 1, 1, 1)), None);
    }
}
