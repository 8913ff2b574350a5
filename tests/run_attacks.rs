//! Mounts under attack: links in images, stages and caches, also by a step that runs at the same time, lead nowhere else; locks end.

use crate::support::random::often;
use crate::support::{Space, cases, plain_cases};

cases! {
    links_of_a_stage_stay_in_it,
    targets_follow_links_inside_the_image_only,
}

mod plain {
    use super::*;

    plain_cases! {
        links_in_a_cache_redirect_nothing,
        a_step_that_swaps_links_redirects_nothing,
        caches_never_wait_for_themselves,
    }

    use super::{
        a_step_that_swaps_links_redirects_nothing, caches_never_wait_for_themselves,
        links_in_a_cache_redirect_nothing,
    };
}

/// A word that is only in a file of the host.
fn outside(space: &Space) -> String {
    let file = space.write_in("own", "outside/file", "of the host");
    file.display().to_string()
}

fn links_of_a_stage_stay_in_it(space: &Space) {
    let file = outside(space);
    let stage = format!(
        "FROM tools AS other\nRUN mkdir /sub && echo inner > /sub/file && ln -s {file} /absolute && ln -s ../../../../../../../../../..{file} /up && ln -s /proc/self/root{file} /magic && ln -s loop /loop && ln -s ../sub /folder\n"
    );
    for source in [
        "/absolute",
        "/up",
        "/magic",
        "/loop",
        "/../../../../../../../..",
        "/no/such",
    ] {
        let run = format!(
            "{stage}FROM tools\nRUN --mount=from=other,source={source},target=/mnt cat /mnt; ls /mnt/root /mnt/home 2> /dev/null; cat /mnt{file}\n"
        );
        for rw in ["", ",rw"] {
            let built = space
                .build(&run.replace("target=/mnt", &format!("target=/mnt{rw}")))
                .run();
            assert_eq!(built.status.code(), Some(1), "{source}: {built}");
            built.never_says(&["| of the host"]);
        }
    }
    // A link is followed as it would be in the stage.
    let run = format!(
        "{stage}FROM tools\nRUN --mount=from=other,source=/folder,target=/mnt cat /mnt/file\n"
    );
    assert_eq!(space.build(&run).ok().output(), ["inner"]);
    // The same from the context, whose links are taken from the folder.
    std::os::unix::fs::symlink(&file, space.context().join("link")).unwrap();
    for source in ["link", "../own/outside/file", "/link"] {
        let run = format!("FROM tools\nRUN --mount=source={source},target=/mnt cat /mnt\n");
        space.build(&run).exits(1).never_says(&["| of the host"]);
    }
}

fn targets_follow_links_inside_the_image_only(space: &Space) {
    let file = outside(space);
    let folder = file.strip_suffix("/file").unwrap();
    let token = space.write_in("own", "token", "hidden");
    let option = format!("id=token,src={}", token.display());
    for target in [
        "/link/new",
        "/up/new",
        "/conf/new",
        "/link",
        "/a/../../../../new",
    ] {
        let text = format!(
            "FROM tools\nRUN mkdir -p /etc /a && ln -s {folder} /link && ln -s ../../../../../..{folder} /up && ln -s /etc /conf\nRUN --mount=type=secret,id=token,target={target} cat {target} && echo\n"
        );
        let built = space.build(&text).args(["--secret", &option]).run();
        assert_eq!(built.output(), ["hidden"], "{target}: {built}");
        let image = space.image("app");
        assert_eq!(image.below("etc"), [""; 0], "{target}");
        assert!(!image.has("new"), "{target}");
        let names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(names, ["file"], "{target}");
    }
}

const CACHE: &str = "--mount=type=cache,id=shared,target=/cache";
const TOKEN: &str = "--mount=type=secret,id=token,target=/cache/sub/token";

fn links_in_a_cache_redirect_nothing(space: &Space) {
    let build = |text: &str| {
        space
            .build(text)
            .args(["--secret", "id=token,env=TOKEN"])
            .env("TOKEN", "hidden")
    };
    build(&format!("FROM tools\nRUN {CACHE} ln -s /etc /cache/sub\n")).ok();
    let refused = build(&format!(
        "FROM tools\nRUN mkdir -p /etc\nRUN {CACHE} {TOKEN} cat /etc/token\n"
    ))
    .exits(3);
    refused
        .says(&["/cache/sub/token", "symbolic link"])
        .never_says(&["| hidden"]);
    // Whatever the order in which they are written.
    build(&format!(
        "FROM tools\nRUN mkdir -p /etc\nRUN {TOKEN} {CACHE} cat /etc/token\n"
    ))
    .exits(3);
    build(&format!("FROM tools\nRUN {CACHE} rm /cache/sub\n")).ok();
    let built = build(&format!(
        "FROM tools\nRUN {TOKEN} {CACHE} cat /cache/sub/token\n"
    ))
    .ok();
    built.says(&["| hidden"]);
    assert!(!space.image("app").has("cache/sub"));
}

fn a_step_that_swaps_links_redirects_nothing(space: &Space) {
    let attack = "mkdir -p /cache/spare && ln -s /etc /cache/link; echo ready; i=0; while [ ! -e /cache/stop ] && [ $i -lt 4000 ]; do mv -T /cache/spare /cache/sub; mv -T /cache/sub /cache/spare; mv -T /cache/link /cache/sub; mv -T /cache/sub /cache/link; rm -rf /cache/sub; i=$((i+1)); done 2> /dev/null; rm -f /cache/stop";
    let attacker = format!("FROM tools\nRUN {CACHE} {attack}\n");
    space.write("attack/Dockerfile", attacker);
    let tools = format!("tools=host-tools:{}", crate::support::space::TOOLS);
    let kiln = |file: &str, text: &str| {
        let path = space.write(file, text);
        let build = space
            .kiln(["build", "-t", "app", "--no-cache", "--build-context"])
            .arg(&tools);
        build
            .arg("-f")
            .arg(path)
            .arg(space.context())
            .args(["--secret", "id=token,env=TOKEN"])
            .env("TOKEN", "hidden")
    };
    let mut running = kiln(
        "attack/Dockerfile",
        &format!("FROM tools\nRUN {CACHE} {attack}\n"),
    )
    .spawn();
    running.until("| ready");
    let victim = format!(
        "FROM tools\nRUN mkdir -p /etc\nRUN {CACHE} {TOKEN} if [ -e /etc/token ]; then echo redirected; fi\n"
    );
    let mut built = 0;
    let rounds = often(5);
    for _ in 0..rounds {
        let ended = kiln("victim/Dockerfile", &victim).run();
        ended.never_says(&["| redirected"]);
        match ended.status.code() {
            Some(0) => {
                built += 1;
                assert_eq!(space.image("app").below("etc"), [""; 0]);
            }
            code => assert_eq!(code, Some(3), "{ended}"),
        }
    }
    kiln(
        "stop/Dockerfile",
        &format!("FROM tools\nRUN {CACHE} echo > /cache/stop\n"),
    )
    .ok();
    let ended = running.wait();
    assert!(ended.status.success(), "{ended}");
    println!("{built} of {rounds} were built");
}

fn caches_never_wait_for_themselves(space: &Space) {
    let lock = |id: &str, target: &str| {
        format!("--mount=type=cache,id={id},target={target},sharing=locked")
    };
    let twice = format!(
        "FROM tools\nRUN {} {} echo one > /a/file && cat /b/file\n",
        lock("x", "/a"),
        lock("x", "/b")
    );
    assert_eq!(space.build(&twice).ok().output(), ["one"]);
    // Two steps that lock the same two caches, written in opposite orders.
    let stage = |name: &str, first: &str, second: &str| {
        format!(
            "FROM tools AS {name}\nRUN {} {} mkdir /a/busy /b/busy && sleep 0.2 && rm -r /a/busy /b/busy && echo {name} > /done\n",
            lock(first, &format!("/{first}")),
            lock(second, &format!("/{second}"))
        )
    };
    let text = format!(
        "{}{}FROM scratch\nCOPY --from=one /done /1\nCOPY --from=two /done /2\n",
        stage("one", "a", "b"),
        stage("two", "b", "a")
    );
    space.build(&text).ok();
    assert_eq!(space.image("app").below(""), ["1", "2"]);
}
