//! What a statement does while another process has the database: it waits, as [`Waiter`] allows. SQLite asks a function without state, on
//! the thread that waits, so the state is the thread's. Unaware of statements.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crate::store::waiting::{Wait, Waiter};

/// How long a statement waits for the transaction of another process; those take milliseconds, unless somebody has stopped it.
pub(super) const MOST: Duration = Duration::from_secs(600);
/// The same once the caller is stopped, or closes the store: what is under way may still end well.
const LITTLE: Duration = Duration::from_millis(250);
/// What the other process does.
pub(super) const WRITES: &str = "it writes to the store's database";

thread_local! {
    static WAITING: RefCell<Option<Waiting>> = const { RefCell::new(None) };
}

/// The wait that this thread may be in.
struct Waiting {
    waiter: Arc<dyn Waiter>,
    most: Duration,
    wait: Option<Wait>,
}

/// Does `body`, whose statements wait. `is_closing`: only a little.
pub(super) fn patiently<T>(
    waiter: &Arc<dyn Waiter>,
    is_closing: bool,
    body: impl FnOnce() -> T,
) -> T {
    let waiting = Waiting {
        waiter: waiter.clone(),
        most: if is_closing { LITTLE } else { MOST },
        wait: None,
    };
    WAITING.with_borrow_mut(|slot| *slot = Some(waiting));
    let outcome = body();
    WAITING.with_borrow_mut(|slot| *slot = None);
    outcome
}

/// Whether to try again, after a pause. `attempts` is 0 when a wait begins.
pub(super) fn busy(attempts: i32) -> bool {
    WAITING.with_borrow_mut(|slot| slot.as_mut().is_some_and(|waiting| waiting.pause(attempts)))
}

impl Waiting {
    fn pause(&mut self, attempts: i32) -> bool {
        let wait = match self.wait.take() {
            Some(wait) if attempts > 0 => wait,
            _ => Wait::begin(),
        };
        let wait = self.wait.insert(wait);
        let most = match self.waiter.is_stopped() {
            true => LITTLE,
            false => self.most,
        };
        let goes_on = wait.lasted() < most;
        if goes_on {
            wait.pause(self.waiter.as_ref(), WRITES);
        }
        goes_on
    }
}
