//! `--stdin`: RUN reads what kiln reads, one command after the other.

use crate::support::{Space, cases};

cases! {
    commands_read_what_kiln_reads,
    commands_take_turns,
}

fn commands_read_what_kiln_reads(space: &Space) {
    let text = "FROM tools\nRUN read word && echo $word > /one\nRUN cat > /rest\n";
    let build = |input: &str| space.build(text).arg("--stdin").stdin(input);
    build("one\ntwo\nthree\n").ok();
    let image = space.image("app");
    assert_eq!(
        (image.text("one"), image.text("rest")),
        ("one\n".to_owned(), "two\nthree\n".to_owned())
    );
    // What is read decides nothing about the cache.
    build("other\n").ok();
    assert_eq!(space.image("app").text("one"), "one\n");
    // Without it there is nothing to read.
    let nothing =
        space.build("FROM tools\nRUN if read word; then echo $word; else echo nothing; fi\n");
    assert_eq!(nothing.stdin("one\n").ok().output(), ["nothing"]);
    space
        .build(text)
        .args(["--stdin", "--no-cache"])
        .exits(1)
        .says(&["RUN failed"]);
    let twice = space
        .kiln(["build", "--stdin", "-"])
        .stdin("FROM scratch\n")
        .exits(2);
    twice.says(&["--stdin: standard input already gives"]);
    let context = space.context();
    let twice = space.kiln(["build", "--stdin", "-f", "-"]).arg(context);
    twice
        .stdin("FROM scratch\n")
        .exits(2)
        .says(&["--stdin: standard input already gives"]);
}

fn commands_take_turns(space: &Space) {
    let read = |number: u8| {
        format!(
            "FROM tools AS s{number}\nRUN read a && sleep 0.2 && read b && echo $a $b > /read{number}\n"
        )
    };
    let copy = |number: u8| format!("COPY --from=s{number} /read{number} /\n");
    let text = format!(
        "{}{}{}FROM scratch\n{}{}{}",
        read(1),
        read(2),
        read(3),
        copy(1),
        copy(2),
        copy(3)
    );
    let built = space.build(&text).args(["--stdin", "--jobs", "3"]);
    built.stdin("1\n1\n2\n2\n3\n3\n").ok();
    let image = space.image("app");
    let mut seen = ["read1", "read2", "read3"].map(|file| image.text(file));
    seen.sort();
    assert_eq!(seen, ["1 1\n", "2 2\n", "3 3\n"]);
}
