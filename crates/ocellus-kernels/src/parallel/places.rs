//! Processor affinity of threads, on Linux. Elsewhere the functions do nothing.

/// The processors that this thread may run on, ascending; empty where the system does not tell.
#[cfg(all(target_os = "linux", not(miri)))]
pub fn allowed() -> Vec<usize> {
    // SAFETY: a set is an array of numbers, for which all zeros are a value: the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes no more than the size it is told, and 0 means the calling thread.
    let told = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) } == 0;
    let bits = 0..8 * size_of_val(&set);
    // SAFETY: `bits` ends where the set ends.
    bits.filter(|cpu| told && unsafe { libc::CPU_ISSET(*cpu, &set) })
        .collect()
}

/// Pins this thread to one processor; returns whether the system permitted it.
#[cfg(all(target_os = "linux", not(miri)))]
pub fn keep_to(cpu: usize) -> bool {
    // SAFETY: as in `allowed`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if cpu >= 8 * size_of_val(&set) {
        return false;
    }
    // SAFETY: `cpu` lies in the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the call reads no more than the size it is told, and 0 means the calling thread.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) == 0 }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
pub fn allowed() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(all(target_os = "linux", not(miri))))]
pub fn keep_to(_cpu: usize) -> bool {
    false
}

/// A processor for each worker of a pool of `threads` threads. The first processor is left to the calling thread. Empty when
/// there are more threads than processors: two threads on one processor would wait for each other.
pub fn of_workers(threads: usize, allowed: &[usize]) -> &[usize] {
    if threads <= allowed.len() {
        &allowed[1.min(allowed.len())..]
    } else {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_get_what_the_caller_leaves_and_nothing_when_there_are_too_many() {
        for (threads, allowed, expected) in [
            (1, &[][..], &[][..]),
            (1, &[3], &[]),
            (2, &[3], &[]),
            (2, &[0, 1], &[1]),
            (2, &[4, 6, 9], &[6, 9]),
            (3, &[4, 6, 9], &[6, 9]),
            (4, &[4, 6, 9], &[]),
        ] {
            assert_eq!(of_workers(threads, allowed), expected, "{threads} of {allowed:?}");
        }
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    #[test]
    fn a_thread_stays_where_it_is_kept() {
        let before = allowed();
        assert!(!before.is_empty() && before.is_sorted());
        for cpu in before.clone() {
            // Affinity is per thread, so each attempt uses a new thread.
            let seen = std::thread::spawn(move || keep_to(cpu).then(allowed)).join();
            // A sandbox may refuse; then the affinity is unchanged.
            assert!(seen.unwrap().is_none_or(|seen| seen == [cpu]));
        }
        assert!(!keep_to(usize::MAX));
        assert_eq!(allowed(), before);
    }
}
