//! Commands beside others on one store, and stores with very much in them: what vanishes meanwhile is no failure, and nothing looks at all
//! that there is.

use std::fs;

use rusqlite::Connection;

use crate::support::{Space, plain_cases};

plain_cases! {
    prunes_empty_one_trash_together,
    look_ups_are_indexed,
    many_names_go_together,
    a_newer_schema_is_named,
}

fn prunes_empty_one_trash_together(space: &Space) {
    space.build("FROM scratch\nCOPY Dockerfile /\n").ok();
    for folder in 0..400 {
        let path = space.store().join(format!("trash/{folder}/a/b"));
        fs::create_dir_all(&path).unwrap();
        for file in 0..4 {
            fs::write(path.join(file.to_string()), "").unwrap();
        }
    }
    let mut give = std::process::Command::new("chown");
    give.args(["-R", "--reference"]).arg(space.store());
    let given = give.arg(space.store().join("trash")).status();
    assert!(given.unwrap().success());
    let prunes: Vec<_> = (0..6).map(|_| space.kiln(["prune"]).spawn()).collect();
    for prune in prunes {
        let pruned = prune.wait();
        assert_eq!(pruned.status.code(), Some(0), "{pruned}");
    }
    assert_eq!(
        fs::read_dir(space.store().join("trash")).unwrap().count(),
        0
    );
    space.is_clean();
}

/// What each build asks costs the same however many results and names there are.
fn look_ups_are_indexed(space: &Space) {
    space.build("FROM scratch\nCOPY Dockerfile /\n").ok();
    let database = Connection::open(space.store().join("kiln.db")).unwrap();
    for query in [
        "SELECT * FROM records WHERE key = ?1",
        "SELECT * FROM records WHERE definition = ?1 ORDER BY created DESC, key, caches",
        "SELECT * FROM records WHERE definition = ?1 AND tree = ?1 ORDER BY created, key, caches",
        "SELECT * FROM memos WHERE key = ?1",
        "DELETE FROM memos WHERE manifest = ?1",
        "SELECT reference FROM tags WHERE manifest = ?1",
        "SELECT diff_id FROM layers WHERE compressed = ?1",
        "SELECT diff_id FROM forms WHERE digest = ?1",
        "UPDATE views SET used = 1 WHERE diff_id = ?1",
    ] {
        let explain = format!("EXPLAIN QUERY PLAN {query}");
        let mut plan = database.prepare(&explain).unwrap();
        let steps = plan.query_map(["x"], |row| row.get(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        let is_indexed = |step: &String| step.starts_with("SEARCH");
        assert!(steps.iter().all(is_indexed), "{query}: {steps:?}");
    }
}

fn many_names_go_together(space: &Space) {
    space.build("FROM scratch\nCOPY Dockerfile /\n").ok();
    let database = Connection::open(space.store().join("kiln.db")).unwrap();
    let manifest = "(SELECT manifest FROM images)";
    let add = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) \
         INSERT INTO tags SELECT 'docker.io/library/name' || i || ':latest', {manifest}, 1 FROM n"
    );
    assert_eq!(database.execute(&add, []).unwrap(), 4000);
    // who reads keeps the log from beginning anew, so it tells how many transactions there were
    let reader = database.unchecked_transaction().unwrap();
    let count = "SELECT count(*) FROM tags";
    let names = |database: &Connection| database.query_row(count, [], |row| row.get(0));
    let before: i64 = names(&reader).unwrap();
    let begun = log(space);
    let pruned = space.kiln(["prune", "-a"]).ok();
    assert_eq!(pruned.stdout.matches("Untagged: ").count(), 4001);
    let grown = log(space) - begun;
    assert!(grown < 8 << 20, "the log grew by {grown} bytes");
    drop(reader);
    assert_eq!((before, names(&database).unwrap()), (4001, 0));
}

/// Bytes of the database's log.
fn log(space: &Space) -> u64 {
    fs::metadata(space.store().join("kiln.db-wal")).map_or(0, |stat| stat.len())
}

fn a_newer_schema_is_named(space: &Space) {
    space.build("FROM scratch\nCOPY Dockerfile /\n").ok();
    let database = Connection::open(space.store().join("kiln.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    for command in [
        &["images"][..],
        &["prune"],
        &["fsck"],
        &["tag", "app", "other"],
    ] {
        let refused = space.kiln(command).exits(3);
        refused.says(&["a newer kiln", "use that kiln"]);
    }
}
