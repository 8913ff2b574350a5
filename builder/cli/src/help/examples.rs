//! Examples of commands: what each is for, and the line that one types. Data only.

/// What an example is for, and its line.
type Example = (&'static str, &'static str);

/// The examples of each command that has some.
pub(super) const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "build",
        &[
            (
                "an image from the Dockerfile in this folder",
                "kiln build -t app:v1 .",
            ),
            (
                "another Dockerfile, one of its stages, and a value for an ARG",
                "kiln build -f docker/Dockerfile --target test --build-arg VERSION=2 .",
            ),
            (
                "a secret that one step sees",
                "kiln build -t app:v1 --secret id=npmrc,src=.npmrc .",
            ),
            (
                "two platforms, sent to a registry",
                "kiln build -t registry.example/app --platform linux/amd64,linux/arm64 --push .",
            ),
            (
                "a cache that the machines of a CI share",
                "kiln build -t app:v1 --cache-from registry.example/app/cache \\\n    \
                 --cache-to type=registry,ref=registry.example/app/cache,mode=max .",
            ),
            (
                "a base image from a folder, without a registry",
                "kiln build -t app:v1 --build-context debian=oci-layout://images:bookworm .",
            ),
            (
                "the files of a stage, without an image",
                "kiln build --target artifacts -o out .",
            ),
            ("what is wrong with the Dockerfile", "kiln build --check ."),
        ],
    ),
    (
        "plan",
        &[
            (
                "what a build with the same flags would do, and why",
                "kiln plan -t app:v1 .",
            ),
            (
                "the same as a picture in a page of Markdown",
                "(echo '```mermaid'; kiln plan --format mermaid .; echo '```') > plan.md",
            ),
        ],
    ),
    (
        "run",
        &[
            (
                "what the image runs, on a terminal",
                "kiln run --rm -it debian:bookworm",
            ),
            (
                "another command, with a variable and a folder of this machine",
                "kiln run -e LANG=C -v ./data:/data:ro app:v1 report",
            ),
            (
                "another program in place of the entrypoint",
                "kiln run --entrypoint sh app:v1 -c 'id; pwd'",
            ),
            (
                "in the background, with a port of this machine",
                "kiln run -d --name web -p 8080:80 app:v1",
            ),
        ],
    ),
    (
        "exec",
        &[("a shell in a container that runs", "kiln exec -it web sh")],
    ),
    (
        "cp",
        &[
            ("out of a container", "kiln cp web:/etc/app.conf ."),
            (
                "into one: all that is in a folder",
                "kiln cp site/. web:/www",
            ),
        ],
    ),
    (
        "commit",
        &[(
            "with another command",
            "kiln commit -c 'CMD [\"serve\"]' web app:tried",
        )],
    ),
    (
        "shell",
        &[
            ("after the last step", "kiln shell ."),
            (
                "before a step that fails, with its mounts and secrets",
                "kiln shell --before --secret id=npmrc,src=.npmrc . 'build 3/7'",
            ),
            (
                "in a stage without a shell, after a line",
                "kiln shell --tools host-tools:sh,ls,cat . Dockerfile:12",
            ),
            (
                "what is tried becomes an image",
                "kiln shell --target build --commit app:tried .",
            ),
        ],
    ),
    (
        "builds",
        &[
            ("the last ten", "kiln builds -n 10"),
            (
                "which failed, and why",
                "kiln builds --format '{{.ID}} {{.Name}} {{.Failure}}'",
            ),
        ],
    ),
    (
        "logs",
        &[
            ("all that the last build has printed", "kiln logs"),
            ("a container in the background", "kiln logs -f web"),
            (
                "one step of the last build of an image, as it printed",
                "kiln logs app:v1 --step 'build 2/5' > log.txt",
            ),
        ],
    ),
    (
        "stats",
        &[
            (
                "what took how long in the last build of an image",
                "kiln stats app:v1",
            ),
            (
                "the same as a page with a timeline",
                "kiln stats app:v1 --format html -o timeline.html",
            ),
        ],
    ),
    (
        "images",
        &[
            ("those of one repository", "kiln images app"),
            (
                "names and sizes, for a script",
                "kiln images --format '{{.Repository}}:{{.Tag}} {{.Size}}'",
            ),
        ],
    ),
    (
        "inspect",
        &[("one field", "kiln inspect -f '{{json .Config.Env}}' app:v1")],
    ),
    (
        "size",
        &[("the largest files, and what is wasted", "kiln size app:v1")],
    ),
    (
        "compare",
        &[(
            "a new image against an old one, as a comment to be posted",
            "kiln compare --baseline app:v1 --format markdown -o report.md app:v2",
        )],
    ),
    (
        "diff",
        &[("what a new build has changed", "kiln diff app:v1 app:v2")],
    ),
    (
        "blame",
        &[(
            "which line of the Dockerfile wrote a file",
            "kiln blame app:v1 /etc/passwd",
        )],
    ),
    (
        "save",
        &[
            (
                "for docker, podman or another kiln",
                "kiln save -o app.tar app:v1",
            ),
            (
                "only what the other side lacks",
                "kiln save --base app:v1 -o delta.tar app:v2",
            ),
            ("straight into docker", "kiln save app:v1 | docker load"),
        ],
    ),
    (
        "load",
        &[
            ("an archive of any tool", "kiln load -i app.tar"),
            ("from docker", "docker save debian:bookworm | kiln load"),
        ],
    ),
    (
        "import",
        &[(
            "a base image from a folder",
            "kiln import -c 'CMD [\"/bin/sh\"]' rootfs base:v1",
        )],
    ),
    (
        "push",
        &[(
            "under another name",
            "kiln push app:v1 registry.example/team/app:v1",
        )],
    ),
    ("pull", &[("a base image", "kiln pull debian:bookworm")]),
    (
        "login",
        &[(
            "without showing the password",
            "kiln login -u me --password-stdin registry.example < token.txt",
        )],
    ),
    (
        "prune",
        &[
            ("all that no image needs", "kiln prune"),
            ("what would go", "kiln prune --dry-run"),
            (
                "a limit, after each run of a CI",
                "kiln prune --max-size 5GB",
            ),
        ],
    ),
    (
        "completions",
        &[
            ("for this shell", "source <(kiln completions bash)"),
            (
                "for all users",
                "kiln completions bash > /usr/share/bash-completion/completions/kiln",
            ),
        ],
    ),
    (
        "man",
        &[("pages for this user", "kiln man ~/.local/share/man/man1")],
    ),
];
