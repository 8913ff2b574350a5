//! Each group's key changes with each field that counts, and with no other.

use super::annotations::{Annotation, Level};
use super::*;
use crate::host::agent::AgentSource;
use kiln_cache::KeyBuilder;
use kiln_oci::{Digest, Platform, Reference};

/// What a change of a group makes of its key, in words.
fn outcome<G: Clone + Default>(
    key: impl Fn(&G, KeyBuilder) -> Option<KeyBuilder>,
    change: impl Fn(&mut G),
) -> &'static str {
    let digest = |group: &G| -> Option<Digest> {
        key(group, KeyBuilder::new("test")).map(|key| key.finish().0)
    };
    let mut group = G::default();
    let before = digest(&group);
    change(&mut group);
    match digest(&group) {
        None => "no key",
        after if after == before => "same",
        _ => "other",
    }
}

fn run(change: impl Fn(&mut RunOptions)) -> &'static str {
    outcome(|run: &RunOptions, key| Some(run.key(key)), change)
}

fn volume(source: &str, target: &str, access: VolumeAccess) -> Volume {
    let target = target.to_owned();
    Volume {
        source: source.into(),
        target,
        access,
    }
}

fn annotation(level: Level, platform: Option<Platform>, key: &str, value: &str) -> Annotation {
    Annotation {
        level,
        platform,
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn what_a_run_can_notice_counts() {
    assert_eq!(
        run(|run| run.extra_hosts.push(pair("a", "1.2.3.4"))),
        "other"
    );
    assert_eq!(run(|run| run.no_hosts = true), "other");
    assert_eq!(run(|run| run.shm_size = Some(0)), "other");
    assert_eq!(
        run(|run| run.ulimits.push(("nofile".to_owned(), 1, 2))),
        "other"
    );
    let kept = volume("/a", "/b", VolumeAccess::Kept);
    assert_eq!(run(|run| run.volumes.push(kept.clone())), "other");
    let secret = Secret::new(b"s".to_vec());
    assert_eq!(
        run(|run| drop(run.secrets.insert("s".to_owned(), secret.clone()))),
        "same"
    );
    let agent = AgentSource::Socket("/agent".into());
    assert_eq!(
        run(|run| drop(run.ssh.insert("default".to_owned(), agent.clone()))),
        "same"
    );
    assert_eq!(run(|run| run.limits.memory = Some(1 << 30)), "same");
    assert_eq!(run(|run| run.jobs = Some(1)), "same");
}

#[test]
fn lists_that_read_alike_are_different() {
    let key = |change: &dyn Fn(&mut RunOptions)| {
        let mut run = RunOptions::default();
        change(&mut run);
        run.key(KeyBuilder::new("test")).finish().0
    };
    let hosts = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, address)| pair(name, address))
            .collect();
        key(&move |run| run.extra_hosts.clone_from(&pairs))
    };
    assert_ne!(hosts(&[("ab", "c")]), hosts(&[("a", "bc")]));
    assert_ne!(
        hosts(&[("a", "b"), ("c", "d")]),
        hosts(&[("c", "d"), ("a", "b")])
    );
    let with = |given: Volume| key(&move |run| run.volumes = vec![given.clone()]);
    let all = [
        volume("/a", "/b", VolumeAccess::Kept),
        volume("/a", "/b", VolumeAccess::ReadOnly),
        volume("/a", "/b", VolumeAccess::Dropped),
        volume("/b", "/a", VolumeAccess::Kept),
    ];
    let keys: std::collections::BTreeSet<_> = all.into_iter().map(with).collect();
    assert_eq!(keys.len(), 4);
}

#[test]
fn the_form_counts_as_far_as_the_image_shows_it() {
    let form = |change: &dyn Fn(&mut Form)| outcome(Form::key, change);
    let all = [
        annotation(Level::Manifest, None, "a", "b"),
        annotation(Level::Index, None, "a", "b"),
        annotation(Level::Manifest, Some(Platform::host()), "a", "b"),
        annotation(Level::Manifest, None, "a", "c"),
    ];
    for given in all {
        assert_eq!(form(&|form| form.annotations.push(given.clone())), "other");
    }
    assert_eq!(form(&|form| form.omit_history = true), "other");
    assert_eq!(form(&|form| form.squash = Squash::Added), "other");
    assert_eq!(form(&|form| form.squash = Squash::All), "other");
    assert_eq!(form(&|form| form.stage_labels = true), "no key");
    assert_eq!(form(&|form| form.origin_label = true), "no key");
    assert_eq!(form(&|form| form.save_stages = true), "same");
    assert_eq!(
        form(&|form| form.layer_labels.extend([pair("a", "b")])),
        "same"
    );
}

#[test]
fn of_the_platforms_only_the_index_is_not_in_the_graph() {
    let form = |change: &dyn Fn(&mut Form)| outcome(Form::key, change);
    let platforms = ["linux/amd64", "linux/arm64"].map(|text| Platform::parse(text).unwrap());
    assert_eq!(form(&|form| form.always_index = true), "other");
    assert_eq!(form(&|form| form.platforms = platforms.to_vec()), "other");
    assert_eq!(
        form(&|form| form.platforms = platforms[..1].to_vec()),
        "same"
    );
}

#[test]
fn what_is_reused_and_where_it_goes_does_not_count() {
    let reuse =
        |change: &dyn Fn(&mut Reuse)| outcome(|reuse: &Reuse, key| Some(reuse.key(key)), change);
    assert_eq!(reuse(&|reuse| reuse.no_cache = true), "same");
    assert_eq!(reuse(&|reuse| reuse.cache_ttl = Some(1)), "same");
    assert_eq!(reuse(&|reuse| reuse.pull = Pull::Always), "same");
    let name = || Reference::parse("a:1").unwrap();
    let goal = |change: &dyn Fn(&mut Goal)| outcome(Goal::key, change);
    assert_eq!(goal(&|goal| goal.tags.push(name())), "same");
    assert_eq!(goal(&|goal| goal.manifest = Some(name())), "no key");
}

#[test]
fn an_outcome_is_taken_as_a_whole_only_if_every_result_may_be() {
    let takes = |change: &dyn Fn(&mut Reuse)| {
        let mut reuse = Reuse::default();
        change(&mut reuse);
        reuse.takes_outcomes()
    };
    assert!(takes(&|_| {}));
    assert!(!takes(&|reuse| reuse.no_cache = true));
    assert!(!takes(&|reuse| reuse.cache_ttl = Some(60)));
    assert!(!takes(&|reuse| reuse
        .no_cache_filter
        .extend(["a".to_owned()])));
}
