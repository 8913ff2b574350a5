//! Turns rules by call number into a BPF program (`linux/filter.h`), with a binary search over ranges. Unaware of which calls are allowed.
//!
//! Arguments are compared by their low 32 bits: the kernel itself uses no more of clone's flags, a personality or an address family.

use libc::{
    BPF_ABS, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W,
    sock_filter,
};

/// Offsets in `struct seccomp_data`; the machines are little-endian, so the low half of an argument comes first.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENT_0: u32 = 16;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is allowed.
    Allow,
    /// It fails with this error.
    Errno(i32),
    /// It is allowed if its first argument has none of these bits, else it fails with EPERM.
    AllowWithout(u32),
    /// It is allowed if its first argument is in one of these ascending, inclusive ranges, else it fails with EPERM.
    AllowIn(&'static [(u32, u32)]),
    /// It is allowed unless the argument of this number is one of these, which fail with EPERM.
    AllowUnless(u32, &'static [u32]),
    /// It waits for the answer of the supervisor.
    Notify,
}

/// For each binary interface the actions from each call number on.
#[derive(Debug)]
pub struct Program(Vec<(u32, Vec<(u32, Action)>)>);

impl Program {
    pub fn new(interfaces: Vec<(u32, Vec<(u32, Action)>)>) -> Self {
        Self(interfaces)
    }

    pub fn assemble(&self) -> Vec<sock_filter> {
        let mut code = vec![load(ARCH)];
        for (arch, rules) in &self.0 {
            let mut block = vec![load(NUMBER)];
            block.extend(search(rules));
            // Skips the block of another interface; a block is longer than a conditional jump reaches.
            code.push(jump(BPF_JEQ, *arch, 1, 0));
            code.push(always(block.len()));
            code.extend(block);
        }
        code.push(answer(Action::Errno(libc::ENOSYS)));
        code
    }
}

fn search(rules: &[(u32, Action)]) -> Vec<sock_filter> {
    let (left, right) = rules.split_at(rules.len() / 2);
    let Some((first, _)) = right.first() else {
        return Vec::new();
    };
    if left.is_empty() {
        return right
            .first()
            .map(|(_, action)| act(*action))
            .unwrap_or_default();
    }
    let (left, right) = (search(left), search(right));
    let mut code = match u8::try_from(left.len()) {
        Ok(length) => vec![jump(BPF_JGE, *first, length, 0)],
        Err(_) => vec![jump(BPF_JGE, *first, 0, 1), always(left.len())],
    };
    code.extend(left);
    code.extend(right);
    code
}

fn act(action: Action) -> Vec<sock_filter> {
    match action {
        Action::Allow | Action::Errno(_) | Action::Notify => vec![answer(action)],
        Action::AllowUnless(argument, denied) => unless(argument, denied),
        Action::AllowWithout(bits) => vec![
            load(ARGUMENT_0),
            jump(BPF_JSET, bits, 0, 1),
            answer(Action::Errno(libc::EPERM)),
            answer(Action::Allow),
        ],
        Action::AllowIn(ranges) => within(ranges),
    }
}

fn within(ranges: &[(u32, u32)]) -> Vec<sock_filter> {
    let denied = Action::Errno(libc::EPERM);
    let mut rules = Vec::new();
    let mut next = Some(0);
    for (first, last) in ranges {
        rules.extend(next.filter(|next| next < first).map(|next| (next, denied)));
        rules.push((*first, Action::Allow));
        next = last.checked_add(1);
    }
    rules.extend(next.map(|next| (next, denied)));
    let mut code = vec![load(ARGUMENT_0)];
    code.extend(search(&rules));
    code
}

fn unless(argument: u32, denied: &[u32]) -> Vec<sock_filter> {
    let mut code = vec![load(ARGUMENT_0 + 8 * argument)];
    for value in denied {
        code.push(jump(BPF_JEQ, *value, 0, 1));
        code.push(answer(Action::Errno(libc::EPERM)));
    }
    code.push(answer(Action::Allow));
    code
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0)
}

fn answer(action: Action) -> sock_filter {
    let value = match action {
        Action::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(),
        Action::Notify => libc::SECCOMP_RET_USER_NOTIF,
        _ => libc::SECCOMP_RET_ALLOW,
    };
    instruction(BPF_RET | BPF_K, value, 0, 0)
}

fn jump(condition: u32, value: u32, when_true: u8, when_false: u8) -> sock_filter {
    instruction(BPF_JMP | condition | BPF_K, value, when_true, when_false)
}

fn always(distance: usize) -> sock_filter {
    // A program has at most 4,096 instructions, or the kernel refuses it.
    instruction(
        BPF_JMP | BPF_JA,
        u32::try_from(distance).unwrap_or(u32::MAX),
        0,
        0,
    )
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}
