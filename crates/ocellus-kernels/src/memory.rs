//! Memory for packed weights and for outputs, and asking for memory ahead of time.

/// Zeroed bytes, aligned to pages, in large pages where the system has them: weights are read from end to end for every
/// token, and with small pages the translation of addresses takes a noticeable part of that.
pub(crate) struct Memory {
    map: Option<memmap2::MmapMut>,
    /// Where the system maps nothing.
    plain: Vec<u8>,
}

impl Memory {
    pub fn zeroed(len: usize) -> Self {
        // Fails for no bytes, and where there is no such call.
        let map = memmap2::MmapMut::map_anon(len).ok();
        #[cfg(target_os = "linux")]
        if let Some(map) = &map {
            // Advice may be refused; then pages are small.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        let plain = if map.is_some() { Vec::new() } else { vec![0; len] };
        Self { map, plain }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.map {
            Some(map) => map,
            None => &mut self.plain,
        }
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        match &self.map {
            Some(map) => map,
            None => &self.plain,
        }
    }
}

/// So many values that a kernel is about to write: whatever lay there before, and not-a-number where debug assertions are on. Zeroing
/// outputs of tens of megabytes on one thread takes longer than some of the kernels that fill them.
pub fn unset(len: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    if cfg!(debug_assertions) || cfg!(miri) || cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64")))
    {
        values.resize(len, f32::NAN);
        return values;
    }
    // SAFETY: there is room for `len` values, of which every pattern of bits is one. To the compiler the assembly, which is empty,
    // is code that may have written all of them, so that they hold something definite from here on.
    unsafe {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        std::arch::asm!("/* {0} */", in(reg) values.as_mut_ptr(), options(nostack, preserves_flags));
        values.set_len(len);
    }
    values
}

/// Asks for the cache line at an address, which may be any.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that a program sees and faults on no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
