//! A machine that allows few processes and threads: kiln does its work with them, or says what it lacks. The limit counts for ordinary
//! users only.

use crate::support::{Finished, Space};

mod every_limit_is_survived_or_said {
    crate::support::cases! { @modes every_limit_is_survived_or_said {} range Range, single Single }
}

fn every_limit_is_survived_or_said(space: &Space) {
    space.write("file", "content");
    let text = "FROM tools AS a\nCOPY file /a\nRUN echo a > /b\nFROM tools AS b\nRUN echo b > /b\n\
        FROM tools\nCOPY --from=a /b /a\nCOPY --from=b /b /b\n";
    space.build(text).ok();
    space.kiln(["save", "-o", "archive", "app"]).ok();
    let context = space.context();
    let tools = format!("tools=host-tools:{}", crate::support::space::TOOLS);
    let build = format!(
        "build --no-cache --build-context {tools} {}",
        context.display()
    );
    let verify = "load -i archive".to_owned();
    let commands = [build, verify, "fsck".to_owned()];
    let mut refused = 0;
    // other processes of this user count as well, so that no number is sure to be enough or too small
    for limit in [1, 2, 3, 4, 5, 6, 8, 10, 13, 20, 40] {
        for command in &commands {
            let limited = format!("exec prlimit --nproc={limit}:{limit} kiln {command}");
            let ended = space.shell(&limited).run();
            refused += usize::from(is_explained(&ended));
        }
    }
    assert!(refused > 0, "no limit was felt");
    space.build(text).arg("--no-cache").ok();
    space.is_clean();
}

/// Whether it did not work, which must be said.
fn is_explained(ended: &Finished) -> bool {
    ended.never_says(&["defect", "panicked"]);
    if ended.status.code() == Some(0) {
        return false;
    }
    assert_eq!(ended.status.code(), Some(3), "{ended}");
    ended.says(&["error: ", "Resource temporarily unavailable"]);
    true
}
