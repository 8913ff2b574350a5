//! Stores as processes use them: opened, shared, pruned, checked, killed and filled up.

mod crash;
mod damage;
mod ingest;
mod open;
mod prune;
mod records;
