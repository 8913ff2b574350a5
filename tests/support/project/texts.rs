//! The words of a random project: instructions with gaps, flags, bases. Unaware of files and stages.
//!
//! What a command prints depends on nothing but what a key has to hold: no clock, no host, no address of memory.

use crate::support::random::Random;

/// Dockerfiles of the image `base`.
pub const BASES: [&str; 3] = [
    "FROM tools\nCOPY . /\n",
    "FROM tools\nCOPY . /\nENV K=base BASE=1\nWORKDIR /w\nUSER 1\n",
    "FROM tools\nCOPY d /d\nONBUILD COPY a /onbuild\nONBUILD ENV K=trigger\n",
];

/// Times of everything.
pub const EPOCHS: [&str; 2] = ["1600000000", "1500000000"];

/// Flags and their values; one that may be repeated has a 2 behind its name for its second value.
pub const FLAGS: [(&str, &[&str]); 20] = [
    ("--build-arg", &["K=one", "K=two", "K="]),
    ("--build-arg2", &["UNUSED=one", "HTTP_PROXY=http://none"]),
    ("--label", &["x=one", "x=two"]),
    ("--env", &["E=one", "K=flag"]),
    ("--target", &["s0", "s1"]),
    ("--network", &["none", "host"]),
    ("--add-host", &["h:1.2.3.4", "h:1.2.3.5"]),
    ("--shm-size", &["32m", "48m"]),
    ("--ulimit", &["nofile=100:200", "nofile=101:200"]),
    ("--no-cache-filter", &["s0", "s1"]),
    ("--ignorefile", &["../ignored"]),
    ("--timestamp", &["1400000000"]),
    ("--unsetenv", &["K", "E"]),
    ("--from", &["base", "tools"]),
    ("--squash", &[""]),
    ("--squash-all", &[""]),
    ("--omit-history", &[""]),
    ("--no-hosts", &[""]),
    ("--platform", PLATFORMS),
    ("--unsetlabel", &["l", "x"]),
];

/// Those that run here.
const PLATFORMS: &[&str] = match cfg!(target_arch = "x86_64") {
    true => &["linux/amd64", "linux/amd64/v2", "linux/386"],
    false => &["linux/arm64"],
};

/// Instructions that need no program.
const PLAIN: [&str; 32] = [
    "COPY {flag} {src} {dst}",
    "COPY {flag} {src} {dst}",
    "COPY {flag} {src} {src} /both/",
    "COPY --link {flag} {src} {dst}",
    "COPY --parents {flag} {src} {dst}",
    "COPY {flag} --from={from} {inner} {dst}",
    "COPY --link --from={from} {inner} {dst}",
    "COPY --from=extra {src} {dst}",
    "ADD {flag} {src} {dst}",
    "ADD {flag} pack.tar {dst}",
    "ADD --unpack=false {flag} pack.tar {dst}",
    "COPY --parents d/./s ./d/y {dst}",
    "COPY --link --parents --exclude=x {src} {dst}",
    "COPY --chown=$K:2 {src} {dst}",
    "COPY --from={from} --exclude=x --chmod={mode} /d {dst}",
    "ONBUILD COPY {flag} {src} /onbuild/",
    "ONBUILD ENV K={word}",
    "SHELL [\"/bin/sh\", \"-xc\"]",
    "ARG K P={word} Q=$K",
    "HEALTHCHECK CMD {word}",
    "COPY {flag} <<E {dst}{word}\n{word} $K\nE",
    "COPY $K* a {dst}",
    "ENV K={word}",
    "ENV P=$K-{word}",
    "ARG K",
    "ARG K={word}",
    "WORKDIR /w$K",
    "WORKDIR {word}",
    "USER {user}",
    "LABEL l=$K",
    "CMD {word}",
    "VOLUME {dst}v",
];

/// Commands. None fails: what is missing, or may not be written, is the same in every build.
const RUNS: [&str; 31] = [
    "cat /*.txt /d/* /a /b > /sum; true",
    "echo $K $P {word} > /{word}; true",
    "rm -rf {inner}; true",
    // not into itself: what cp does then depends on the order of inodes
    "mkdir -p {dst}n && cp -r {inner} /copied; true",
    "chmod {mode} {inner}; true",
    "chown {user} {inner}; true",
    "ln -f /a {dst}hard; true",
    "ln -sfn {inner} /link; true",
    "mv {inner} /moved; true",
    "rm -rf /d && mkdir /d && echo {word} > /d/new; true",
    "touch -d @1000 {inner}; true",
    "echo {word} >> /a; true",
    // proxies count for no key, as in BuildKit
    "env -u HOSTNAME -u HTTP_PROXY -u http_proxy > /env; id > /id; true",
    "ulimit -n > /limit; cat /etc/hosts > /hosts; true",
    "stat -f -c %b /dev/shm > /shm; ls /sys/class/net | wc -l > /net; true",
    "stat -c '%a %u %g %h %s %F %n' /d/* /a /b > /stat; true",
    "stat -c '%Y %n' /a /b /c.txt /d/x > /times; true",
    "true",
    "cp -al /d /linked; true",
    "cp -a /a /copy; touch -d @5 /copy; true",
    "mkdir -p /empty/{word}; rm -rf /empty/two; true",
    "chmod 700 /d; chmod 755 /d; touch -d @7 /d; true",
    "mknod {dst}pipe p; true",
    "ls -R /onbuild /linked /empty /both > /list; true",
    "--mount=type=bind,from={from},source=/d,target=/m,rw rm -rf /m/x; ls -R /m > /left; true",
    "--mount=type=bind,source={one},target=/m cat /m /m/* > /seen; true",
    "--mount=type=bind,from={from},target=/m cat /m/a /m/d/x /m/sum > /from; true",
    "--mount=type=bind,from=extra,target=/m stat -c '%n %s %a' /m/* > /extra; true",
    "--mount=type=tmpfs,target=/d touch /d/gone; true",
    "--network=none ls /sys/class/net > /lo; true",
    "<<E\nid\ncat /d/x > /here\necho {word} $K >> /here\ntrue\nE",
];

/// An instruction for the stage of this number: it may name the stages before it.
pub fn step(stage: usize, random: &mut Random) -> String {
    match random.below(9) {
        0..=4 => plain_step(stage, random),
        _ => fill(&format!("RUN {}", random.of(&RUNS)), stage, random),
    }
}

/// The same, where no program is there.
pub fn plain_step(stage: usize, random: &mut Random) -> String {
    fill(random.of(&PLAIN), stage, random)
}

fn fill(template: &str, stage: usize, random: &mut Random) -> String {
    let mut parts = template.split('{');
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        let (gap, rest) = part.split_once('}').unwrap();
        filled.push_str(&word(gap, stage, random));
        filled.push_str(rest);
    }
    filled
}

fn word(gap: &str, stage: usize, random: &mut Random) -> String {
    let words: &[&str] = match gap {
        "word" => &["one", "two", "three"],
        "src" => &[
            "a", "b", "*.txt", "d", "d/*", "e", ".", "d/s/..", "./d/x*", "ln", "ln/x",
        ],
        "one" => &["a", "b", "d", "d/x", "d/s"],
        "dst" => &["/", "/d/", "/e/", "./", "/new/"],
        "inner" => &["/a", "/b", "/d", "/d/x", "/e", "/d/s"],
        "user" => &["0", "1", "1:2", "2:0"],
        "mode" => &["600", "755", "4711"],
        "flag" => FLAGS_OF_COPY,
        "from" if stage > 0 && random.below(2) == 0 => {
            return format!("s{}", random.index(stage));
        }
        "from" => &["base", "extra"],
        _ => panic!("there is no gap {gap}"),
    };
    random.of(words).to_owned()
}

const FLAGS_OF_COPY: &[&str] = &[
    "",
    "",
    "",
    "--chown=1:2",
    "--chown=3",
    "--chmod=640",
    "--chmod=u+x",
    "--chown=1 --chmod=700",
    "--exclude=x",
    "--exclude=d/*",
];
