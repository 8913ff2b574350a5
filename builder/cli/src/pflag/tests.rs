//! Every flag of every command, taken from the commands themselves, by pflag's rules; and whether clap agrees with what flags say of
//! themselves. Unaware of what flags mean.

use super::*;
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::any::TypeId;

const TRUE: [&str; 6] = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE: [&str; 6] = ["0", "f", "F", "false", "FALSE", "False"];

/// A flag of a command: the names that lead to the command, the flag's own, what it takes, whether any text is a value.
struct Known {
    command: Vec<String>,
    name: String,
    takes: Takes,
    is_text: bool,
}

/// Whether clap reads the flag in that way.
fn fits(takes: Takes, flag: &Arg) -> bool {
    let type_id = flag.get_value_parser().type_id();
    let is_optional = flag
        .get_num_args()
        .is_some_and(|count| count.min_values() == 0);
    let is_bool = type_id == TypeId::of::<bool>();
    let numbers = [
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i64>(),
    ];
    let is_number = numbers.iter().any(|number| type_id == *number);
    match flag.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => takes == Takes::Switch,
        ArgAction::Set if is_optional && is_bool => takes == Takes::Switch,
        ArgAction::Set if is_optional => takes == Takes::Optional,
        ArgAction::Set if is_number => takes == Takes::Number,
        ArgAction::Set => matches!(takes, Takes::Single | Takes::Verbatim),
        ArgAction::Append => matches!(takes, Takes::List | Takes::StrictList),
        _ => false,
    }
}

fn collect(command: &Command, names: &[String], all: &mut Vec<Known>) {
    for flag in command.get_arguments().filter(|flag| !flag.is_positional()) {
        let id = flag.get_id();
        let Some(takes) = Takes::of(flag) else {
            let ours = !["help", "version"].contains(&flag.get_id().as_str());
            assert!(!ours, "{names:?}: {id} does not say what it takes");
            continue;
        };
        assert!(
            fits(takes, flag),
            "{names:?}: {id} is no {takes:?} for clap"
        );
        all.push(Known {
            command: names.to_vec(),
            name: format!("--{}", flag.get_long().expect("every flag has a long name")),
            takes,
            is_text: flag.get_value_parser().type_id() == TypeId::of::<String>(),
        });
    }
    for inner in command.get_subcommands() {
        let names = [names, &[inner.get_name().to_owned()]].concat();
        collect(inner, &names, all);
    }
}

fn all() -> Vec<Known> {
    let mut all = Vec::new();
    collect(&crate::Arguments::command(), &["kiln".to_owned()], &mut all);
    all
}

/// The reader's line, behind the command, of these arguments.
fn line(command: &Command, names: &[String], flags: &[&str]) -> Result<Vec<String>, String> {
    let given = names
        .iter()
        .map(String::as_str)
        .chain(flags.iter().copied());
    let line = read(command, given.map(OsString::from)).map_err(|wrong| format!("{wrong:?}"))?;
    let line = line.into_iter().skip(names.len());
    Ok(line.map(|word| word.into_string().unwrap()).collect())
}

#[test]
fn every_flag_of_every_command_is_read_by_pflags_rules() {
    let command = crate::Arguments::command();
    let all = all();
    assert!(
        all.len() > 400
            && all
                .iter()
                .any(|flag| flag.command == ["kiln", "image", "save"])
    );
    for Known {
        command: names,
        name,
        takes,
        ..
    } in &all
    {
        let said = |flags: &[&str]| line(&command, names, flags);
        let with = |value: &str| format!("{name}={value}");
        let is = |flags: &[&str], expected: &[&str]| {
            let expected: Vec<String> = expected.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(said(flags), Ok(expected), "{names:?} {flags:?}");
        };
        let (a, b, empty, on, off) = (&with("a"), &with("b"), &with(""), &with("1"), &with("0"));
        match takes {
            Takes::Switch => {
                let (alone, none) = (said(&[name]), said(&[off]));
                assert_ne!(alone, none, "{names:?} {name}");
                for (yes, no) in TRUE.iter().zip(FALSE) {
                    assert_eq!(said(&[&with(yes)]), alone, "{names:?} {name}={yes}");
                    assert_eq!(said(&[&with(no)]), none, "{names:?} {name}={no}");
                }
                for wrong in ["maybe", "", "yes", "2", "tRUE"] {
                    let refused = said(&[&with(wrong)]).unwrap_err();
                    assert!(
                        refused.contains(name) && refused.contains(wrong),
                        "{refused}"
                    );
                }
                assert_eq!(said(&[on, off]), none, "{names:?} {name}");
                assert_eq!(said(&[off, name]), alone, "{names:?} {name}");
            }
            Takes::Optional => {
                is(&[name, a, b], &[b]);
                is(&[a, name], &[name]);
            }
            Takes::Single | Takes::Number | Takes::Verbatim => {
                is(&[name, "a", b], &[b]);
                is(&[a, name, "-b"], &[&with("-b")]);
                let left: &[&str] = match takes {
                    Takes::Number | Takes::Verbatim => &[empty],
                    _ => &[],
                };
                is(&[a, empty], left);
                is(&[a, name, ""], left);
            }
            Takes::List => is(&[a, empty, name, "", name, "--b"], &[a, &with("--b")]),
            Takes::StrictList => is(&[a, empty, name, "b"], &[a, empty, b]),
            Takes::Rest => panic!("{name} is no flag"),
        }
    }
}

/// What clap makes of it: nothing is left for it to complain about but what else the command needs.
#[test]
fn clap_takes_what_was_read() {
    let mut command = crate::Arguments::command();
    for flag in all() {
        let name = &flag.name;
        let lines: Vec<[String; 2]> = match flag.takes {
            Takes::Switch => ["true", "false"]
                .map(|value| [name.clone(), format!("{name}={value}")])
                .into(),
            Takes::Single => vec![[format!("{name}="), format!("{name}=")]],
            Takes::List | Takes::StrictList if flag.is_text => {
                vec![[format!("{name}=-a"), format!("{name}=b")]]
            }
            _ => continue,
        };
        for flags in lines {
            let given = flag.command.iter().chain(&flags).map(OsString::from);
            let line = read(&command, given).unwrap();
            let kind = command
                .try_get_matches_from_mut(line)
                .map_err(|error| error.kind());
            let is_taken = matches!(
                kind,
                Ok(_)
                    | Err(ErrorKind::MissingRequiredArgument
                        | ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
            );
            assert!(is_taken, "{:?} {flags:?}: {kind:?}", flag.command);
        }
    }
}

#[test]
fn lines_are_written_anew() {
    let command = crate::Arguments::command();
    let names = ["kiln".to_owned(), "build".to_owned()];
    let is = |flags: &[&str], expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(line(&command, &names, flags), Ok(expected), "{flags:?}");
    };
    is(&["-q=true", "."], &["--quiet", "."]);
    is(&["-q=F"], &[]);
    is(&["-qf", "x"], &["--quiet", "--file=x"]);
    is(&["-qf=x"], &["--quiet", "--file=x"]);
    is(&["-qfx"], &["--quiet", "--file=x"]);
    is(&["-fq"], &["--file=q"]);
    is(
        &["-t", "a", "-tb", "-t=c"],
        &["--tag=a", "--tag=b", "--tag=c"],
    );
    is(&["--dockerfile=a", "-f", "b"], &["--file=b"]);
    is(&["build", "images"], &["build", "images"]);
    is(
        &["-", "--", "-q", "--push=x"],
        &["-", "--", "-q", "--push=x"],
    );
    is(&["--target", "--", "."], &["--target=--", "."]);
    // What is not known is clap's business.
    is(
        &["--pusch=x", "-qY=1", "--target"],
        &["--pusch=x", "--quiet", "-Y=1", "--target"],
    );
    is(
        &["--offline=0", "--store", "a", "--store=b"],
        &["--offline=false", "--store=b"],
    );
}

/// What belongs to another program stays as it is.
#[test]
fn the_command_line_of_another_program_is_not_read() {
    let command = crate::Arguments::command();
    let names = ["kiln", "run"].map(str::to_owned);
    let is = |words: &[&str], expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(line(&command, &names, words), Ok(expected), "{words:?}");
    };
    is(
        &["-it", "-eA", "image", "ls", "-it", "-eB", "--", "--rm=no"],
        &[
            "--interactive",
            "--tty",
            "--env=A",
            "--",
            "image",
            "ls",
            "-it",
            "-eB",
            "--",
            "--rm=no",
        ],
    );
    is(
        &["--rm", "--", "image", "-x"],
        &["--rm", "--", "image", "-x"],
    );
}
