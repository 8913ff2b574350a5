//! `kiln explore`: a browser for the layers and files of an image, on a terminal.

mod browser;
mod draw;
mod events;
mod keys;
mod layout;
mod screen;
mod subject;
mod surface;

use crate::environment::{self, Globals};
use crate::failure::Failure;
use crate::source::Named;
use browser::{Browser, Outcome};
use clap::Args;
use draw::Theme;
use events::Event;
use kiln_report::compressed::Effort;
use layout::Parts;
use screen::Screen;
use std::sync::mpsc::Receiver;
use subject::Subject;

/// Arguments of `kiln explore`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    image: Named,
}

/// Browses until the user has seen enough.
///
/// # Errors
/// There is no terminal, or the image cannot be read.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    screen::check()?;
    let found = arguments.image.find(globals, Effort::Estimate)?;
    let mut browser = Browser::new(Subject::new(globals, found)?);
    let theme = Theme {
        has_color: environment::color(true),
    };
    let mut screen = Screen::open()?;
    browse(&mut screen, &mut browser, &events::listen()?, theme)
}

/// What an event leads to.
fn answer(screen: &mut Screen, browser: &mut Browser, event: Event) -> Result<Outcome, Failure> {
    let outcome = match event {
        Event::Key(key) => browser.press(&key),
        Event::Resized => Outcome::Draw,
        Event::Suspend => Outcome::Suspend,
        Event::Continued => {
            screen::give_back();
            screen.take()?;
            Outcome::Draw
        }
        Event::Ended => Outcome::Quit,
    };
    if outcome == Outcome::Suspend {
        screen::give_back();
        events::stop();
    }
    Ok(outcome)
}

/// Draws what each event leads to. Events that wait are all taken before it is drawn again.
fn browse(
    screen: &mut Screen,
    browser: &mut Browser,
    events: &Receiver<Event>,
    theme: Theme,
) -> Result<(), Failure> {
    loop {
        screen.draw(|frame| {
            Parts::of(frame.area(), browser.pane).resize(browser);
            draw::draw(frame, browser, theme);
        })?;
        let Ok(first) = events.recv() else {
            return Ok(());
        };
        for event in std::iter::once(first).chain(events.try_iter()) {
            if answer(screen, browser, event)? == Outcome::Quit {
                return Ok(());
            }
        }
    }
}
