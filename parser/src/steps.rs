//! The cost of reading, counted in bytes that are looked at: tests compare it with the length of the source. Costs nothing in other
//! builds. Unaware of who counts.

#[cfg(test)]
std::thread_local! {
    static LOOKED_AT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts bytes that are looked at.
#[inline(always)]
pub(crate) fn look_at(_bytes: usize) {
    #[cfg(test)]
    LOOKED_AT.with(|count| count.set(count.get() + _bytes as u64));
}

/// Bytes that `work` looks at.
#[cfg(test)]
pub(crate) fn count(work: impl FnOnce()) -> u64 {
    let now = || LOOKED_AT.with(std::cell::Cell::get);
    let before = now();
    work();
    now() - before
}
