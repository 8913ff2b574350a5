//! `--change` of `import` and `commit`: instructions that change the config of an image, read and applied as in a Dockerfile. Unaware of files.

use crate::failure::ArchiveError;
use kiln_oci::{ImageConfig, RuntimeConfig};
use kiln_parser::diagnostic::Diagnostic;
use kiln_parser::inputs::{Bases, Evaluation, Inputs};

/// Instructions that change nothing but the config; docker allows the same.
const CHANGES: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The config with the changes made, in order.
///
/// # Errors
/// [`ArchiveError::Change`] for one that is malformed, or not such an instruction.
pub(crate) fn apply(
    mut config: ImageConfig,
    changes: &[String],
) -> Result<ImageConfig, ArchiveError> {
    if changes.is_empty() {
        return Ok(config);
    }
    for change in changes {
        check(change)?;
    }
    // What a build would add by itself is not wanted: an import changes what it is told to.
    let untouched = evaluate(&config, &[])?;
    let mut changed = evaluate(&config, changes)?;
    if path(&config.config).is_none() {
        let added = path(&untouched);
        changed.env.retain(|entry| Some(entry) != added);
    }
    config.config = changed;
    Ok(config)
}

fn path(config: &RuntimeConfig) -> Option<&String> {
    config.env.iter().find(|entry| entry.starts_with("PATH="))
}

fn check(change: &str) -> Result<(), ArchiveError> {
    let failed = |problem: String| ArchiveError::Change {
        change: change.to_owned(),
        problem,
    };
    let parsed = kiln_parser::parse(&format!("FROM base\n{change}\n"));
    if let Some(error) = parsed.errors.first() {
        return Err(failed(told(error)));
    }
    for line in parsed.dockerfile.lines.iter().skip(1) {
        let name = line.name().to_uppercase();
        if !CHANGES.contains(&name.as_str()) {
            return Err(failed(format!(
                "{name} is not possible here, only {}",
                CHANGES.join(", ")
            )));
        }
    }
    Ok(())
}

fn evaluate(config: &ImageConfig, changes: &[String]) -> Result<RuntimeConfig, ArchiveError> {
    let text = format!("FROM base\n{}\n", changes.join("\n"));
    let failed = |problem: String| ArchiveError::Change {
        change: changes.join("; "),
        problem,
    };
    let first = |errors: Vec<Diagnostic>| failed(errors.first().map(told).unwrap_or_default());
    let parsed = kiln_parser::parse(&text);
    let inputs = Inputs::new(config.platform());
    let mut bases = Bases::default();
    for _ in 0..2 {
        match kiln_parser::evaluate(&parsed.dockerfile, &inputs, &bases).map_err(first)? {
            Evaluation::Graph(graph) => return Ok(graph.target_stage().config.clone()),
            Evaluation::Needs(requests) => {
                for request in &requests {
                    bases.insert(request, config.clone());
                }
            }
        }
    }
    Err(failed("it needs another image".to_owned()))
}

fn told(error: &Diagnostic) -> String {
    match &error.help {
        Some(help) => format!("{} ({help})", error.message),
        None => error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_oci::Platform;

    fn changed(changes: &[&str]) -> Result<ImageConfig, String> {
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        apply(ImageConfig::new(&Platform::new("linux", "amd64")), &changes)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn changes_are_instructions() {
        let config = changed(&[
            "ENV A=1 B=\"two words\"",
            "env C=$A",
            "CMD [\"/bin/sh\"]",
            "WORKDIR /srv",
            "WORKDIR app",
            "EXPOSE 80",
            "LABEL a=b",
            "USER 1000",
            "ONBUILD RUN x",
            "HEALTHCHECK NONE",
        ])
        .unwrap();
        let runtime = &config.config;
        assert_eq!(runtime.env, ["A=1", "B=two words", "C=1"]);
        assert_eq!(runtime.cmd.as_deref(), Some(&["/bin/sh".to_owned()][..]));
        assert_eq!(
            (runtime.working_dir.as_str(), runtime.user.as_str()),
            ("/srv/app", "1000")
        );
        assert!(runtime.exposed_ports.contains_key("80/tcp"));
        assert_eq!(runtime.on_build, ["RUN x"]);
    }

    #[test]
    fn nothing_is_added() {
        let config = ImageConfig::new(&Platform::new("linux", "amd64"));
        let labelled = changed(&["LABEL a=b"]).unwrap().config;
        assert_eq!(labelled.env, config.config.env);
        assert_eq!(labelled.working_dir, config.config.working_dir);
        assert_eq!(
            changed(&["ENV PATH=/bin"]).unwrap().config.env,
            ["PATH=/bin"]
        );
    }

    #[test]
    fn other_instructions_are_refused() {
        for (change, says) in [
            ("RUN x", "RUN is not possible"),
            ("COPY a b", "COPY is not possible"),
            ("FROM x", "FROM is not possible"),
            ("ENV A=1\nRUN x", "RUN is not possible"),
            ("CMDD x", "CMD"),
            ("EXPOSE nowhere", "nowhere"),
            ("", ""),
        ] {
            match changed(&[change]) {
                Ok(_) => assert_eq!(change, ""),
                Err(error) => assert!(error.contains(says), "{change}: {error}"),
            }
        }
    }
}
