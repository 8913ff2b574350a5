//! Keys and what they lead to, on a small image that has something of each class. The drawn screens are of the same image.

use super::*;
use crate::command::explore::subject::Made;
use kiln_cache::index_tar;
use kiln_oci::{Digest, ImageConfig};
use kiln_report::classify::Class;
use kiln_report::image::{Image, ImageLayer};
use kiln_report::lifetimes::{Scope, State};

/// A file with this many bytes, a folder (`/` at the end), a link (`->`) or a whiteout.
fn layer(members: &[(&str, usize, u8)]) -> ImageLayer {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, size, letter) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(if path.ends_with('/') { 0o755 } else { 0o644 });
        header.set_size(*size as u64);
        if let Some((path, target)) = path.split_once("->") {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, path, target).unwrap();
            continue;
        }
        if path.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        tar.append_data(&mut header, path, &vec![*letter; *size][..])
            .unwrap();
    }
    let index = index_tar(&*tar.into_inner().unwrap()).unwrap();
    ImageLayer::plain(index)
}

/// A base, and layers that waste some of it.
pub fn subject() -> Subject {
    let layers = vec![
        layer(&[
            ("bin/", 0, 0),
            ("bin/sh", 120_000, b's'),
            ("bin/ls->sh", 0, 0),
            ("etc/passwd", 900, b'p'),
            ("var/lib/apt/lists/deb.debian.org_dists", 250_000, b'l'),
        ]),
        layer(&[
            ("app/node_modules/left-pad/index.js", 40_000, b'j'),
            ("app/node_modules/left-pad/copy.js", 40_000, b'j'),
            ("app/server.js", 12_000, b'a'),
            ("app/\u{1b}[31m層.txt", 3_000, b't'),
        ]),
        layer(&[
            ("app/server.js", 13_000, b'b'),
            ("etc/passwd", 900, b'p'),
            ("var/lib/apt/.wh.lists", 0, 0),
        ]),
    ];
    let made = |text: &str, line| Made {
        text: text.to_owned(),
        place: Some(("Dockerfile".to_owned(), line)),
    };
    let image = Image {
        id: Digest::of(b"image"),
        config: ImageConfig::default(),
        layers,
        base: 1,
    };
    let made = vec![
        Made {
            text: "ADD rootfs.tar /".to_owned(),
            place: None,
        },
        made("COPY . /app", 3),
        made(
            "RUN sed -i s/a/b/ /app/server.js && chown 1:1 /etc/passwd && rm -r /var/lib/apt/lists",
            4,
        ),
    ];
    Subject::of("app:1", image, made)
}

/// After these keys: a letter, `^` and a letter, or a name in `<>`.
pub fn browser(keys: &str) -> Browser {
    let mut browser = Browser::new(subject());
    browser.resize(5, 10);
    press(&mut browser, keys);
    browser
}

/// What the last key asks for.
fn press(browser: &mut Browser, keys: &str) -> Outcome {
    let mut outcome = Outcome::Draw;
    let mut rest = keys.chars();
    while let Some(letter) = rest.next() {
        let (modifiers, code) = match letter {
            '^' => (KeyModifiers::CONTROL, KeyCode::Char(rest.next().unwrap())),
            '<' => (
                KeyModifiers::NONE,
                named(&rest.by_ref().take_while(|l| *l != '>').collect::<String>()),
            ),
            letter => (KeyModifiers::NONE, KeyCode::Char(letter)),
        };
        outcome = browser.press(&KeyEvent::new(code, modifiers));
    }
    outcome
}

fn named(name: &str) -> KeyCode {
    match name {
        "tab" => KeyCode::Tab,
        "down" => KeyCode::Down,
        "up" => KeyCode::Up,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "end" => KeyCode::End,
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "back" => KeyCode::Backspace,
        other => panic!("no key {other}"),
    }
}

/// The paths in sight with their states and bytes.
fn shown(browser: &Browser) -> Vec<String> {
    let rows = browser.files.rows.iter().map(|row| {
        let measure = &browser.files.measures[row.node];
        let path = browser.subject.paths.path(row.node);
        let state = match measure.state {
            Some(State::Added) => '+',
            Some(State::Changed) => '~',
            Some(State::Removed) => '-',
            Some(State::Unchanged) | None => '=',
        };
        let bytes = browser.files.bytes(measure);
        format!("{state}/{} {bytes}", String::from_utf8_lossy(&path))
    });
    rows.collect()
}

#[test]
fn at_first_all_layers_are_shown_largest_first() {
    let shown = shown(&browser(""));
    let rows: Vec<&str> = shown.iter().map(|row| &row[1..]).collect();
    let wanted = [
        "/ 479800",
        "/var 250000",
        "/bin 120000",
        "/app 108000",
        "/etc 1800",
    ];
    assert_eq!(rows, wanted);
}

#[test]
fn a_layer_shows_what_it_does() {
    let last = browser("<end><tab>^ ");
    let wanted = [
        "~/app 13000",
        "~/app/server.js 13000",
        "~/etc 900",
        "~/etc/passwd 900",
        "~/var 0",
        "~/var/lib 0",
        "~/var/lib/apt 0",
        "-/var/lib/apt/lists 0",
        "-/var/lib/apt/lists/deb.debian.org_dists 0",
    ];
    assert_eq!(shown(&last)[1..], wanted);
    let with_lower = browser("<end>^a<tab>");
    assert_eq!(
        with_lower.layers.scope(&with_lower.subject),
        Scope { from: 0, to: 2 }
    );
    let own = browser("b<end>^a");
    assert_eq!(own.layers.scope(&own.subject), Scope { from: 1, to: 2 });
    let alone = browser("<end>^a^l");
    assert_eq!(alone.layers.scope(&alone.subject), Scope { from: 2, to: 2 });
}

#[test]
fn folders_open_and_close() {
    let mut browser = browser("<tab><down><right>");
    assert_eq!(shown(&browser)[2], "+/var/lib 250000");
    // right goes in, left goes up and then closes
    press(&mut browser, "<right>");
    assert_eq!(browser.files.list.selected, 2);
    press(&mut browser, "<left><left>");
    assert_eq!(
        (browser.files.list.selected, browser.files.rows.len()),
        (1, 5)
    );
    press(&mut browser, " ");
    assert_eq!(browser.files.rows.len(), 6);
    press(&mut browser, "^ ");
    assert!(browser.files.rows.len() > 10);
    press(&mut browser, "^ ");
    assert_eq!(browser.files.rows.len(), 5);
}

#[test]
fn states_are_shown_or_hidden() {
    let removed = |keys| shown(&browser(keys)).iter().any(|row| row.starts_with('-'));
    assert!(removed("<end><tab>^ ") && !removed("<end><tab>^ ^r"));
    let unchanged = |keys| {
        shown(&browser(keys))
            .iter()
            .any(|row| row.starts_with("=/bin"))
    };
    assert!(!unchanged("<end><tab>") && unchanged("<end><tab>^u"));
    let changed = |keys| shown(&browser(keys)).iter().any(|row| row.contains("/etc"));
    assert!(changed("<end><tab>") && !changed("<end><tab><enter>") && changed("<end><tab>^m^m"));
}

#[test]
fn one_class_counts_alone() {
    let mut browser = browser("cc");
    assert_eq!(browser.files.class, Some(Class::Duplicate));
    let rows: Vec<String> = shown(&browser)
        .iter()
        .map(|row| row[1..].to_owned())
        .collect();
    assert_eq!(rows, ["/ 40000", "/app 40000"]);
    press(&mut browser, "C");
    assert_eq!(browser.files.class, Some(Class::Live));
    press(&mut browser, "cccc");
    assert_eq!(browser.files.class, Some(Class::Deleted));
    press(&mut browser, "c");
    assert_eq!(browser.files.class, None);
}

#[test]
fn a_filter_counts_while_it_is_written() {
    let mut browser = browser("^fPAD");
    assert_eq!(shown(&browser).len(), 6, "{:?}", shown(&browser));
    assert!(shown(&browser)[0].ends_with(" 80000"));
    press(&mut browser, "<back><back><back>*.txt<enter>");
    assert!(browser.prompt.is_none());
    assert_eq!(shown(&browser).len(), 3);
    // keys mean what they mean again; Esc while writing takes back what was written
    press(&mut browser, "^fzz<esc>");
    assert_eq!(browser.files.pattern, "*.txt");
    press(&mut browser, "<esc>");
    assert_eq!(browser.files.pattern, "");
    press(&mut browser, "^f[<enter>");
    assert_eq!(shown(&browser).len(), 1, "a broken pattern fits nothing");
}

#[test]
fn what_is_searched_for_is_opened() {
    let mut browser = browser("/INDEX<enter>");
    let selected = |browser: &Browser| {
        let path = browser
            .subject
            .paths
            .path(browser.files.selected().unwrap());
        String::from_utf8(path).unwrap()
    };
    assert_eq!(selected(&browser), "app/node_modules/left-pad/index.js");
    press(&mut browser, "/js<enter>");
    let first = selected(&browser);
    press(&mut browser, "n");
    assert_ne!(selected(&browser), first);
    press(&mut browser, "N");
    assert_eq!(selected(&browser), first);
    press(&mut browser, "/nothing<enter>");
    assert_eq!(selected(&browser), first);
}

#[test]
fn orders_follow_one_another() {
    let first = |keys| shown(&browser(keys))[1].clone();
    assert!(first("").contains("/var") && first("s").contains("/var"));
    assert!(first("ss").contains("/app") && first("sss").contains("/var"));
}

#[test]
fn it_ends_and_stops_by_its_keys_only() {
    for (keys, outcome) in [
        ("q", Outcome::Quit),
        ("^c", Outcome::Quit),
        ("^z", Outcome::Suspend),
        ("^fq", Outcome::Draw),
        ("^fq^c", Outcome::Quit),
        ("?x", Outcome::Draw),
        ("?q", Outcome::Quit),
        ("x", Outcome::Draw),
    ] {
        assert_eq!(press(&mut browser(""), keys), outcome, "{keys}");
    }
    assert!(browser("?").shows_help && !browser("?x").shows_help);
}

#[test]
fn an_image_without_layers_is_shown() {
    let mut subject = subject();
    subject.image.layers.clear();
    let empty = Subject::of("empty", subject.image, Vec::new());
    let mut browser = Browser::new(empty);
    press(
        &mut browser,
        "<down><tab><down><right><left> ^ /x<enter>ncsb^f*<enter>",
    );
    assert_eq!(browser.layers.selected(), None);
}
