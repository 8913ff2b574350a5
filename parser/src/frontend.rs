//! `# syntax=`: the frontend for which a Dockerfile was written. kiln reads the language of `docker/dockerfile` itself and runs no
//! frontends; unaware of what other frontends would do with the file.

use crate::ast::Dockerfile;
use crate::code;
use crate::diagnostic::Diagnostic;

/// The repositories of the frontend whose language kiln reads, on any registry that mirrors them.
const OWN: [&str; 2] = ["docker/dockerfile", "docker/dockerfile-upstream"];

/// A warning if the Dockerfile asks for a frontend with a language of its own.
pub fn foreign(dockerfile: &Dockerfile) -> Option<Diagnostic> {
    let mut directives = dockerfile.directives.iter();
    let syntax = directives.find(|directive| directive.name == "syntax")?;
    let image = syntax.value.split_whitespace().next()?;
    if OWN.iter().any(|own| is_at(repository(image), own)) {
        return None;
    }
    let message =
        format!("the frontend {image} is not used; kiln reads this file as docker/dockerfile does");
    let help = "what only that frontend knows is an error, or means something else here";
    Some(Diagnostic::warning(code::FRONTEND, syntax.span, message).with_help(help))
}

/// An image's name without tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let tag = name[base..]
        .find(':')
        .map_or(name.len(), |colon| base + colon);
    &name[..tag]
}

fn is_at(repository: &str, own: &str) -> bool {
    let registry = repository.strip_suffix(own);
    registry.is_some_and(|registry| registry.is_empty() || registry.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::parse;

    #[test]
    fn only_frontends_with_a_language_of_their_own_are_told() {
        let told = |image: &str| {
            let parsed = parse(&format!("# syntax={image}\nFROM scratch\n"));
            foreign(&parsed.dockerfile).is_some()
        };
        for own in [
            "docker/dockerfile",
            "docker/dockerfile:1.7-labs",
            "docker.io/docker/dockerfile:1@sha256:abc",
            "mirror.example:5000/hub/docker/dockerfile:1",
            "docker/dockerfile-upstream:master",
        ] {
            assert!(!told(own), "{own}");
        }
        for other in [
            "example.com/mopy:1",
            "mydocker/dockerfile:1",
            "docker/dockerfile-x",
            "crazymax/docker/dockerfiles",
        ] {
            assert!(told(other), "{other}");
        }
    }

    #[test]
    fn the_directive_is_marked() {
        let source = "# syntax = example.com/mopy:1\nFROM scratch\n";
        let found = foreign(&parse(source).dockerfile).unwrap();
        assert_eq!(&source[found.span.range()], "# syntax = example.com/mopy:1");
        assert!(foreign(&parse("FROM scratch\n").dockerfile).is_none());
    }
}
