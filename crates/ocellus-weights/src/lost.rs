//! Mapped files that lose their bytes.
//!
//! Where a file is cut off while it is mapped, or its disk fails, the system has nothing to give for a page and ends the process with
//! SIGBUS. That would end every request of a server. So a handler puts zeros in the place of what is lost, only inside of files that are
//! mapped here, and notes it; [`Watched::is_lost`] tells, and what was computed meanwhile is thrown away.

#![expect(
    unsafe_code,
    reason = "signal handlers are installed by unsafe calls; each has its reason"
)]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

/// Addresses of a map. Regions form a list that only grows, so that a handler may walk it at any time; they are used again.
struct Region {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    lost: AtomicBool,
    next: AtomicPtr<Region>,
}

static FIRST: AtomicPtr<Region> = AtomicPtr::new(ptr::null_mut());

fn regions() -> impl Iterator<Item = &'static Region> {
    let mut at = FIRST.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: the pointers in the list are null or come from `Box::leak`.
        let region = unsafe { at.as_ref() }?;
        at = region.next.load(Ordering::Acquire);
        Some(region)
    })
}

/// A map whose lost pages become zeros.
pub(crate) struct Watched(&'static Region);

impl Watched {
    /// Watches the addresses of `bytes`, which must stay mapped until this is dropped.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(install);
        let free = |region: &&Region| {
            let taken = region
                .taken
                .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed);
            taken.is_ok()
        };
        let region = regions().find(free).unwrap_or_else(|| {
            let region = Box::leak(Box::new(Region {
                taken: AtomicBool::new(true),
                start: AtomicUsize::new(0),
                end: AtomicUsize::new(0),
                lost: AtomicBool::new(false),
                next: AtomicPtr::default(),
            }));
            let link = |first| {
                region.next.store(first, Ordering::Release);
                Some(ptr::from_ref(region).cast_mut())
            };
            // Never fails: `link` always gives a value.
            let _ = FIRST.fetch_update(Ordering::AcqRel, Ordering::Acquire, link);
            region
        });
        let range = bytes.as_ptr_range();
        region.lost.store(false, Ordering::Relaxed);
        region.start.store(range.start as usize, Ordering::Relaxed);
        region.end.store(range.end as usize, Ordering::Release);
        Self(region)
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Acquire)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.end.store(0, Ordering::Release);
        self.0.start.store(0, Ordering::Relaxed);
        self.0.taken.store(false, Ordering::Release);
    }
}

/// What the process did at SIGBUS before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

fn install() {
    // SAFETY: a `sigaction` of zeros is a valid value of plain numbers; the pointers given are those of live values; the handler has the
    // signature that SA_SIGINFO asks for and does only what handlers may do.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGBUS, ptr::null(), &mut before) != 0 {
            return;
        }
        // Known before the handler can run.
        let _ = BEFORE.set(before);
        let mut ours: libc::sigaction = std::mem::zeroed();
        ours.sa_sigaction = handle as *const () as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&mut ours.sa_mask);
        libc::sigaction(libc::SIGBUS, &ours, ptr::null_mut());
    }
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system gives a valid `info` to a handler with SA_SIGINFO, which has an address for this signal.
    let address = unsafe { (*info).si_addr() } as usize;
    for region in regions() {
        let end = region.end.load(Ordering::Acquire);
        if (region.start.load(Ordering::Relaxed)..end).contains(&address) && give_zeros(address, end) {
            region.lost.store(true, Ordering::Release);
            return;
        }
    }
    pass_on(signal, info, context);
}

/// Replaces the pages from that of `address` on to `end` by zeros: behind the end of a file nothing is left.
fn give_zeros(address: usize, end: usize) -> bool {
    // SAFETY: the addresses lie inside a map of this crate that is read-only and alive, since its bytes are being read; mapping over them
    // changes nothing but their contents. The call is a plain one to the system.
    unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let start = address & !(page - 1);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let given = libc::mmap(start as *mut c_void, end - start, libc::PROT_READ, flags, -1, 0);
        given != libc::MAP_FAILED
    }
}

/// Does what the process did before; where that is nothing, the instruction is tried again and ends the process.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(before) = BEFORE.get() else { return };
    // SAFETY: the handler is the one that was installed, called with the signature that its flags say; the default is restored with the
    // value that was read.
    unsafe {
        match before.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                libc::sigaction(signal, before, ptr::null_mut());
            }
            handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            }
            handler => {
                let handler: extern "C" fn(c_int) = std::mem::transmute(handler);
                handler(signal);
            }
        }
    }
}
