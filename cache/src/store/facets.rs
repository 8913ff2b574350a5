//! The facets of a store: what it keeps, one small borrowed type for each kind of thing.
//!
//! A facet is the store looked at from one side. It holds nothing but the store, and stands in the file of what it is about.

use crate::Store;

/// Makes the types, and the methods of [`Store`] that give them.
macro_rules! facets {
    ($($(#[doc = $doc:literal])+ $vis:vis $name:ident: $facet:ident;)*) => {
        $($(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        $vis struct $facet<'a> {
            pub(crate) store: &'a Store,
        })*

        impl Store {
            $($(#[doc = $doc])+
            #[must_use]
            $vis fn $name(&self) -> $facet<'_> {
                $facet { store: self }
            })*
        }
    };
}

facets! {
    /// Files that are named by their digest.
    pub blobs: Blobs;
    /// Tars and their indexes; how they come in, from a RUN's upper or from outside.
    pub layers: Layers;
    /// Compressed forms of layers.
    pub forms: Forms;
    /// Results of steps, whole outcomes of builds, and what was fetched.
    pub records: Records;
    /// Which instruction of which Dockerfile each step of an image is.
    pub builds: Builds;
    /// Which builds there were, and how they ended.
    pub history: History;
    /// What steps printed.
    pub logs: Logs;
    /// What steps were made of.
    pub inputs: Inputs;
    /// Images and their names.
    pub images: Images;
    /// Indexes: images for several platforms.
    pub indexes: Indexes;
    /// Layers unpacked so that they can be mounted, and the uppers of RUN steps.
    pub views: Views;
    /// What `RUN --mount=type=cache` keeps.
    pub cache_mounts: CacheMounts;
    /// Containers that are kept, with what they have changed.
    pub containers: Containers;
    /// What this process holds so that no other takes or makes it: pins and locks of keys.
    pub leases: Leases;
    /// Folders and files of this process alone.
    pub scratch: Scratch;
    /// What is removed, but still on the disk.
    pub(crate) trash: Trash;
    /// What takes how much, and its removal.
    pub garbage: Garbage;
    /// Where blobs are that are not here.
    pub origins: Origins;
    /// Bringing what is not here.
    pub fetch: Fetch;
    /// What shared caches say, and what they are given.
    pub exchange: Exchange;
}
