//! Projects: what builds have in common that are compared with each other. Unaware of what is compared.

use crate::{History, PastBuild, PastStep, StoreError};

/// What builds have in common that are compared with each other: the Dockerfile and the folder of its context, else the name of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// The folder of the main context, if that is one.
    pub folder: Option<String>,
    /// The Dockerfile, as [`PastBuild::file`].
    pub file: String,
    /// What the image is called.
    pub names: Vec<String>,
}

impl Project {
    /// Whether it is the project of this build.
    #[must_use]
    pub fn has(&self, build: &PastBuild) -> bool {
        let name = self.names.first();
        let is_called_so = self.folder.is_some() || name.is_some() && name == build.names.first();
        (&self.folder, &self.file) == (&build.project, &build.file) && is_called_so
    }
}

impl PastBuild {
    /// Its project.
    #[must_use]
    pub fn project(&self) -> Project {
        Project {
            folder: self.project.clone(),
            file: self.file.clone(),
            names: self.names.clone(),
        }
    }
}

impl History<'_> {
    /// The last builds of a project that had steps, no more than `most`, the newest first, each with its steps.
    ///
    /// # Errors
    /// The database fails.
    pub fn last_of(
        &self,
        project: &Project,
        most: usize,
    ) -> Result<Vec<(PastBuild, Vec<PastStep>)>, StoreError> {
        let builds = self.builds()?.into_iter();
        let own = builds.filter(|build| project.has(build) && build.steps > 0);
        let with_steps = |build: PastBuild| {
            let steps = self.steps(&build.id)?;
            Ok((build, steps))
        };
        own.take(most).map(with_steps).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_are_told_apart_by_folder_and_file_else_by_name() {
        let build = |folder: Option<&str>, name: &str| PastBuild {
            project: folder.map(str::to_owned),
            names: vec![name.to_owned()],
            ..PastBuild::default()
        };
        let are_same = |one: PastBuild, other: PastBuild| one.project().has(&other);
        assert!(are_same(build(Some("/a"), "x"), build(Some("/a"), "y")));
        assert!(!are_same(build(Some("/a"), "x"), build(Some("/b"), "x")));
        assert!(are_same(build(None, "x"), build(None, "x")));
        assert!(!are_same(build(None, "x"), build(None, "y")));
    }

    #[test]
    fn the_last_builds_of_a_project_come_with_their_steps() {
        let (_folder, store) = crate::tests::store();
        let put = |number: i64, folder: &str, steps: usize| {
            let build = PastBuild {
                id: format!("{number:012x}"),
                began_us: number,
                project: Some(folder.to_owned()),
                steps,
                ..PastBuild::default()
            };
            let steps = vec![PastStep::default(); steps];
            store.history().put(&build, &steps).unwrap();
            build
        };
        let first = put(1, "/a", 2);
        let later = [
            put(2, "/a", 1),
            put(3, "/a", 0),
            put(4, "/b", 1),
            put(5, "/a", 3),
        ];
        let found = store.history().last_of(&first.project(), 2).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(build, steps)| (build, steps.len()))
            .collect();
        assert_eq!(found, [(&later[3], 3), (&later[0], 1)]);
    }
}
