//! Stores as processes use them: opened, shared, pruned, checked, killed and filled up.

mod budget;
mod crash;
mod damage;
mod ingest;
mod open;
mod prune;
mod records;
