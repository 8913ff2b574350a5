//! The tables of the database, and how those of an older kiln become those of today. Unaware of what reads and writes them.

use rusqlite::Connection;

/// The schema, step by step: `PRAGMA user_version` counts the steps that a database has taken, and opening one takes the rest.
/// A step never changes once it was released; what is new is a new step at the end.
///
/// `boot` is the boot that wrote the blob, or digested it last; `synced` says that it was made durable. `forms` holds what a layer
/// is in a compression; `origins` which repositories hold a blob or manifest, and as what: `there` is another digest where a push
/// compressed layers. `image_layers.size` is that of the blob. `tags.manifest` and `memos.manifest` may name an index; its children
/// are images or indexes, here or not. `index_blobs` are what it has beside images, as far as it came along. `tags.tagged` is 0 for
/// names of before there was the column, as is `records.made`. `offered` describes layers that shared caches hold as blobs; `cache` is
/// the one that said it, empty for what an image of this store needs. `caches` are those that a result rests on, empty for this store's
/// own. Results of before there was the column cannot be told from claims, and are found by no key of today: they go. Views of before
/// step 10 may hold what overlayfs copied up: they count as those of another boot, and are made anew. `builds` says of
/// an image that was built here, by its ID, where its history comes from (`cache/src/build_record.rs`). `history` are the last builds
/// (`cache/src/history.rs`), numbered in the order in which they ended, and
/// `logs` what their steps printed (`cache/src/log.rs`), and `inputs` what steps were made of (`cache/src/inputs.rs`). `views.uses` counts processes.
/// `totals` are sums of sizes, which triggers keep (a row is never inserted with REPLACE, which would tell them nothing); `left_over` is
/// what they were at `left_at`, when nothing more could be removed. `mounts` are cache mounts as they were measured last.
pub(super) const SCHEMA: [&str; 14] = [
    "
CREATE TABLE blobs (
    digest BLOB PRIMARY KEY, size INTEGER NOT NULL, boot TEXT NOT NULL, synced INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE layers (
    diff_id BLOB PRIMARY KEY, tree BLOB NOT NULL, tar_size INTEGER NOT NULL, compressed BLOB, compressed_size INTEGER,
    cost_ms INTEGER NOT NULL DEFAULT 0, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE views (
    id_map TEXT NOT NULL, diff_id BLOB NOT NULL, size INTEGER NOT NULL, boot TEXT NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (id_map, diff_id)
) WITHOUT ROWID;
CREATE TABLE records (
    key BLOB PRIMARY KEY, definition BLOB NOT NULL, diff_id BLOB, tree BLOB NOT NULL, created INTEGER NOT NULL,
    cost_ms INTEGER NOT NULL, line INTEGER NOT NULL, title TEXT NOT NULL, inputs TEXT NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX records_by_definition ON records (definition, tree);
CREATE INDEX records_by_layer ON records (diff_id);
CREATE TABLE memos (
    key BLOB PRIMARY KEY, manifest BLOB NOT NULL, bundle TEXT NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE images (
    manifest BLOB PRIMARY KEY, config BLOB NOT NULL, stored INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE image_layers (
    manifest BLOB NOT NULL, position INTEGER NOT NULL, diff_id BLOB NOT NULL, blob BLOB NOT NULL,
    PRIMARY KEY (manifest, position)
) WITHOUT ROWID;
CREATE TABLE tags (reference TEXT PRIMARY KEY, manifest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE pins (lease TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (lease, digest)) WITHOUT ROWID;
",
    "CREATE TABLE fetched (key BLOB PRIMARY KEY, layer BLOB, document TEXT NOT NULL) WITHOUT ROWID;",
    "
ALTER TABLE image_layers ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
CREATE INDEX images_by_layer ON image_layers (diff_id);
CREATE TABLE forms (
    diff_id BLOB NOT NULL, compression TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (diff_id, compression)
) WITHOUT ROWID;
CREATE TABLE origins (
    digest BLOB NOT NULL, repository TEXT NOT NULL, there BLOB NOT NULL, PRIMARY KEY (digest, repository)
) WITHOUT ROWID;
",
    "
CREATE TABLE indexes (digest BLOB PRIMARY KEY, stored INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE index_children (
    digest BLOB NOT NULL, position INTEGER NOT NULL, child BLOB NOT NULL, PRIMARY KEY (digest, position)
) WITHOUT ROWID;
CREATE INDEX index_parents ON index_children (child);
",
    "
CREATE TABLE index_blobs (digest BLOB NOT NULL, blob BLOB NOT NULL, PRIMARY KEY (digest, blob)) WITHOUT ROWID;
ALTER TABLE tags ADD COLUMN tagged INTEGER NOT NULL DEFAULT 0;
",
    "ALTER TABLE records ADD COLUMN made INTEGER NOT NULL DEFAULT 0;",
    "
CREATE TABLE offered (
    diff_id BLOB NOT NULL, blob BLOB NOT NULL, size INTEGER NOT NULL, tar_size INTEGER NOT NULL, compression TEXT NOT NULL,
    PRIMARY KEY (diff_id, blob)
) WITHOUT ROWID;
CREATE INDEX offered_blobs ON offered (blob);
",
    "
DROP TABLE records;
CREATE TABLE records (
    key BLOB NOT NULL, caches TEXT NOT NULL, definition BLOB NOT NULL, diff_id BLOB, tree BLOB NOT NULL, created INTEGER NOT NULL,
    made INTEGER NOT NULL, cost_ms INTEGER NOT NULL, line INTEGER NOT NULL, title TEXT NOT NULL, inputs TEXT NOT NULL,
    used INTEGER NOT NULL, PRIMARY KEY (key, caches)
) WITHOUT ROWID;
CREATE INDEX records_by_definition ON records (definition, tree);
CREATE INDEX records_by_layer ON records (diff_id);
DROP TABLE memos;
CREATE TABLE memos (
    key BLOB NOT NULL, caches TEXT NOT NULL, manifest BLOB NOT NULL, bundle TEXT NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (key, caches)
) WITHOUT ROWID;
ALTER TABLE offered RENAME TO offered_before;
CREATE TABLE offered (
    diff_id BLOB NOT NULL, blob BLOB NOT NULL, cache TEXT NOT NULL, place TEXT NOT NULL, size INTEGER NOT NULL, tar_size INTEGER NOT NULL,
    compression TEXT NOT NULL, PRIMARY KEY (diff_id, blob, cache, place)
) WITHOUT ROWID;
INSERT INTO offered SELECT diff_id, blob, '', repository, size, tar_size, compression FROM offered_before
    JOIN origins ON digest = blob AND there = blob WHERE diff_id IN (SELECT diff_id FROM image_layers);
DROP TABLE offered_before;
CREATE INDEX offered_blobs ON offered (blob);
",
    "CREATE TABLE builds (config BLOB PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;",
    "
ALTER TABLE records ADD COLUMN isolation TEXT NOT NULL DEFAULT 'namespaces';
DROP INDEX records_by_definition;
CREATE INDEX records_by_tree ON records (definition, tree, created);
CREATE INDEX records_by_time ON records (definition, created DESC);
CREATE INDEX tags_by_manifest ON tags (manifest);
CREATE INDEX memos_by_manifest ON memos (manifest);
CREATE INDEX layers_by_blob ON layers (compressed);
CREATE INDEX layers_by_form ON forms (digest);
CREATE INDEX views_by_layer ON views (diff_id);
UPDATE views SET boot = '';
",
    "CREATE TABLE history (number INTEGER PRIMARY KEY, build TEXT NOT NULL, began_us INTEGER NOT NULL, document TEXT NOT NULL, steps TEXT NOT NULL);",
    "
CREATE TABLE logs (
    number INTEGER PRIMARY KEY, build TEXT NOT NULL, step INTEGER NOT NULL, key BLOB, kept INTEGER NOT NULL, size INTEGER NOT NULL,
    UNIQUE (build, step)
);
CREATE INDEX logs_by_key ON logs (key);
",
    "
ALTER TABLE views ADD COLUMN uses INTEGER NOT NULL DEFAULT 1;
CREATE TABLE mounts (path TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE totals (
    class TEXT PRIMARY KEY, bytes INTEGER NOT NULL, left_over INTEGER NOT NULL DEFAULT 0, left_at INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO totals (class, bytes) SELECT 'blobs', coalesce(sum(size), 0) FROM blobs;
INSERT INTO totals (class, bytes) SELECT 'views', coalesce(sum(size), 0) FROM views;
INSERT INTO totals (class, bytes) VALUES ('mounts', 0);
CREATE TRIGGER blob_added AFTER INSERT ON blobs BEGIN UPDATE totals SET bytes = bytes + new.size WHERE class = 'blobs'; END;
CREATE TRIGGER blob_changed AFTER UPDATE OF size ON blobs
    BEGIN UPDATE totals SET bytes = bytes + new.size - old.size WHERE class = 'blobs'; END;
CREATE TRIGGER blob_removed AFTER DELETE ON blobs BEGIN UPDATE totals SET bytes = bytes - old.size WHERE class = 'blobs'; END;
CREATE TRIGGER view_added AFTER INSERT ON views BEGIN UPDATE totals SET bytes = bytes + new.size WHERE class = 'views'; END;
CREATE TRIGGER view_changed AFTER UPDATE OF size ON views
    BEGIN UPDATE totals SET bytes = bytes + new.size - old.size WHERE class = 'views'; END;
CREATE TRIGGER view_removed AFTER DELETE ON views BEGIN UPDATE totals SET bytes = bytes - old.size WHERE class = 'views'; END;
CREATE TRIGGER mount_added AFTER INSERT ON mounts BEGIN UPDATE totals SET bytes = bytes + new.bytes WHERE class = 'mounts'; END;
CREATE TRIGGER mount_changed AFTER UPDATE OF bytes ON mounts
    BEGIN UPDATE totals SET bytes = bytes + new.bytes - old.bytes WHERE class = 'mounts'; END;
CREATE TRIGGER mount_removed AFTER DELETE ON mounts BEGIN UPDATE totals SET bytes = bytes - old.bytes WHERE class = 'mounts'; END;
",
    "CREATE TABLE inputs (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, document BLOB NOT NULL);",
];

/// How many steps a database has taken. More than there are: a newer kiln made it.
pub(super) fn taken(connection: &Connection) -> rusqlite::Result<usize> {
    let taken = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    Ok(usize::try_from(taken).unwrap_or(usize::MAX))
}

/// Takes the steps that are missing. Another process may have taken them in the meantime.
pub(super) fn take_steps(connection: &Connection) -> rusqlite::Result<()> {
    let taken = taken(connection)?;
    for step in SCHEMA.iter().skip(taken) {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "user_version", SCHEMA.len().max(taken) as i64)
}
