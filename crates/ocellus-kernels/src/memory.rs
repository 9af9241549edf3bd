//! Memory for packed weights and for outputs, and prefetching.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Bytes of a large page.
const LARGE: usize = 2 << 20;
/// Bytes of a block that is shared by many matrices.
const SHARED: usize = 256 << 20;

/// Zeroed bytes, page-aligned, in large pages where the system has them: every token reads all weights, and with small pages
/// address translation takes a noticeable share of the time.
pub(crate) struct Memory {
    /// Keeps the bytes alive.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    block: Arc<Block>,
    start: *mut u8,
    len: usize,
}

// SAFETY: a `Memory` alone reaches its part of the block, as a box its bytes.
unsafe impl Send for Memory {}
// SAFETY: as above; through a shared reference it is only read.
unsafe impl Sync for Memory {}

struct Block {
    map: Option<memmap2::MmapMut>,
    /// Where the system maps nothing.
    plain: Vec<u8>,
}

impl Block {
    fn new(len: usize) -> Self {
        Self::mapped(len).unwrap_or_else(|| Self {
            map: None,
            plain: vec![0; len],
        })
    }

    /// `None` for no bytes, where there is no such call, and where so many addresses are not to be had.
    fn mapped(len: usize) -> Option<Self> {
        let map = memmap2::MmapMut::map_anon(len).ok()?;
        // Advice may be refused; then pages are small.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Some(Self {
            map: Some(map),
            plain: Vec::new(),
        })
    }

    fn start(&mut self) -> *mut u8 {
        match &mut self.map {
            Some(map) => map.as_mut_ptr(),
            None => self.plain.as_mut_ptr(),
        }
    }
}

/// The block that is currently filled: its first free byte, and how many bytes are free.
struct Shelf {
    block: Weak<Block>,
    next: *mut u8,
    left: usize,
}

// SAFETY: addresses alone; who takes a part of the block keeps it alive.
unsafe impl Send for Shelf {}

static SHELF: Mutex<Option<Shelf>> = Mutex::new(None);

impl Memory {
    /// Memory with a mapping of its own.
    pub fn zeroed(len: usize) -> Self {
        let mut block = Block::new(len);
        Self {
            start: block.start(),
            len,
            block: Arc::new(block),
        }
    }

    /// Memory that lives as long as a model. Small requests share a block, so that only the ends of the block lie in small pages:
    /// in a mapping of its own, a matrix of 2.3 megabytes would have an eighth of its bytes in small pages.
    pub fn lasting(len: usize) -> Self {
        let size = len.next_multiple_of(4096);
        if size > SHARED / 4 || !cfg!(target_os = "linux") || cfg!(miri) {
            return Self::zeroed(len);
        }
        let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
        let held = shelf.as_ref().filter(|shelf| shelf.left >= size);
        let block = match held.and_then(|shelf| shelf.block.upgrade()) {
            Some(block) => block,
            None => {
                // Where addresses are few, one matrix may still find its own.
                let Some(mut block) = Block::mapped(SHARED + LARGE) else {
                    return Self::zeroed(len);
                };
                let start = block.start();
                let before = start.align_offset(LARGE).min(LARGE);
                let block = Arc::new(block);
                *shelf = Some(Shelf {
                    block: Arc::downgrade(&block),
                    next: start.wrapping_add(before),
                    left: SHARED + LARGE - before,
                });
                block
            }
        };
        let Some(shelf) = shelf.as_mut() else {
            return Self::zeroed(len);
        };
        let start = shelf.next;
        shelf.next = start.wrapping_add(size);
        shelf.left -= size;
        Self { block, start, len }
    }

    /// Asks the system to move written memory into large pages, if none were free when it was first touched.
    pub fn gather(&self) {
        #[cfg(all(target_os = "linux", not(miri)))]
        if let Some(map) = &self.block.map {
            // The range starts at the beginning of a large page, which may belong to a neighbour in the block.
            let first = map.as_ptr() as usize;
            let (start, end) = (self.start as usize, self.start as usize + self.len);
            let start = match start / LARGE * LARGE {
                before if before >= first => before,
                before => before + LARGE,
            };
            let len = (end / LARGE * LARGE).saturating_sub(start);
            // SAFETY: the range lies inside the map, and what is in it stays what it is. A refusal changes nothing.
            unsafe {
                libc::madvise(start as *mut libc::c_void, len, libc::MADV_COLLAPSE);
            }
        }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: `len` bytes from `start` are inside the block, initialised, and no other `Memory` has them.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

/// A vector of `len` values that a kernel is going to overwrite: uninitialised in release builds (NaN with debug assertions).
/// Zeroing outputs of tens of megabytes on one thread takes longer than some of the kernels that fill them.
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

/// Prefetches the cache line at an address, which may be invalid.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_block_are_apart_and_zeroed() {
        let mut parts: Vec<Memory> = [5000, 0, 1, 3 << 20, 4096].map(Memory::lasting).into();
        for (i, part) in parts.iter_mut().enumerate() {
            assert!(part.as_ref().iter().all(|byte| *byte == 0), "{i}");
            assert_eq!(part.as_ref().as_ptr() as usize % 64, 0);
            part.as_mut_slice().fill(1 + i as u8);
        }
        for (i, part) in parts.iter().enumerate() {
            assert!(part.as_ref().iter().all(|byte| *byte == 1 + i as u8), "{i}");
        }
        drop(parts);
        let again = Memory::lasting(5000);
        assert!(again.as_ref().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_does_not_fit_the_rest_of_a_block_begins_another() {
        let size = SHARED / 4;
        let parts: Vec<Memory> = (0..6).map(|_| Memory::lasting(size)).collect();
        for pair in parts.windows(2) {
            let [a, b] = [0, 1].map(|i| pair[i].as_ref().as_ptr() as usize);
            assert!(a.abs_diff(b) >= size);
        }
        assert_eq!(Memory::lasting(SHARED).as_ref().len(), SHARED);
    }

    #[test]
    fn who_reads_what_was_not_written_is_found_out() {
        for len in [0, 1, 1000] {
            let values = unset(len);
            assert_eq!(values.len(), len);
            assert!(!cfg!(debug_assertions) || values.iter().all(|x| x.is_nan()));
        }
    }

    /// Parts that begin and end anywhere, in blocks of their own and in shared ones, keep what is in them and beside them.
    #[test]
    fn gathering_changes_no_byte() {
        let sizes = [0, 1, LARGE - 1, LARGE, 3 * LARGE + 5, 5000];
        let mut parts: Vec<Memory> = sizes.map(Memory::lasting).into();
        parts.extend(sizes.map(Memory::zeroed));
        for (i, part) in parts.iter_mut().enumerate() {
            part.as_mut_slice().fill(1 + i as u8);
        }
        parts.iter().for_each(Memory::gather);
        for (i, part) in parts.iter().enumerate() {
            assert!(part.as_ref().iter().all(|byte| *byte == 1 + i as u8), "{i}");
        }
    }
}
