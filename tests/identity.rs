//! A user namespace that maps all ids to themselves: root in it looks like the machine's root and is not.

use crate::support::mode::skip;
use crate::support::{Space, plain_cases, users};

plain_cases! {
    root_of_an_identity_map_is_not_the_machines,
}

/// Runs its arguments in a user namespace whose ids are those outside.
const MAPPED: &str = "
unshare --user sh -c 'until grep -q 4294967295 /proc/self/gid_map; do sleep 0.01; done; exec \"$@\"' sh \"$@\" &
child=$!
while [ \"$(readlink /proc/$child/ns/user)\" = \"$(readlink /proc/self/ns/user)\" ]; do sleep 0.01; done
for map in uid_map gid_map; do echo 0 0 4294967295 > /proc/$child/$map; done
wait $child
";

fn root_of_an_identity_map_is_not_the_machines(space: &Space) {
    if !users::is_root() || space.mode.is_rootless() {
        skip("identity", space.mode, "only root maps all ids");
        return;
    }
    let can = space.shell("unshare --user true").run();
    if !can.status.success() {
        skip("identity", space.mode, can.stderr.trim());
        return;
    }
    // an overlay of the machine's root marks a folder that replaces another one with an attribute that is not given to this one
    let text = "FROM tools\nRUN mkdir -p /folder/old && echo gone > /folder/old/file\n\
        RUN rm -r /folder && mkdir /folder && echo new > /folder/new\nRUN ls /folder && cat /proc/self/uid_map\n";
    space.write("Dockerfile", text);
    let context = space.context();
    let build = format!(
        "kiln build -t app --progress plain --build-context tools=host-tools:sh,mkdir,rm,cat,ls {}",
        context.display()
    );
    let script = format!("set -- {build}\n{MAPPED}");
    let built = space.shell(&script).ok();
    built.says(&["| new", "4294967295"]).never_says(&["| old"]);
    let image = space.image("app");
    assert_eq!(image.text("folder/new"), "new\n");
}
