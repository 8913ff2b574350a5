//! How a mutex is taken in kiln. Unaware of what it guards.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The value behind a mutex, also after another thread panicked while it held it: no section that kiln guards leaves its value half
/// changed, and the panic itself ends the command.
pub fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
