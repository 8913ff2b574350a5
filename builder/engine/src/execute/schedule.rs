//! Where every node of a build is, and which one is carried out next: in parallel, inputs first, each node on a thread of its own.
//! Unaware of what a node does.
//!
//! One thread per node (n2's choice): the thread of a RUN only waits for a child, so threads are cheap and the code stays straight.
//! A RUN is *live* before it is done: its users start on its upper while its layer is being written.

use crate::execute::live::Live;
use crate::failure::StepError;
use crate::plan::output::{Basis, Done, Output};
use kiln_parser::graph::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// Where a node is. It goes down this list, and skips states but never returns to one.
#[derive(Debug)]
pub enum NodeState {
    /// No target needs it. It stays so.
    Unwanted,
    /// It waits until this many inputs are live or done.
    Waiting(usize),
    /// All inputs can be used; it stands in the queue of its lane.
    Ready,
    /// It has a thread, which makes its key and looks for a result, perhaps one that another build is making.
    LookedUp,
    /// It has no result yet: the operation is being executed.
    Running,
    /// The command of a RUN has ended. Users may stand on its upper while its layer is written; its lane has room again.
    Live(Arc<Live>),
    /// It has this output.
    Done(Output),
    /// It failed or was cancelled. What waits for it is cancelled, too.
    Failed,
}

/// What a node mostly uses, and so which bound counts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// kiln's own CPU work: as many at once as there are cores.
    Work,
    /// Another program: as many at once as `--jobs` says.
    Process,
    /// An answer from outside: a network, which has bounds of its own.
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

/// A node of the graph.
#[derive(Debug, Clone)]
pub struct Task {
    /// Nodes that must be usable before; duplicates are allowed.
    pub inputs: Vec<usize>,
    /// Which bound counts.
    pub lane: Lane,
    /// Whether a target needs it.
    pub wanted: bool,
}

/// All nodes of one execution.
#[derive(Debug)]
pub struct Schedule {
    lanes: Vec<Lane>,
    users: Vec<Vec<usize>>,
    limits: [usize; LANES],
    table: Mutex<Table>,
    /// Told of every change of the table.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    states: Vec<NodeState>,
    /// Those that are [`NodeState::Ready`], by lane.
    queues: [VecDeque<usize>; LANES],
    /// How many are [`NodeState::LookedUp`] or [`NodeState::Running`], by lane.
    busy: [usize; LANES],
    /// How many have a thread.
    threads: usize,
    /// Whether any is [`NodeState::Failed`].
    has_failed: bool,
}

impl Schedule {
    /// The start: nodes without inputs are ready.
    pub fn new(tasks: &[Task], limits: Limits) -> Self {
        let mut users = vec![Vec::new(); tasks.len()];
        let mut table = Table::default();
        for (node, task) in tasks.iter().enumerate() {
            let state = match task.inputs.len() {
                _ if !task.wanted => NodeState::Unwanted,
                0 => table.enqueue(node, task.lane),
                inputs => NodeState::Waiting(inputs),
            };
            table.states.push(state);
            for &input in task.inputs.iter().filter(|_| task.wanted) {
                users[input].push(node);
            }
        }
        Schedule {
            lanes: tasks.iter().map(|task| task.lane).collect(),
            users,
            limits: [limits.work.max(1), limits.process.max(1), usize::MAX],
            table: Mutex::new(table),
            changed: Condvar::new(),
        }
    }

    /// Carries out all wanted nodes; `perform` gives a node's output, or none if it failed. After the first failure nothing more is
    /// started and the rest is awaited. The file systems of all nodes, unless one failed.
    pub fn run(
        &self,
        perform: impl Fn(usize) -> Option<Output> + Sync,
    ) -> Option<BTreeMap<usize, Arc<Done>>> {
        let carry_out = &|node| self.finish(node, perform(node));
        std::thread::scope(|scope| {
            while let Some(node) = self.next() {
                let spawned = Builder::new().spawn_scoped(scope, move || carry_out(node));
                if spawned.is_err() {
                    // The machine allows no more threads: one node after the other, then.
                    carry_out(node);
                }
            }
        });
        let table = self.table();
        let done = |state: &NodeState| match state {
            NodeState::Done(output) => output.layers().cloned(),
            _ => None,
        };
        let results = table.states.iter().map(done).enumerate();
        let results = results.filter_map(|(node, done)| Some((node, done?)));
        (!table.has_failed).then(|| results.collect())
    }

    /// Waits for the next node that may start; none when all have ended or one has failed.
    fn next(&self) -> Option<usize> {
        let mut table = self.table();
        loop {
            if table.has_failed {
                return None;
            }
            if let Some(node) = table.start(&self.limits) {
                return Some(node);
            }
            if table.threads == 0 {
                return None;
            }
            table = self.wait(table);
        }
    }

    /// A node's result was looked up and has to be made.
    ///
    /// # Errors
    /// After a failure nothing more is made.
    pub fn running(&self, node: NodeId) -> Result<(), StepError> {
        let mut table = self.table();
        if table.has_failed {
            return Err(StepError::Cancelled);
        }
        table.states[node.0] = NodeState::Running;
        Ok(())
    }

    /// A node's users may start, and it no longer counts in its lane.
    pub fn live(&self, node: NodeId, live: Live) {
        let mut table = self.table();
        table.states[node.0] = NodeState::Live(Arc::new(live));
        self.release(&mut table, node.0);
    }

    fn finish(&self, node: usize, output: Option<Output>) {
        let mut table = self.table();
        table.threads -= 1;
        table.has_failed |= output.is_none();
        let state = output.map_or(NodeState::Failed, NodeState::Done);
        match std::mem::replace(&mut table.states[node], state) {
            NodeState::Live(_) => self.changed.notify_all(),
            _ => self.release(&mut table, node),
        }
    }

    /// A node leaves its lane: it can be used, or has failed.
    fn release(&self, table: &mut Table, node: usize) {
        table.busy[self.lanes[node] as usize] -= 1;
        let has_failed = table.has_failed;
        for &user in self.users[node].iter().filter(|_| !has_failed) {
            if let NodeState::Waiting(inputs) = &mut table.states[user] {
                *inputs -= 1;
                if *inputs == 0 {
                    table.states[user] = table.enqueue(user, self.lanes[user]);
                }
            }
        }
        self.changed.notify_all();
    }

    /// The output of a node that can be used, waited for until its layer is written.
    pub fn output(&self, node: NodeId) -> Result<Output, StepError> {
        let mut table = self.table();
        loop {
            match &table.states[node.0] {
                NodeState::Done(output) => return Ok(output.clone()),
                NodeState::Live(_) => table = self.wait(table),
                _ => return Err(StepError::Cancelled),
            }
        }
    }

    /// The file system of a node, as [`Schedule::output`] gives it.
    ///
    /// # Errors
    /// When it failed, or is a build context.
    pub fn layers(&self, node: NodeId) -> Result<Arc<Done>, StepError> {
        let output = self.output(node)?;
        let changed = || StepError::Unsupported("a build context cannot be changed".to_owned());
        output.layers().cloned().ok_or_else(changed)
    }

    /// What can be mounted of a node whose layer is still being written.
    pub fn live_uppers(&self, node: NodeId) -> Option<Arc<Live>> {
        match &self.table().states[node.0] {
            NodeState::Live(live) => Some(live.clone()),
            _ => None,
        }
    }

    /// What the files of these nodes rest on, and so what is made of them.
    pub fn rests_on(&self, inputs: Vec<NodeId>) -> Result<Basis, StepError> {
        let mut basis = Basis::default();
        for input in inputs {
            if let Output::Layers(done) = self.output(input)? {
                basis = basis.with(&done.stack.basis);
            }
        }
        Ok(basis)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'t>(&self, table: MutexGuard<'t, Table>) -> MutexGuard<'t, Table> {
        let woken = self.changed.wait(table);
        woken.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn enqueue(&mut self, node: usize, lane: Lane) -> NodeState {
        self.queues[lane as usize].push_back(node);
        NodeState::Ready
    }

    /// The next node to start, within the limits.
    fn start(&mut self, limits: &[usize; LANES]) -> Option<usize> {
        let has_room = |lane: &usize| self.busy[*lane] < limits[*lane];
        let mut lanes = (0..LANES).filter(has_room);
        let lane = lanes.find(|lane| !self.queues[*lane].is_empty())?;
        let node = self.queues[lane].pop_front()?;
        self.states[node] = NodeState::LookedUp;
        self.busy[lane] += 1;
        self.threads += 1;
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::output::Stack;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
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

    fn done() -> Option<Output> {
        Some(Output::of(Stack::empty()))
    }

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
        let results = Schedule::new(&tasks, LIMITS).run(|node| {
            order.lock().unwrap().push(node);
            done()
        });
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
        let results: Vec<usize> = results.unwrap().into_keys().collect();
        assert_eq!(results, [0, 1, 2]);
    }

    #[test]
    fn users_of_a_live_node_overlap_with_its_end_and_wait_for_its_output() {
        let tasks = [task(&[], Lane::Process), task(&[0], Lane::Process)];
        let limits = Limits {
            work: 1,
            process: 1,
        };
        let schedule = Schedule::new(&tasks, limits);
        let (started, wait) = channel();
        let wait = Mutex::new(wait);
        let results = schedule.run(|node| {
            if node == 0 {
                schedule.running(NodeId(0)).unwrap();
                schedule.live(NodeId(0), Live::finished(Stack::empty()));
                let wait = wait.lock().unwrap();
                wait.recv_timeout(Duration::from_secs(10)).ok()?;
                return done();
            }
            assert!(schedule.live_uppers(NodeId(0)).is_some());
            started.clone().send(()).ok()?;
            schedule.output(NodeId(0)).ok()
        });
        assert_eq!(results.unwrap().len(), 2);
        assert!(schedule.live_uppers(NodeId(0)).is_none());
    }

    #[test]
    fn lanes_are_bounded() {
        let tasks: Vec<Task> = (0..20).map(|_| task(&[], Lane::Work)).collect();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results = Schedule::new(&tasks, LIMITS).run(|_| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            now.fetch_sub(1, Ordering::SeqCst);
            done()
        });
        assert!(results.is_some());
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_lane_that_waits_keeps_no_other_one_from_working() {
        let lanes = [Lane::Wait, Lane::Wait, Lane::Work, Lane::Process];
        let tasks = lanes.map(|lane| task(&[], lane));
        let limits = Limits {
            work: 1,
            process: 1,
        };
        // Each of them only goes on when all have begun.
        let begun = AtomicUsize::new(0);
        let have_begun = |_| {
            std::thread::sleep(Duration::from_millis(5));
            begun.load(Ordering::SeqCst) == lanes.len()
        };
        let results = Schedule::new(&tasks, limits).run(|_| {
            begun.fetch_add(1, Ordering::SeqCst);
            (0..2000).any(have_begun).then(done)?
        });
        assert!(results.is_some());
    }

    #[test]
    fn after_a_failure_nothing_more_starts_or_is_made() {
        let tasks = [
            task(&[], Lane::Work),
            task(&[0], Lane::Work),
            task(&[], Lane::Work),
        ];
        let schedule = Schedule::new(&tasks, LIMITS);
        let ran = AtomicUsize::new(0);
        let results = schedule.run(|node| {
            ran.fetch_add(1, Ordering::SeqCst);
            if node == 0 {
                while ran.load(Ordering::SeqCst) < 2 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                return None;
            }
            while schedule.running(NodeId(node)).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            done()
        });
        assert!(results.is_none());
        assert_eq!(ran.load(Ordering::SeqCst), 2);
        assert!(schedule.output(NodeId(0)).is_err());
    }
}
