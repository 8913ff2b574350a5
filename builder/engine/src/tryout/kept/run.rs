//! A container from its start to its end: its state is written, and others are listened to meanwhile. Unaware of who attends it.

use super::Held;
use super::control::{Serving, Socket};
use super::guest::Guest;
use super::record::{End, Record, State, exit_code};
use crate::execute::runner::attended::{Attendant, Attended, Keeps};
use crate::failure::{ContainerError, KeptError};
use crate::session::Session;
use crate::tryout::container::{Container, attend};
use kiln_oci::locked;
use kiln_sandbox::{Exit, KillHandle, Stdio, TerminalSize};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Mutex;

impl Held {
    /// Runs it to its end, with a terminal of this size if it is to have one. What it has changed stays, or goes with it.
    ///
    /// # Errors
    /// It cannot be started. One that was made for this is removed then.
    pub fn run(
        self,
        session: &Session,
        terminal: Option<TerminalSize>,
        attendant: &dyn Attendant,
    ) -> Result<Exit, ContainerError> {
        let container = self.container(session, terminal)?;
        let hosted = Hosted::new(session, &self.record, attendant)?;
        let ran = attend(session, &container, (&hosted, self.keeps()));
        match (ran, hosted.end()) {
            (Ok(attended), begun) => {
                // before who attends it is waited for: others ask what became of it
                begun.map_or(Ok(()), |begun| self.finish(session, &attended, begun))?;
                Ok(attended.leave(attendant))
            }
            (Err(error), None) if self.is_new => {
                self.remove(&session.store)?;
                Err(error)
            }
            (Err(error), _) => Err(error),
        }
    }

    fn keeps(&self) -> Keeps<'_> {
        match self.record.draft.is_temporary {
            true => Keeps::Until(&self.record.id),
            false => Keeps::In(&self.record.id),
        }
    }

    fn container(
        &self,
        session: &Session,
        terminal: Option<TerminalSize>,
    ) -> Result<Container, KeptError> {
        let mut container = self.record.draft.container.clone();
        container.layers = session.store.containers().layers(&self.record.id)?;
        container.terminal = container.terminal.and(terminal);
        Ok(container)
    }

    fn finish(
        self,
        session: &Session,
        attended: &Attended,
        (began, serving): (i64, Serving),
    ) -> Result<(), ContainerError> {
        let (store, id) = (&session.store, &self.record.id);
        let (at, code) = (session.host.seconds(), exit_code(&attended.exit));
        if self.record.draft.is_temporary {
            self.remove(store)?;
        } else {
            if let Some(layer) = &attended.layer {
                store.containers().add_layer(id, &layer.diff_id())?;
            }
            let end = End::new(at, &attended.exit);
            let (began, end) = (Some(began), Some(end));
            State { began, end }.write(store, id)?;
            drop(self.lock);
        }
        serving.tell_end(code);
        Ok(())
    }
}

/// An attendant whose process others may ask for something.
struct Hosted<'a> {
    session: &'a Session,
    record: &'a Record,
    attendant: &'a dyn Attendant,
    socket: Mutex<Option<Socket>>,
    /// Since when it runs, and who listens.
    begun: Mutex<Option<(i64, Serving)>>,
}

impl<'a> Hosted<'a> {
    fn new(
        session: &'a Session,
        record: &'a Record,
        attendant: &'a dyn Attendant,
    ) -> Result<Self, KeptError> {
        let socket = Socket::open(&session.store, &record.id)?;
        Ok(Hosted {
            session,
            record,
            attendant,
            socket: Mutex::new(Some(socket)),
            begun: Mutex::default(),
        })
    }

    fn end(self) -> Option<(i64, Serving)> {
        locked(&self.begun).take()
    }

    fn begin(&self, process: KillHandle) -> Result<(), KeptError> {
        let began = self.session.host.seconds();
        let state = State {
            began: Some(began),
            end: None,
        };
        state.write(&self.session.store, &self.record.id)?;
        if let Some(socket) = locked(&self.socket).take() {
            let guest = Guest::new(self.session, self.record, process);
            *locked(&self.begun) = Some((began, socket.serve(guest)?));
        }
        Ok(())
    }
}

impl Attendant for Hosted<'_> {
    fn streams(&self) -> io::Result<Stdio> {
        self.attendant.streams()
    }

    fn terminal(&self) -> Option<BorrowedFd<'_>> {
        self.attendant.terminal()
    }

    fn note(&self, note: &str) {
        self.attendant.note(note);
    }

    fn started(&self, process: KillHandle, terminal: Option<OwnedFd>) -> io::Result<()> {
        self.begin(process.clone()).map_err(io::Error::other)?;
        self.attendant.started(process, terminal)
    }

    fn ended(&self) {
        self.attendant.ended();
    }

    fn leave(&self) {
        self.attendant.leave();
    }
}
