//! The layers of a supervised RUN are those of RUN in namespaces, byte for byte: what is changed in a copied tree is written as what is changed in
//! an overlay.

use crate::support::contained::{build, in_namespaces};
use crate::support::random::{Random, is_nightly, often, seed};
use crate::support::{Space, plain_cases};

plain_cases! {
    the_image_is_the_same,
    random_edits_make_the_same_layers,
}

const CHANGES: &str = "FROM tools
COPY tree /tree
RUN ln /tree/keep /tree/other && rm /tree/gone && echo x > /made && mkdir /empty
RUN rm -r /tree/sub && mkdir /tree/sub && echo new > /tree/sub/new && chmod 700 /tree && mv /made /moved
RUN ln -s /moved /link && rm /tree/other && [ ! -e /tree/gone ] && [ ! -e /tree/sub/a ] && cat /moved
RUN true
WORKDIR /work
RUN touch here && cat /etc/resolv.conf > /dev/null && rm /link
RUN cat <<END > /heredoc
text
END
";

/// Builds it in each way.
fn is_the_same(space: &Space, text: &str) {
    let told = build(space, text, "--no-cache").ok();
    let (id, image) = (space.id("app"), space.image("app"));
    in_namespaces(space, "auto").arg("--no-cache").ok();
    let other = space.image("app");
    let layers = other.layers.iter().zip(&image.layers);
    let differing: Vec<_> = layers.filter(|(one, other)| one != other).collect();
    assert!(differing.is_empty(), "{differing:#?}\n{text}\n{told}");
    let files = other.files.iter().zip(&image.files);
    let differing: Vec<_> = files.filter(|(one, other)| one != other).collect();
    assert!(differing.is_empty(), "{differing:#?}\n{text}\n{told}");
    assert_eq!(space.id("app"), id, "{text}\n{told}");
}

fn the_image_is_the_same(space: &Space) {
    for path in ["keep", "gone", "sub/a", "sub/b"] {
        space.write(&format!("tree/{path}"), path);
    }
    is_the_same(space, CHANGES);
    assert_eq!(space.kiln(["fsck"]).ok().stdout, "clean\n");
}

/// Commands that change a tree. `D` is one of three folders and `F` a file in one of them; of several names of a file, `L` is one.
const EDITS: [&str; 24] = [
    "mkdir -p D; echo N > F",
    "echo more >> F",
    "chmod 6N0 F",
    "chmod 7N5 D",
    "touch -d @N00 F",
    "touch -d @N000 D",
    "rm -rf F",
    "mv F F",
    "rm -rf D; mkdir -p D",
    "rm -rf D",
    "rm -rf D; mkdir -p D; echo N > F",
    "rm -rf D; echo N > D",
    "ln -sfn target F.link",
    "ln -s D F",
    "rm -rf F; mkdir -p F; echo N > F/inner",
    "mv D /t/moved",
    "mkfifo F.fifo",
    "truncate -s 20000N F",
    "echo N > D/gone; rm -f D/gone",
    "perl -e \"syscall 188, my \\$f = q(F), my \\$n = q(user.x), my \\$v = q(N), 1, 0; socket S, 1, 1, 0; bind S, pack q(Sa*), 1, q(F.socket)\"",
    "rm -f /t/l/new; echo N > /t/l/new; ln -f /t/l/new L; mv -f /t/l/new L",
    "rm -f L",
    "mv -f L L",
    "ln -f L L; mv -f L /t/l/last",
];

fn edit(random: &mut Random) -> String {
    let mut text = String::new();
    for letter in random.of(&EDITS).chars() {
        let folder = random.of(&["/t/a", "/t/b", "/t/b/c"]);
        match letter {
            'D' => text += folder,
            'F' => text += &format!("{folder}/{}", random.of(&["x", "y"])),
            'L' => text += &format!("/t/l/{}", random.of(&["1", "2", "3"])),
            'N' => text += &random.below(8).to_string(),
            other => text.push(other),
        }
    }
    text
}

/// Of the edits that are tried every day; others are tried by night.
const SEED: u64 = 0x6b69_6c6e;

fn random_edits_make_the_same_layers(space: &Space) {
    let seed = match is_nightly() {
        true => seed("edits of a tree", space),
        false => SEED,
    };
    let random = &mut Random::new(seed);
    for path in ["a/x", "a/y", "b/x", "b/c/x", "b/c/y", "l/empty"] {
        space.write(&format!("tree/{path}"), path);
    }
    for _ in 0..often(1) {
        let mut text = "FROM tools\nCOPY tree /t\n".to_owned();
        for _ in 0..5 {
            let edits: Vec<_> = (0..8).map(|_| edit(random)).collect();
            text += &format!("RUN {{ {}; }} 2> /dev/null; true\n", edits.join("; "));
        }
        is_the_same(space, &text);
    }
}
