//! Runs the nodes of an acyclic graph in parallel, each on a thread of its own. Unaware of what a node does.
//!
//! One thread per running node (n2's choice): a RUN's thread only waits for a child, so threads are cheap and the code
//! stays straight. A node may be *ready early*: its users start while it still finishes (a RUN's layer is written while
//! the next RUN runs). Nodes of [`Lane::Process`] are bounded by `--jobs`, those of [`Lane::Work`] by the cores, those of
//! [`Lane::Wait`] not at all.

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::thread::Builder;

/// What a node mostly uses, and so which bound counts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// kiln's own CPU work.
    Work,
    /// Somebody else's process.
    Process,
    /// Somebody else's answer: a network, which has bounds of its own.
    Wait,
}

/// How many lanes there are.
const LANES: usize = 3;

/// How many nodes of a lane may run at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For [`Lane::Work`], at least 1.
    pub work: usize,
    /// For [`Lane::Process`], at least 1.
    pub process: usize,
}

/// A node of the graph to run.
#[derive(Debug, Clone)]
pub struct Task {
    /// Nodes that must be ready before; duplicates are allowed.
    pub inputs: Vec<usize>,
    /// Which bound counts.
    pub lane: Lane,
    /// Nodes that nobody wants are never started.
    pub wanted: bool,
}

enum Message<E> {
    Early(usize),
    Finished(usize, Result<(), E>),
}

/// Lets a running node say that its users may start.
#[derive(Debug)]
pub struct Ready<'a, E> {
    node: usize,
    sender: &'a Sender<Message<E>>,
}

impl<E> Ready<'_, E> {
    /// Users may start now; the node goes on and no longer counts against its lane's limit.
    pub fn early(&self) {
        // The coordinator outlives all nodes; a lost message could only mean that it panicked.
        let _ = self.sender.send(Message::Early(self.node));
    }
}

struct Coordinator<'t> {
    tasks: &'t [Task],
    waiting_for: Vec<usize>,
    users: Vec<Vec<usize>>,
    ready: [VecDeque<usize>; LANES],
    running: [usize; LANES],
    is_ready: Vec<bool>,
    limits: Limits,
    unfinished: usize,
}

/// Runs all wanted nodes, inputs first. After the first failure nothing new is started, `on_failure` is called once with
/// it, and the rest is awaited.
///
/// # Errors
/// The first failure, in time.
pub fn run<E, F>(
    tasks: &[Task],
    limits: Limits,
    execute: F,
    on_failure: impl Fn(&E),
) -> Result<(), E>
where
    E: Send,
    F: Fn(usize, &Ready<'_, E>) -> Result<(), E> + Sync,
{
    let (sender, receiver) = channel();
    let mut coordinator = Coordinator::new(tasks, limits);
    let mut failure = None;
    let perform = |node: usize, sender: &Sender<Message<E>>| {
        let result = execute(node, &Ready { node, sender });
        let _ = sender.send(Message::Finished(node, result));
    };
    std::thread::scope(|scope| {
        loop {
            while failure.is_none()
                && let Some(node) = coordinator.next()
            {
                let (sent, perform) = (sender.clone(), &perform);
                let work = move || perform(node, &sent);
                if Builder::new().spawn_scoped(scope, work).is_err() {
                    // the machine allows no more threads: one after the other, then
                    perform(node, &sender);
                }
            }
            if coordinator.unfinished == 0 {
                break;
            }
            match receiver.recv() {
                Ok(Message::Early(node)) => coordinator.mark_ready(node),
                Ok(Message::Finished(node, Ok(()))) => coordinator.finish(node),
                Ok(Message::Finished(node, Err(error))) => {
                    coordinator.unfinished -= 1;
                    if failure.is_none() {
                        on_failure(&error);
                        failure = Some(error);
                    }
                    let _ = node;
                }
                Err(_) => break,
            }
        }
    });
    failure.map_or(Ok(()), Err)
}

impl<'t> Coordinator<'t> {
    fn new(tasks: &'t [Task], limits: Limits) -> Self {
        let mut this = Coordinator {
            tasks,
            waiting_for: vec![0; tasks.len()],
            users: vec![Vec::new(); tasks.len()],
            ready: Default::default(),
            running: [0; LANES],
            is_ready: vec![false; tasks.len()],
            limits,
            unfinished: 0,
        };
        for (node, task) in tasks.iter().enumerate().filter(|(_, task)| task.wanted) {
            this.waiting_for[node] = task.inputs.len();
            for &input in &task.inputs {
                this.users[input].push(node);
            }
            if task.inputs.is_empty() {
                this.enqueue(node);
            }
        }
        this
    }

    fn enqueue(&mut self, node: usize) {
        self.ready[self.tasks[node].lane as usize].push_back(node);
    }

    /// The next node to start, within the limits.
    fn next(&mut self) -> Option<usize> {
        for (lane, limit) in [self.limits.work, self.limits.process, usize::MAX]
            .into_iter()
            .enumerate()
        {
            if self.running[lane] < limit.max(1)
                && let Some(node) = self.ready[lane].pop_front()
            {
                self.running[lane] += 1;
                self.unfinished += 1;
                return Some(node);
            }
        }
        None
    }

    fn mark_ready(&mut self, node: usize) {
        if std::mem::replace(&mut self.is_ready[node], true) {
            return;
        }
        self.running[self.tasks[node].lane as usize] -= 1;
        for user in std::mem::take(&mut self.users[node]) {
            self.waiting_for[user] -= 1;
            if self.waiting_for[user] == 0 {
                self.enqueue(user);
            }
        }
    }

    fn finish(&mut self, node: usize) {
        self.mark_ready(node);
        self.unfinished -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn task(inputs: &[usize], lane: Lane) -> Task {
        Task {
            inputs: inputs.to_vec(),
            lane,
            wanted: true,
        }
    }

    const LIMITS: Limits = Limits {
        work: 2,
        process: usize::MAX,
    };

    #[test]
    fn inputs_come_first_and_unwanted_nodes_never() {
        let mut tasks = vec![
            task(&[], Lane::Work),
            task(&[0, 0], Lane::Process),
            task(&[1, 0], Lane::Work),
            task(&[], Lane::Work),
        ];
        tasks[3].wanted = false;
        let order = Mutex::new(Vec::new());
        let result: Result<(), ()> = run(
            &tasks,
            LIMITS,
            |node, _| {
                order.lock().unwrap().push(node);
                Ok(())
            },
            |()| {},
        );
        assert_eq!(result, Ok(()));
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    }

    #[test]
    fn users_of_an_early_node_overlap_with_its_end() {
        let tasks = [task(&[], Lane::Process), task(&[0], Lane::Process)];
        let (started, wait) = channel();
        let wait = Mutex::new(wait);
        let result: Result<(), &str> = run(
            &tasks,
            Limits {
                work: 1,
                process: 1,
            },
            |node, ready| {
                if node == 0 {
                    ready.early();
                    return wait
                        .lock()
                        .unwrap()
                        .recv_timeout(Duration::from_secs(10))
                        .map_err(|_| "the user never started");
                }
                started.clone().send(()).map_err(|_| "gone")
            },
            |_| {},
        );
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn lanes_are_bounded() {
        let tasks: Vec<Task> = (0..20).map(|_| task(&[], Lane::Work)).collect();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let result: Result<(), ()> = run(
            &tasks,
            LIMITS,
            |_, _| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            },
            |()| {},
        );
        assert_eq!(result, Ok(()));
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn who_waits_keeps_nobody_from_working() {
        let tasks = [
            task(&[], Lane::Wait),
            task(&[], Lane::Wait),
            task(&[], Lane::Work),
            task(&[], Lane::Process),
        ];
        let limits = Limits {
            work: 1,
            process: 1,
        };
        // Each of them only goes on when all have begun.
        let begun = AtomicUsize::new(0);
        let result = run(
            &tasks,
            limits,
            |_, _| {
                begun.fetch_add(1, Ordering::SeqCst);
                (0..2000)
                    .any(|_| {
                        std::thread::sleep(Duration::from_millis(5));
                        begun.load(Ordering::SeqCst) == tasks.len()
                    })
                    .then_some(())
                    .ok_or("somebody was kept waiting")
            },
            |_| {},
        );
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn after_a_failure_nothing_new_starts() {
        let tasks = [
            task(&[], Lane::Work),
            task(&[0], Lane::Work),
            task(&[], Lane::Work),
        ];
        let ran = AtomicUsize::new(0);
        let failures = AtomicUsize::new(0);
        let result = run(
            &tasks,
            LIMITS,
            |node, _| {
                ran.fetch_add(1, Ordering::SeqCst);
                if node == 0 { Err("boom") } else { Ok(()) }
            },
            |_| {
                failures.fetch_add(1, Ordering::SeqCst);
            },
        );
        assert_eq!(result, Err("boom"));
        assert_eq!(ran.load(Ordering::SeqCst), 2);
        assert_eq!(failures.load(Ordering::SeqCst), 1);
    }
}
