//! What is begun only where work takes a while: most builds have nothing to do, and end before anybody could watch or stop them. Unaware of
//! what is begun.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Begin = Box<dyn FnOnce() + Send>;

/// A beginning that is put off; all clones share it.
#[derive(Clone, Default)]
pub(crate) struct Lasting(Arc<Inner>);

#[derive(Default)]
struct Inner {
    is_put_off: AtomicBool,
    begin: Mutex<Option<Begin>>,
}

impl fmt::Debug for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lasting")
    }
}

impl Lasting {
    /// From now on, `begin` is what is put off.
    pub(crate) fn put_off(&self, begin: impl FnOnce() + Send + 'static) {
        *self.begin() = Some(Box::new(begin));
        self.0.is_put_off.store(true, Ordering::SeqCst);
    }

    /// The work takes a while: what was put off is done, once, and all that ask meanwhile wait for it.
    pub(crate) fn lasts(&self) {
        if self.0.is_put_off.load(Ordering::SeqCst) {
            let mut begin = self.begin();
            if let Some(begin) = begin.take() {
                begin();
            }
            self.0.is_put_off.store(false, Ordering::SeqCst);
        }
    }

    fn begin(&self) -> MutexGuard<'_, Option<Begin>> {
        self.0.begin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn what_is_put_off_is_done_once() {
        let lasting = Lasting::default();
        lasting.lasts();
        let done = Arc::new(AtomicUsize::new(0));
        let counted = done.clone();
        lasting.put_off(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(done.load(Ordering::SeqCst), 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    lasting.clone().lasts();
                    assert_eq!(done.load(Ordering::SeqCst), 1);
                });
            }
        });
    }
}
