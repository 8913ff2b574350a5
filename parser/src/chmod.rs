//! `--chmod`: octal and symbolic modes. Unaware of files; it maps a mode to a mode.
//!
//! The symbolic grammar is that of BSD's setmode(3), which BuildKit uses, with the `X` of POSIX 2024:
//! `[ugoa]*([-+=][rwxXstugo]*)+` separated by commas. No umask is applied: an empty class is `a`.

use serde::Serialize;

/// The set-user-ID and set-group-ID bits of all classes.
const SET_ID: u32 = 0o6000;
/// The sticky bit, which belongs to no class: only `t` touches it.
const STICKY: u32 = 0o1000;
/// What the class `o` owns.
const OTHER: u32 = 0o007;

/// A parsed `--chmod`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chmod {
    /// Replaces the mode, at most 0o7777.
    Octal(u32),
    /// Applied one after another.
    Symbolic(Vec<Clause>),
}

/// One step of a symbolic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clause {
    /// Sets these bits.
    Add(u32),
    /// Clears these bits.
    Remove(u32),
    /// `X`: sets these bits of directories and of what was executable before.
    AddExecution(u32),
    /// `g=u` and its kin: what `from` (0, 3 or 6, the place of its bits) may do, done to the permissions in `to`.
    Copy {
        /// How far left the bits of the class stand.
        from: u32,
        /// All permissions of the classes that change.
        to: u32,
        /// What happens to them.
        action: Action,
    },
}

/// What a clause does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `+`
    Add,
    /// `-`
    Remove,
    /// `=`
    Set,
}

impl Chmod {
    /// Reads `0755`, `u=rwX,go=rX`, … None if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok()?;
            return (mode <= 0o7777).then_some(Chmod::Octal(mode));
        }
        let mut clauses = Vec::new();
        for group in text.split(',') {
            parse_group(group, &mut clauses)?;
        }
        Some(Chmod::Symbolic(clauses))
    }

    /// The new mode (07777) of something whose mode is `mode`.
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let clauses = match self {
            Chmod::Octal(mode) => return *mode,
            Chmod::Symbolic(clauses) => clauses,
        };
        let before = mode & 0o7777;
        let search = is_directory || before & 0o111 != 0;
        clauses
            .iter()
            .fold(before, |mode, clause| clause.apply(mode, search))
    }

    /// The mode of a directory that must be made for what is copied: BuildKit's copier supports only octal modes there, and makes it by
    /// mkdir(2), which knows no special bits.
    pub fn of_made_directory(&self) -> u32 {
        match self {
            Chmod::Octal(mode) => mode & 0o777,
            Chmod::Symbolic(_) => 0o755,
        }
    }
}

impl Clause {
    fn apply(self, mode: u32, search: bool) -> u32 {
        match self {
            Clause::Add(bits) => mode | bits,
            Clause::Remove(bits) => mode & !bits,
            Clause::AddExecution(bits) if search => mode | bits,
            Clause::AddExecution(_) => mode,
            Clause::Copy { from, to, action } => {
                let bits = (((mode >> from) & 0o7) * 0o111) & to;
                match action {
                    Action::Add => mode | bits,
                    Action::Remove => mode & !bits,
                    Action::Set => (mode & !to) | bits,
                }
            }
        }
    }
}

fn parse_group(group: &str, clauses: &mut Vec<Clause>) -> Option<()> {
    let actions_at = group.find(['+', '-', '='])?;
    let (classes, mut actions) = group.split_at(actions_at);
    let mut who = 0;
    for class in classes.chars() {
        who |= match class {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => OTHER,
            'a' => SET_ID | 0o777,
            _ => return None,
        };
    }
    while !actions.is_empty() {
        let rest = actions[1..]
            .find(['+', '-', '='])
            .map_or("", |at| &actions[at + 1..]);
        let this = &actions[..actions.len() - rest.len()];
        ActionReader::new(who, this.chars().next()?)?.read(&this[1..], clauses)?;
        actions = rest;
    }
    Some(())
}

/// Reads the permissions of one action.
struct ActionReader {
    /// What the classes own; 0 if none was named.
    who: u32,
    action: Action,
    /// Permissions not written yet.
    bits: u32,
    /// `X` was among them.
    execution: bool,
    /// An `=` has taken effect already, by copying.
    set: bool,
}

impl ActionReader {
    fn new(who: u32, action: char) -> Option<Self> {
        let action = match action {
            '+' => Action::Add,
            '-' => Action::Remove,
            '=' => Action::Set,
            _ => return None,
        };
        Some(ActionReader {
            who,
            action,
            bits: 0,
            execution: false,
            set: false,
        })
    }

    fn read(mut self, permissions: &str, clauses: &mut Vec<Clause>) -> Option<()> {
        for permission in permissions.chars() {
            // Set-ID and sticky bits mean nothing for others.
            let special = self.who == 0 || self.who & !OTHER != 0;
            match permission {
                'r' => self.bits |= 0o444,
                'w' => self.bits |= 0o222,
                'x' => self.bits |= 0o111,
                'X' if self.action == Action::Remove => self.bits |= 0o111,
                'X' => self.execution = true,
                's' if special => self.bits |= SET_ID,
                't' if special => self.stick(),
                's' | 't' => {}
                'u' => self.copy(6, clauses),
                'g' => self.copy(3, clauses),
                'o' => self.copy(0, clauses),
                _ => return None,
            }
        }
        if self.bits != 0 || (self.action == Action::Set && !self.set) {
            self.flush(clauses);
        }
        self.flush_execution(clauses);
        Some(())
    }

    /// If no class was named, `t` is about the sticky bit alone, as in setmode(3).
    fn stick(&mut self) {
        self.who |= STICKY;
        self.bits |= STICKY;
    }

    fn owned(&self, bits: u32) -> u32 {
        if self.who == 0 { bits } else { bits & self.who }
    }

    fn flush(&mut self, clauses: &mut Vec<Clause>) {
        let bits = self.owned(self.bits);
        self.bits = 0;
        if self.action == Action::Set {
            clauses.push(Clause::Remove(match self.who {
                0 => SET_ID | 0o777,
                who => who,
            }));
        }
        clauses.push(match self.action {
            Action::Remove => Clause::Remove(bits),
            Action::Add | Action::Set => Clause::Add(bits),
        });
    }

    fn flush_execution(&mut self, clauses: &mut Vec<Clause>) {
        if std::mem::take(&mut self.execution) {
            clauses.push(Clause::AddExecution(self.owned(0o111)));
        }
    }

    fn copy(&mut self, from: u32, clauses: &mut Vec<Clause>) {
        if self.bits != 0 {
            self.flush(clauses);
        }
        self.set = true;
        self.flush_execution(clauses);
        clauses.push(Clause::Copy {
            from,
            to: self.owned(0o777),
            action: self.action,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, mode: u32) -> u32 {
        Chmod::parse(text).unwrap().apply(mode, false)
    }

    #[test]
    fn symbols() {
        for (text, before, after) in [
            ("go-w", 0o666, 0o644),
            ("u=rwx,go=rx", 0, 0o755),
            ("=rw", 0o6777, 0o666),
            ("u=", 0o4777, 0o077),
            ("u+", 0o421, 0o421),
            ("a+r-w,u=rw", 0o220, 0o644),
            ("u+s", 0, 0o4000),
            ("+s", 0, 0o6000),
            ("o+s", 0, 0),
        ] {
            assert_eq!(applied(text, before), after, "{text}");
        }
    }

    #[test]
    fn execution_if_somebody_could_before() {
        for (text, before, after) in [
            ("u+X", 0, 0),
            ("u+X", 0o001, 0o101),
            ("u=rwX,go=rX", 0o600, 0o644),
            ("u=rwX,go=rX", 0o700, 0o755),
            ("a-x,a+X", 0o755, 0o755),
            ("-X", 0o755, 0o644),
        ] {
            assert_eq!(applied(text, before), after, "{text}");
        }
        let chmod = Chmod::parse("a=rX").unwrap();
        assert_eq!(chmod.apply(0o600, true), 0o555);
    }

    #[test]
    fn the_sticky_bit_belongs_to_no_class() {
        for (text, before, after) in [
            ("+t", 0o421, 0o1421),
            ("u+t", 0o421, 0o1421),
            ("o+t", 0o421, 0o421),
            ("-t", 0o1421, 0o421),
            ("a=rx", 0o7777, 0o1555),
            ("o=r", 0o1777, 0o1774),
            ("+xt", 0o600, 0o1600),
        ] {
            assert_eq!(applied(text, before), after, "{text}");
        }
    }

    #[test]
    fn permissions_of_another_class() {
        for (text, before, after) in [
            ("g=u", 0o640, 0o660),
            ("g=u", 0o2600, 0o2660),
            ("u=g-w", 0o762, 0o462),
            ("go=u-w", 0o770, 0o755),
            ("u+go", 0o021, 0o321),
            ("-u", 0o711, 0o000),
            ("g=uw", 0o700, 0o720),
        ] {
            assert_eq!(applied(text, before), after, "{text}");
        }
    }

    #[test]
    fn what_is_no_mode() {
        for text in [
            "u", "x+r", "u+z", "1+x", "08", "10000", "0o644", "+644", ",u+x", "u+x,",
        ] {
            assert_eq!(Chmod::parse(text), None, "{text}");
        }
    }

    #[test]
    fn directories_on_the_way() {
        let made = |text| Chmod::parse(text).unwrap().of_made_directory();
        assert_eq!(
            (made("4711"), made("600"), made("go=")),
            (0o711, 0o600, 0o755)
        );
    }
}
