//! A project that changes at random: a context, a named context, a base image, a Dockerfile, flags. Words are few, so that states come
//! again. Unaware of stores, and of what is compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

pub mod files;
mod texts;

use files::Files;

use super::random::Random;

/// Everything that decides what is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// The main context; the Dockerfile is beside it.
    pub context: Files,
    /// The context that is named `extra`.
    pub extra: Files,
    /// The context of the image `base`.
    pub base: Files,
    /// The Dockerfile of that image.
    base_text: &'static str,
    stages: Vec<Stage>,
    flags: BTreeMap<&'static str, String>,
    /// The time of everything.
    pub epoch: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
struct Stage {
    base: String,
    steps: Vec<String>,
}

impl Stage {
    fn new(number: usize, random: &mut Random) -> Self {
        let base = match random.below(6) {
            0 => "scratch".to_owned(),
            1 | 2 => "base".to_owned(),
            3 if number > 0 => format!("s{}", random.index(number)),
            _ => "tools".to_owned(),
        };
        let mut stage = Stage {
            base,
            steps: Vec::new(),
        };
        for _ in 0..2 + random.below(3) {
            stage.steps.push(stage.step(number, random));
        }
        stage
    }

    /// Without programs nothing runs.
    fn step(&self, number: usize, random: &mut Random) -> String {
        match self.base.as_str() {
            "scratch" => texts::plain_step(number, random),
            _ => texts::step(number, random),
        }
    }

    /// One step is added, removed, replaced, or changes places.
    fn edit(&mut self, number: usize, random: &mut Random) {
        let at = random.index(self.steps.len() + 1);
        let is_there = at < self.steps.len();
        match random.below(4) {
            0 if is_there && self.steps.len() > 1 => drop(self.steps.remove(at)),
            1 if is_there => self.steps[at] = self.step(number, random),
            2 if is_there => {
                let other = random.index(self.steps.len());
                self.steps.swap(at, other);
            }
            _ => self.steps.insert(at, self.step(number, random)),
        }
        self.steps.truncate(7);
    }
}

impl Project {
    /// One to begin with.
    pub fn new(random: &mut Random) -> Self {
        Self {
            context: Files::new(random),
            extra: Files::new(random),
            base: Files::new(random),
            base_text: texts::BASES[0],
            stages: (0..2).map(|number| Stage::new(number, random)).collect(),
            flags: BTreeMap::new(),
            epoch: texts::EPOCHS[0],
        }
    }

    /// Changes one thing.
    pub fn edit(&mut self, random: &mut Random) {
        match random.below(12) {
            0..=3 => self.context.edit(random),
            4 => self.extra.edit(random),
            5 if random.once_in(2) => self.base.edit(random),
            5 => self.base_text = random.of(&texts::BASES),
            6 | 7 => self.edit_flags(random),
            8 if random.once_in(2) => self.epoch = random.of(&texts::EPOCHS),
            8 => self.edit_stages(random),
            _ => {
                let number = random.index(self.stages.len());
                self.stages[number].edit(number, random);
            }
        }
    }

    /// The last stage goes, or there is another one, or it has another base.
    fn edit_stages(&mut self, random: &mut Random) {
        let last = self.stages.len() - 1;
        match random.below(3) {
            0 if last > 0 => drop(self.stages.pop()),
            1 if last < 2 => self.stages.push(Stage::new(last + 1, random)),
            _ => self.stages[last].base = Stage::new(last, random).base,
        }
    }

    fn edit_flags(&mut self, random: &mut Random) {
        let (name, values) = texts::FLAGS[random.index(texts::FLAGS.len())];
        if self.flags.remove(name).is_none() || random.once_in(2) {
            let value = random.of(values);
            self.flags.insert(name, value.to_owned());
        }
    }

    /// The flags, each with its value.
    pub fn flags(&self) -> impl Iterator<Item = String> {
        let one = |(name, value): (&&str, &String)| match value.as_str() {
            "" => (*name).to_owned(),
            value => format!("{}={value}", name.trim_end_matches('2')),
        };
        self.flags.iter().map(one)
    }

    /// What the image `base` is made of.
    pub fn base(&self) -> (&Files, &'static str) {
        (&self.base, self.base_text)
    }

    /// The Dockerfile.
    pub fn text(&self) -> String {
        let mut text = String::from("ARG K=default\n");
        for (number, stage) in self.stages.iter().enumerate() {
            writeln!(text, "FROM {} AS s{number}", stage.base).unwrap();
            for step in &stage.steps {
                writeln!(text, "{step}").unwrap();
            }
        }
        text
    }
}
