//! What an operator can do to a system, and values that are read from it as it runs.

use serde::Deserialize;
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use crate::scenario::Names;

/// A command run on the first node of a role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// The role, or one node of it as `role[1]`. Of several, the first on which it succeeds.
    pub on: Names,
    /// Program and arguments (templates).
    pub argv: Vec<String>,
    /// Time it has.
    pub within: HumanDuration,
}

/// An operator action: a command, the start of a service, or the copy of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    /// The role, or one node of it as `role[1]`; a role alone means its first node.
    pub on: Option<Spanned<String>>,
    /// Program and arguments (templates; `with.NAME` are the scenario's arguments).
    pub argv: Option<Vec<String>>,
    /// Starts this service there and waits until it is ready.
    pub start: Option<Spanned<String>>,
    /// Copies a file or directory from node to node.
    pub copy: Option<Spanned<CopySpec>>,
    /// Time it has.
    pub within: HumanDuration,
}

/// A copy from node to node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopySpec {
    /// The role, or one node of it as `role[1]`, that has it.
    pub from: String,
    /// The role, or one node of it, that gets it.
    pub to: String,
    /// What (template): a file, or a directory with all that is in it.
    pub path: String,
    /// Where to, if not the same path (template).
    pub to_path: Option<String>,
}

/// What an action does.
#[derive(Debug, Clone, Copy)]
pub enum Deed<'a> {
    /// Runs a command.
    Run {
        /// Where.
        on: &'a str,
        /// Program and arguments.
        argv: &'a [String],
    },
    /// Starts a service.
    Start {
        /// Where.
        on: &'a str,
        /// Its name.
        service: &'a str,
    },
    /// Copies from node to node.
    Copy(&'a CopySpec),
}

impl ActionSpec {
    /// What it does; `None` unless exactly one of the forms is given in full.
    pub fn deed(&self) -> Option<Deed<'_>> {
        let on = self.on.as_ref().map(|on| on.get_ref().as_str());
        match (on, &self.argv, &self.start, &self.copy) {
            (Some(on), Some(argv), None, None) => Some(Deed::Run { on, argv }),
            (Some(on), None, Some(service), None) => Some(Deed::Start {
                on,
                service: service.get_ref(),
            }),
            (None, None, None, Some(copy)) => Some(Deed::Copy(copy.get_ref())),
            _ => None,
        }
    }

    /// The nodes it names.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &str> {
        let copy = self.copy.as_ref().map(Spanned::get_ref);
        (self.on.iter().map(|on| on.get_ref().as_str()))
            .chain(copy.into_iter().flat_map(|c| [c.from.as_str(), &c.to]))
    }
}

/// A value read again and again while a scenario runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaugeSpec {
    /// Its name in reports.
    pub name: Spanned<String>,
    /// Its unit, as people read it.
    pub unit: String,
    /// How often.
    #[serde(default = "quarter_second")]
    pub every: HumanDuration,
    /// A URL (template) that answers with JSON.
    pub url: Option<String>,
    /// A command that prints a number, or JSON with `pointer`.
    pub command: Option<CommandSpec>,
    /// JSON pointer to the number.
    pub pointer: Option<String>,
}

fn quarter_second() -> HumanDuration {
    HumanDuration(std::time::Duration::from_millis(250))
}
