//! A value that another thread will deliver once. Unaware of what it is.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The other side will never deliver: it failed or was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeverDelivered;

#[derive(Debug)]
enum Slot<T> {
    Waiting,
    Delivered(T),
    Never,
}

#[derive(Debug)]
struct Inner<T> {
    slot: Mutex<Slot<T>>,
    ready: Condvar,
}

/// The receiving side; every clone sees the same value.
#[derive(Debug)]
pub struct Pending<T>(Arc<Inner<T>>);

impl<T> Clone for Pending<T> {
    fn clone(&self) -> Self {
        Pending(self.0.clone())
    }
}

impl<T: Clone> Pending<T> {
    /// A value that is there already.
    #[must_use]
    pub fn ready(value: T) -> Self {
        Pending(Arc::new(Inner {
            slot: Mutex::new(Slot::Delivered(value)),
            ready: Condvar::new(),
        }))
    }

    /// Waits for the value.
    ///
    /// # Errors
    /// When the promise was dropped without a delivery.
    pub fn wait(&self) -> Result<T, NeverDelivered> {
        let mut slot = self.0.slot.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*slot {
                Slot::Delivered(value) => return Ok(value.clone()),
                Slot::Never => return Err(NeverDelivered),
                Slot::Waiting => {
                    slot = self
                        .0
                        .ready
                        .wait(slot)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
    }

    /// The value, if it is there now.
    #[must_use]
    pub fn now(&self) -> Option<T> {
        match &*self.0.slot.lock().unwrap_or_else(PoisonError::into_inner) {
            Slot::Delivered(value) => Some(value.clone()),
            _ => None,
        }
    }
}

/// The delivering side. Dropping it wakes the receivers with [`NeverDelivered`], so that no thread waits for ever.
#[derive(Debug)]
pub struct Promise<T>(Arc<Inner<T>>);

impl<T> Promise<T> {
    /// Delivers the value; a second delivery is ignored.
    pub fn deliver(&self, value: T) {
        self.settle(Slot::Delivered(value));
    }

    fn settle(&self, with: Slot<T>) {
        let mut slot = self.0.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*slot, Slot::Waiting) {
            *slot = with;
            self.0.ready.notify_all();
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.settle(Slot::Never);
    }
}

/// A promise and its value to come.
#[must_use]
pub fn pending<T>() -> (Promise<T>, Pending<T>) {
    let inner = Arc::new(Inner {
        slot: Mutex::new(Slot::Waiting),
        ready: Condvar::new(),
    });
    (Promise(inner.clone()), Pending(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_gets_what_another_thread_delivers() {
        let (promise, value) = pending();
        let waiter = std::thread::spawn({
            let value = value.clone();
            move || value.wait()
        });
        promise.deliver(7);
        assert_eq!(waiter.join().unwrap(), Ok(7));
        drop(promise);
        assert_eq!(value.wait(), Ok(7));
    }

    #[test]
    fn a_dropped_promise_wakes_its_waiters() {
        let (promise, value) = pending::<u8>();
        let waiter = std::thread::spawn(move || value.wait());
        drop(promise);
        assert_eq!(waiter.join().unwrap(), Err(NeverDelivered));
    }
}
