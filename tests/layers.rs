//! What a RUN changes in the file system is what the layer says: the overlay's whiteouts, opaque folders and copied-up files
//! translated, owners and modes kept.

use crate::support::{Kind, Space, cases};

cases! {
    a_step_without_changes_has_no_layer,
    deletions_and_replacements,
    a_folder_made_anew_hides_the_old_one,
    modes_links_and_special_files,
    owners_are_the_commands,
    owners_from_below_survive_a_change,
    a_layer_holds_only_what_changed,
    a_layer_shows_the_same_over_any_base,
    many_layers_stack,
    names_of_any_bytes,
}

fn a_step_without_changes_has_no_layer(space: &Space) {
    space
        .build("FROM tools\nRUN echo nothing\nRUN echo x > /new\nRUN ls /\n")
        .ok();
    let image = space.image("app");
    let empty: Vec<bool> = image.config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["empty_layer"] == true)
        .collect();
    assert_eq!(empty, [false, true, false, true]);
    assert_eq!(image.layers[1], ["new"]);
}

const TREE: &str = "FROM tools AS tree
RUN mkdir -p /d/sub /e && echo 1 > /d/file && echo 2 > /d/sub/file && echo 3 > /e/file && ln -s file /e/link
";

fn deletions_and_replacements(space: &Space) {
    let change = "RUN rm -r /d/sub && rm /e/link && mkdir /e/link && echo 4 > /e/link/file && rm /d/file && ln -s sub /d/file && rm /e/file\n";
    space
        .build(&format!("{TREE}{change}RUN ls -R /d /e > /seen\n"))
        .ok();
    let image = space.image("app");
    assert_eq!(image.below("d"), ["d/file"]);
    assert_eq!(image.entry("d/file").kind, Kind::Symlink("sub".to_owned()));
    assert_eq!(image.below("e"), ["e/link", "e/link/file"]);
    assert_eq!(
        image.text("seen"),
        "/d:\nfile\n\n/e:\nlink\n\n/e/link:\nfile\n"
    );
    // Taken away and brought back within one step: as if nothing had happened, or as the new file.
    space
        .build(&format!(
            "{TREE}RUN rm /d/file && echo new > /d/file\nRUN rm /d/file\n"
        ))
        .ok();
    assert_eq!(space.image("app").below("d"), ["d/sub", "d/sub/file"]);
}

fn a_folder_made_anew_hides_the_old_one(space: &Space) {
    space
        .build(&format!(
            "{TREE}RUN rm -r /d && mkdir /d && echo new > /d/only\nRUN ls /d > /seen\n"
        ))
        .ok();
    let image = space.image("app");
    assert_eq!(
        (image.below("d"), image.text("seen")),
        (vec!["d/only"], "only\n".to_owned())
    );
    let moved = space
        .build(&format!(
            "{TREE}RUN mv /d /moved\nRUN cat /moved/sub/file > /seen\n"
        ))
        .ok();
    drop(moved);
    let image = space.image("app");
    assert!(!image.has("d") && image.text("seen") == "2\n");
}

fn modes_links_and_special_files(space: &Space) {
    let script = "echo x > /plain && chmod 4751 /plain && ln /plain /hard && ln -s /plain /soft && ln -s nowhere /broken
mkdir -p /sticky/group && chmod 1777 /sticky && chmod 2770 /sticky/group
mknod /pipe p && : > /empty && chmod 0 /empty";
    space
        .build(&format!("FROM tools\nRUN <<EOF\n{script}\nEOF\n"))
        .ok();
    let image = space.image("app");
    let mode = |path: &str| image.entry(path).mode;
    assert_eq!(
        (
            mode("plain"),
            mode("sticky"),
            mode("sticky/group"),
            mode("empty")
        ),
        (0o4751, 0o1777, 0o2770, 0)
    );
    assert_eq!(
        image
            .entry("plain")
            .same_as
            .as_deref()
            .or(image.entry("hard").same_as.as_deref())
            .map(|_| ()),
        Some(())
    );
    assert_eq!(image.text("hard"), "x\n");
    assert_eq!(image.entry("soft").kind, Kind::Symlink("/plain".to_owned()));
    assert_eq!(
        image.entry("broken").kind,
        Kind::Symlink("nowhere".to_owned())
    );
    assert_eq!(image.entry("pipe").kind, Kind::Fifo);
}

fn owners_are_the_commands(space: &Space) {
    if space.mode.has_one_id() {
        space
            .build("FROM tools\nRUN echo > /new && mkdir /folder\n")
            .ok();
        let image = space.image("app");
        assert_eq!((image.entry("new").uid, image.entry("folder").gid), (0, 0));
        space
            .build("FROM tools\nRUN echo > /new && chown 5:6 /new\n")
            .exits(1)
            .says(&["chown"]);
        return;
    }
    space.build("FROM tools\nRUN echo > /file && chown 5:6 /file && ln -s x /link && chown -h 7:8 /link\n").ok();
    let image = space.image("app");
    let owner = |path: &str| (image.entry(path).uid, image.entry(path).gid);
    assert_eq!((owner("file"), owner("link")), ((5, 6), (7, 8)));
}

/// With a single id the disk knows one owner; the index knows better.
fn owners_from_below_survive_a_change(space: &Space) {
    space.write("file", "first\n");
    let text = "FROM tools\nCOPY --chown=11:22 --chmod=640 file /owned/\nRUN echo more >> /owned/file && chmod 604 /owned/file && echo new > /owned/new\n";
    space.build(text).ok();
    let image = space.image("app");
    let file = image.entry("owned/file");
    assert_eq!(
        (
            image.text("owned/file").as_str(),
            file.uid,
            file.gid,
            file.mode
        ),
        ("first\nmore\n", 11, 22, 0o604)
    );
    assert_eq!(
        (image.entry("owned").uid, image.entry("owned/new").uid),
        (11, 0)
    );
}

fn a_layer_holds_only_what_changed(space: &Space) {
    let text =
        format!("{TREE}RUN echo more >> /e/file\nRUN chmod 700 /d\nRUN touch /d/sub/another\n");
    space.build(&text).ok();
    let image = space.image("app");
    let files = |layer: &[String]| {
        layer
            .iter()
            .filter(|path| !matches!(path.as_str(), "d" | "d/sub" | "e"))
            .cloned()
            .collect::<Vec<_>>()
    };
    let layers: Vec<Vec<String>> = image.layers[2..].iter().map(|layer| files(layer)).collect();
    assert_eq!(
        layers,
        [
            vec!["e/file".to_owned()],
            vec![],
            vec!["d/sub/another".to_owned()]
        ]
    );
    assert_eq!(image.entry("d").mode, 0o700);
}

/// Overlayfs copies up what is opened for writing, or given the mode that it has. That is no part of the layer, nor of its view.
fn a_layer_shows_the_same_over_any_base(space: &Space) {
    let same = "RUN chmod -R a+r /d && echo same > /same && touch -d @1000 /same\n";
    let base = |text: &str| {
        format!(
            "FROM tools\nRUN mkdir /d && echo {text} > /d/{text}\n{same}RUN ls /d && cat /d/*\n"
        )
    };
    let (one, two) = (
        space.build(&base("one")).ok(),
        space.build(&base("two")).ok(),
    );
    assert_eq!(one.output(), ["one", "one"]);
    assert_eq!(two.output(), ["two", "two"]);
    // the views of the layers, made or adopted, are used again
    let again = |text: &str| {
        space
            .build(&(base(text) + "RUN ls /d\n"))
            .ok()
            .output()
            .join(" ")
    };
    assert_eq!([again("one"), again("two")], ["one", "two"]);
    space.is_clean();
}

fn many_layers_stack(space: &Space) {
    let runs: String = (0..40)
        .map(|number| {
            format!(
                "RUN echo {number} > /file{} && echo {number} >> /all\n",
                number % 7
            )
        })
        .collect();
    space
        .build(&format!("FROM tools\n{runs}RUN wc -l < /all > /count\n"))
        .ok();
    let image = space.image("app");
    assert_eq!(image.text("count").trim(), "40");
    assert_eq!(
        (image.text("file4").trim(), image.text("file6").trim()),
        ("39", "34")
    );
}

fn names_of_any_bytes(space: &Space) {
    let long = "n".repeat(200);
    let text = format!(
        "FROM tools\nRUN mkdir -p '/a b/ü/{long}' && echo x > '/a b/ü/{long}/{long}' && echo y > '/a b/new\nline' && echo z > '/a b/-*?[]'\nRUN cat '/a b/ü/{long}/{long}' > /seen\n"
    );
    space.build(&text.replace("new\nline", "tab\tbed")).ok();
    let image = space.image("app");
    assert_eq!(image.text("seen"), "x\n");
    assert_eq!(image.text(&format!("a b/ü/{long}/{long}")), "x\n");
    assert_eq!(
        (image.text("a b/tab\tbed"), image.text("a b/-*?[]")),
        ("y\n".to_owned(), "z\n".to_owned())
    );
}
