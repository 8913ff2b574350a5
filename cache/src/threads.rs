//! Work on several threads, where the machine may allow no more of them: with fewer it takes longer, and only what needs one more is an
//! error. Unaware of the work.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle, available_parallelism};

use kiln_oci::locked;

/// Does `work` for each of `items`, begun in their order and up to `at_once` at the same time, and gives the results in that order. The
/// caller's thread is one of those that work.
pub fn parallel<I: Sync, T: Send>(
    items: &[I],
    at_once: usize,
    work: impl Fn(&I) -> T + Sync,
) -> Vec<T> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    on_threads(at_once.min(items.len()), || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else {
                return;
            };
            let result = work(item);
            locked(&done).push((number, result));
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The same for work that can fail: after a failure what was begun is finished and nothing new is begun.
///
/// # Errors
/// The first failure in the order of the items.
pub fn try_parallel<I: Sync, T: Send, E: Send>(
    items: &[I],
    at_once: usize,
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let has_failed = AtomicBool::new(false);
    let results = parallel(items, at_once, |item| {
        if has_failed.load(Ordering::Relaxed) {
            return None;
        }
        let result = work(item);
        has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
        Some(result)
    });
    results.into_iter().flatten().collect()
}

/// Does `work` on up to `most` threads at once, fewer when the machine gives no more; the caller's is one of them. The work takes pieces of
/// itself until none are left.
pub fn on_threads(most: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 1..most {
            if Builder::new().spawn_scoped(scope, &work).is_err() {
                break;
            }
        }
        work();
    });
}

/// Items that one thread does ahead at once.
const BATCH: usize = 64;
/// The most threads that work ahead.
const MOST_AHEAD: usize = 4;

/// Does `work` for `items`, some of them at a time, and gives the results in their order to `take`, on the caller's thread. Other threads do
/// the work a few batches ahead, one for each processor; where none can be started, it is done in its turn.
///
/// # Errors
/// That of `take`, after which nothing more is taken.
pub fn ahead<I: Sync, T: Send, E>(
    items: &[I],
    work: impl Fn(&[I]) -> Vec<T> + Sync,
    mut take: impl FnMut(&I, T) -> Result<(), E>,
) -> Result<(), E> {
    let batches: Vec<&[I]> = items.chunks(BATCH).collect();
    let do_batch = |batch: &&[I]| work(batch);
    let processors = available_parallelism().map_or(1, usize::from);
    let lanes = processors.min(batches.len() / 2).min(MOST_AHEAD);
    std::thread::scope(|scope| {
        let own = |number| batches.iter().skip(number).step_by(lanes);
        let start = |number| lane(scope, own(number), &do_batch);
        let lanes: Vec<_> = (0..lanes).map(start).collect();
        for (number, batch) in batches.iter().enumerate() {
            let lane = lanes.get(number % lanes.len().max(1));
            let results = lane.and_then(|lane| lane.as_ref()?.recv().ok());
            let results = results.unwrap_or_else(|| do_batch(batch));
            let mut both = batch.iter().zip(results);
            both.try_for_each(|(item, result)| take(item, result))?;
        }
        Ok(())
    })
}

/// Starts a thread that does some of the work, one result ahead of who takes them; `None` where none can be started.
fn lane<'scope, B, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut own: impl Iterator<Item = B> + Send + 'scope,
    work: &'scope (impl Fn(B) -> T + Sync),
) -> Option<Receiver<T>> {
    let (give, results) = sync_channel(1);
    // nothing can be given where nobody takes any more
    let give_all = move || own.try_for_each(|item| give.send(work(item)));
    let thread = Builder::new().spawn_scoped(scope, give_all);
    thread.ok().map(|_| results)
}

/// Does `other` on a thread of its own beside `own`, where each needs the other to get on.
///
/// # Errors
/// The thread cannot be started, or its work panicked.
pub fn beside<A: Send, B>(
    other: impl FnOnce() -> A + Send,
    own: impl FnOnce() -> B,
) -> io::Result<(A, B)> {
    std::thread::scope(|scope| {
        let other = Builder::new().spawn_scoped(scope, other)?;
        let own = own();
        Ok((joined(other)?, own))
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> io::Result<T> {
    let panicked = |_| io::Error::other("a thread failed");
    thread.join().map_err(panicked)
}

/// Starts the threads that work on bytes in parallel, unless they are there. rayon starts them by itself, but panics when it cannot.
///
/// # Errors
/// They cannot be started.
pub(crate) fn start_pool() -> io::Result<()> {
    static IS_STARTED: Mutex<bool> = Mutex::new(false);
    let mut is_started = locked(&IS_STARTED);
    if !*is_started {
        let pool = rayon::ThreadPoolBuilder::new().build_global();
        pool.map_err(io::Error::other)?;
        *is_started = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..9).collect();
        for at_once in [0, 1, 5, 100] {
            assert_eq!(parallel(&items, at_once, |item| *item), items);
        }
    }

    #[test]
    fn the_first_failure_is_the_outcome() {
        let items: Vec<u32> = (0..1000).collect();
        let work = |item: &u32| if *item < 3 { Ok(()) } else { Err(*item) };
        assert_eq!(try_parallel(&items, 4, work), Err(3));
        assert_eq!(
            try_parallel(&items[..3], 4, |_| Ok::<_, ()>(())),
            Ok(vec![(); 3])
        );
    }

    #[test]
    fn what_is_done_ahead_is_taken_in_order() {
        for length in [0, 1, BATCH, 2 * BATCH, 40 * BATCH + 7] {
            let items: Vec<usize> = (0..length).collect();
            let mut taken = Vec::new();
            let double = |batch: &[usize]| batch.iter().map(|item| item * 2).collect();
            let outcome = ahead(&items, double, |item, result| {
                taken.push((*item, result));
                Ok::<_, ()>(())
            });
            let expected: Vec<_> = items.iter().map(|item| (*item, item * 2)).collect();
            assert_eq!((outcome, taken), (Ok(()), expected));
        }
    }

    #[test]
    fn after_a_failure_nothing_is_taken() {
        let items: Vec<usize> = (0..100 * BATCH).collect();
        let mut last = 0;
        let outcome = ahead(&items, <[usize]>::to_vec, |item, _| {
            last = *item;
            if last == 3 * BATCH { Err(last) } else { Ok(()) }
        });
        assert_eq!((outcome, last), (Err(3 * BATCH), 3 * BATCH));
    }

    #[test]
    fn two_sides_help_each_other() {
        let (give, take) = std::sync::mpsc::sync_channel(0);
        let (sum, ()) = beside(
            move || take.iter().sum::<u32>(),
            move || (0..5).for_each(|number| give.send(number).unwrap()),
        )
        .unwrap();
        assert_eq!(sum, 10);
    }
}
