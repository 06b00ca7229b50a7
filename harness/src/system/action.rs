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

/// An operator action: a command, the start of a service, a service started anew or in another version node by node,
/// or the copy of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    /// The role, or one node of it as `role[1]`; a role alone means its first node.
    pub on: Option<Spanned<String>>,
    /// Program and arguments (templates; `with.NAME` are the scenario's arguments).
    pub argv: Option<Vec<String>>,
    /// Starts this service there and waits until it is ready.
    pub start: Option<Spanned<String>>,
    /// Stops this service and starts it again, on one node of the role after the other, each time waiting until it
    /// is ready.
    pub restart: Option<Spanned<String>>,
    /// The same, with another program from then on.
    pub upgrade: Option<Spanned<UpgradeSpec>>,
    /// Copies a file or directory from node to node.
    pub copy: Option<Spanned<CopySpec>>,
    /// It brings to every copy what one of them has. Where a scenario wants it and it was not done, what the final read
    /// misses may still be there.
    #[serde(default)]
    pub mends: bool,
    /// Time it has; on each node, if it goes from one to the other.
    pub within: HumanDuration,
}

/// Another version of a service's program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeSpec {
    /// The service.
    pub service: String,
    /// The program that its templates name, as `bin.NAME`.
    pub bin: String,
    /// The program that takes its place: another name, given with `--binary NAME=PATH`; or the same one, to go back.
    pub to: String,
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
    /// Stops a service and starts it again, node by node.
    Restart {
        /// Where: of a role, every node.
        on: &'a str,
        /// Its name.
        service: &'a str,
        /// The program it is to run from now on, if another one.
        upgrade: Option<&'a UpgradeSpec>,
    },
    /// Copies from node to node.
    Copy(&'a CopySpec),
}

impl ActionSpec {
    /// What it does; `None` unless exactly one of the forms is given in full.
    pub fn deed(&self) -> Option<Deed<'_>> {
        let on = self.on.as_ref().map(|on| on.get_ref().as_str());
        let run = on.zip(self.argv.as_ref());
        let start = on.zip(self.start.as_ref());
        let restart = on.zip(self.restart.as_ref());
        let upgrade = on.zip(self.upgrade.as_ref());
        let copy = self.copy.as_ref().filter(|_| on.is_none());
        let mut given = [
            run.map(|(on, argv)| Deed::Run { on, argv }),
            start.map(|(on, service)| Deed::Start {
                on,
                service: service.get_ref(),
            }),
            restart.map(|(on, service)| Deed::Restart {
                on,
                service: service.get_ref(),
                upgrade: None,
            }),
            upgrade.map(|(on, upgrade)| Deed::Restart {
                on,
                service: &upgrade.get_ref().service,
                upgrade: Some(upgrade.get_ref()),
            }),
            copy.map(|copy| Deed::Copy(copy.get_ref())),
        ]
        .into_iter()
        .flatten();
        let first = given.next();
        if given.next().is_some() { None } else { first }
    }

    /// The service it starts, and where in the file that is said.
    pub(crate) fn starts(&self) -> Option<(&str, std::ops::Range<usize>)> {
        let named = self.start.as_ref().or(self.restart.as_ref());
        let upgraded = self.upgrade.as_ref();
        (named.map(|service| (service.get_ref().as_str(), service.span())))
            .or(upgraded.map(|u| (u.get_ref().service.as_str(), u.span())))
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
