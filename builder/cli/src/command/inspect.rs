//! `kiln inspect`: containers and images as JSON with docker's field names, or what a template makes of them.

pub mod containers;
mod fields;
pub mod images;

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{catalog, containers as container, listing, session, table};
use clap::{Args, ValueEnum};
use kiln_cache::Store;
use kiln_oci::Platform;
use kiln_template::{Template, Value};

/// What can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ObjectType {
    /// Those of `kiln run`
    Container,
    /// Those of the store
    Image,
}

/// Arguments of `kiln inspect`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names or IDs of containers and images; where both are called so, it is the container
    #[arg(value_name = "CONTAINER|IMAGE", required = true)]
    names: Vec<String>,
    /// A template in docker's language, such as '{{.Id}}' or '{{json .Config.Env}}', or `json` for one line
    #[arg(short, long, value_name = "FORMAT", add = Takes::Single)]
    format: Option<String>,
    /// Platform of the image, if it has several
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<Platform>,
    /// Look only among these
    #[arg(long = "type", value_enum, value_name = "TYPE", add = Takes::Single)]
    object: Option<ObjectType>,
}

/// Shows those that are there; names of the others end it with an error, as in docker.
///
/// # Errors
/// When one is not there, or the template does not fit.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let format = arguments
        .format
        .as_deref()
        .filter(|format| !format.is_empty());
    let parse = |text| match Template::parse(text) {
        Ok(template) => Ok((text, template)),
        Err(error) => Err(listing::wrong(text, &error, Kind::Usage)),
    };
    let template = format
        .filter(|format| *format != "json")
        .map(parse)
        .transpose()?;
    let store = session::reading(globals)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in &arguments.names {
        match arguments.find(&store, name) {
            Ok(one) => found.push(one),
            Err(failure) => failures.push(failure),
        }
    }
    match template {
        Some((text, template)) => show(text, &template, &found)?,
        None => {
            let all = Value::from(found).to_json();
            let one_line = format.map(|_| format!("{all}\n"));
            table::print_text(&one_line.unwrap_or_else(|| indented(&all)));
        }
    }
    Failure::all(failures)
}

impl Arguments {
    fn find(&self, store: &Store, name: &str) -> Result<Value, Failure> {
        if self.object == Some(ObjectType::Container) {
            return Ok(containers::of(store, &container::find(store, name)?));
        }
        if self.object.is_none()
            && let Some(kept) = container::known(store, name)?
        {
            return Ok(containers::of(store, &kept));
        }
        let image = catalog::find_for(store, name, self.platform.as_ref())?;
        fields::of(store, &image)
    }
}

/// Docker's indentation.
fn indented(json: &serde_json::Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    let written = serde::Serialize::serialize(json, &mut serializer);
    written.map_or_else(
        |_| json.to_string(),
        |()| String::from_utf8_lossy(&bytes).into_owned(),
    ) + "\n"
}

fn show(text: &str, template: &Template, images: &[Value]) -> Result<(), Failure> {
    for image in images {
        let shown = template
            .render(image)
            .map_err(|error| listing::wrong(text, &error, Kind::Build))?;
        table::print_text(&(shown + "\n"));
    }
    Ok(())
}
