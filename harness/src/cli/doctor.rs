//! `shakedown doctor`: which faults each node can be given, or what is left of faults on it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use shakedown_nemesis::agent::{Ability, Leftover};

use super::args::DoctorArgs;
use super::exit::Exit;
use super::ground::Ground;
use super::{Failure, say};
use crate::control::{AgentError, ControlError, Remote, SshRemote, place_agent, quote};
use crate::run::{check_nodes, local_binary};

/// Trying every mechanism takes a second, or some on a slow disk.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one node said.
#[derive(Debug, Serialize)]
struct Answer<T> {
    node: String,
    #[serde(flatten)]
    said: Said<T>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Said<T> {
    /// As asked.
    Found(Vec<T>),
    /// Why there is no answer.
    Error(String),
}

pub(super) fn doctor(args: &DoctorArgs) -> Result<Exit, Failure> {
    let ground = Ground::find(&args.nodes, 1, Vec::new())?;
    if args.leftovers {
        let answers = ask::<Leftover>(&ground, "leftovers")?;
        let text = match args.json {
            true => json(&answers)?,
            false => leftovers_text(&answers),
        };
        say(&text)?;
        return Ok(exit(&answers, |_| false));
    }
    let answers = ask::<Ability>(&ground, "abilities")?;
    let text = match args.json {
        true => json(&answers)?,
        false => abilities_text(&answers),
    };
    say(&text)?;
    let exit = exit(&answers, |ability| {
        ability.available || ability.only_with.is_some()
    });
    match exit {
        Exit::HarnessError => Ok(exit),
        _ => Ok(found_at_their_addresses(&ground)?.unwrap_or(exit)),
    }
}

/// Looks whether nodes are where the list says, if SSH takes another way; what to exit with if not.
fn found_at_their_addresses(ground: &Ground) -> Result<Option<Exit>, Failure> {
    let agent = local_binary("shakedown-agent", &BTreeMap::new()).map_err(Failure::harness)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::harness)?;
    match runtime.block_on(check_nodes(&ground.nodes, &ground.access, &agent)) {
        Ok(doubts) => {
            for doubt in doubts {
                eprintln!("warning: {doubt}");
            }
            Ok(None)
        }
        Err(error) => {
            eprintln!("{error}");
            Ok(Some(Exit::HarnessError))
        }
    }
}

/// Puts the agent on each node, if it isn't there, and asks it.
fn ask<T: DeserializeOwned + Send>(
    ground: &Ground,
    question: &str,
) -> Result<Vec<Answer<T>>, Failure> {
    let agent = local_binary("shakedown-agent", &BTreeMap::new()).map_err(Failure::harness)?;
    let ask_one = |node| -> Result<Vec<T>, AgentError> {
        let remote = SshRemote::new(node, &ground.access)?;
        let program = place_agent(&remote, &agent)?;
        let command = format!("{} {question}", quote(&program));
        let output = remote.exec_within(&command, PATIENCE)?;
        let found = serde_json::from_slice(&output.stdout).map_err(|_| {
            AgentError::from(ControlError::CommandFailed {
                node: remote.node().to_owned(),
                command,
                status: output.status.to_string(),
                stderr: output.error_text(),
            })
        });
        remote.close();
        found
    };
    Ok(thread::scope(|scope| {
        let tasks: Vec<_> = (ground.nodes.iter())
            .map(|node| scope.spawn(move || ask_one(node)))
            .collect();
        let answers = tasks.into_iter().zip(&ground.nodes);
        answers
            .map(|(task, node)| Answer {
                node: node.name.clone(),
                said: match task.join() {
                    Ok(Ok(found)) => Said::Found(found),
                    Ok(Err(error)) => Said::Error(error.to_string()),
                    Err(panic) => std::panic::resume_unwind(panic),
                },
            })
            .collect()
    }))
}

/// All is well if every item of every node is.
fn exit<T>(answers: &[Answer<T>], is_well: impl Fn(&T) -> bool) -> Exit {
    let mut all_well = true;
    for answer in answers {
        match &answer.said {
            Said::Error(_) => return Exit::HarnessError,
            Said::Found(items) => all_well &= items.iter().all(&is_well),
        }
    }
    if all_well { Exit::Valid } else { Exit::Invalid }
}

fn json<T: Serialize>(answers: &[Answer<T>]) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(answers).map_err(Failure::harness)?;
    Ok(text + "\n")
}

/// A table of fault by node; below it how, or why not, said once for all nodes of which it is true.
fn abilities_text(answers: &[Answer<Ability>]) -> String {
    let mut faults: Vec<&str> = Vec::new();
    let mut reasons: BTreeMap<(&str, bool, &str), Vec<&str>> = BTreeMap::new();
    for (node, ability) in each(answers) {
        if !faults.contains(&ability.fault.as_str()) {
            faults.push(&ability.fault);
        }
        let said = (
            ability.fault.as_str(),
            ability.available,
            ability.how.as_str(),
        );
        reasons.entry(said).or_default().push(node);
    }
    let first = faults.iter().map(|fault| fault.len()).max().unwrap_or(0);
    let width = |node: &str| node.len().max(3);
    let mut text = " ".repeat(first);
    for answer in answers {
        let _ = write!(text, "  {:<1$}", answer.node, width(&answer.node));
    }
    for fault in &faults {
        let _ = write!(text, "\n{fault:<first$}");
        for answer in answers {
            let here = match &answer.said {
                Said::Found(found) => found.iter().find(|ability| ability.fault == *fault),
                Said::Error(_) => None,
            };
            let cell = here.map_or("?", |ability| if ability.available { "yes" } else { "no" });
            let _ = write!(text, "  {cell:<0$}", width(&answer.node));
        }
    }
    text.push_str("\n\n");
    for fault in &faults {
        for ((_, available, how), nodes) in reasons.iter().filter(|((f, ..), _)| f == fault) {
            let yes = if *available { "by" } else { "not:" };
            let _ = write!(text, "{fault:<first$}  {yes} {how}");
            if nodes.len() < answers.len() {
                let _ = write!(text, " ({})", nodes.join(", "));
            }
            text.push('\n');
        }
    }
    text.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect::<String>()
        + &errors(answers)
}

fn leftovers_text(answers: &[Answer<Leftover>]) -> String {
    let mut text = String::new();
    for answer in answers {
        let Said::Found(found) = &answer.said else {
            continue;
        };
        if found.is_empty() {
            let _ = writeln!(text, "{}: nothing left", answer.node);
        }
        for leftover in found {
            let mut remains = leftover.remains.join(", ");
            if remains.is_empty() {
                remains.push_str("its entry in the ledger");
            }
            let of = match leftover.fault.as_str() {
                "" => String::new(),
                fault => format!(" (fault {fault})"),
            };
            let _ = writeln!(text, "{}: {remains}{of}", answer.node);
        }
    }
    text + &errors(answers)
}

fn errors<T>(answers: &[Answer<T>]) -> String {
    let mut text = String::new();
    for answer in answers {
        if let Said::Error(error) = &answer.said {
            let _ = writeln!(text, "{}: {error}", answer.node);
        }
    }
    text
}

fn each(answers: &[Answer<Ability>]) -> impl Iterator<Item = (&str, &Ability)> {
    answers.iter().flat_map(|answer| {
        let found = match &answer.said {
            Said::Found(found) => found.as_slice(),
            Said::Error(_) => &[],
        };
        found.iter().map(|ability| (answer.node.as_str(), ability))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(node: &str, clock: Result<&str, &str>) -> Answer<Ability> {
        let ability = |fault: &str, answer: Result<&str, &str>| Ability {
            fault: fault.to_owned(),
            available: answer.is_ok(),
            only_with: None,
            how: answer.unwrap_or_else(|why| why).to_owned(),
        };
        Answer {
            node: node.to_owned(),
            said: Said::Found(vec![
                ability("kill", Ok("signals")),
                ability("clock", clock),
            ]),
        }
    }

    #[test]
    fn the_table_has_a_cell_for_each_fault_and_node_and_says_each_reason_once() {
        let no = Err("only on x86-64");
        let answers = [answer("n1", Ok("vDSO")), answer("n2", no), answer("n3", no)];
        let expected = "       n1   n2   n3\n\
                        kill   yes  yes  yes\n\
                        clock  yes  no   no\n\
                        \n\
                        kill   by signals\n\
                        clock  not: only on x86-64 (n2, n3)\n\
                        clock  by vDSO (n1)\n";
        assert_eq!(abilities_text(&answers), expected);
        assert_eq!(exit(&answers, |a| a.available), Exit::Invalid);
        assert_eq!(exit(&answers[..1], |a| a.available), Exit::Valid);
    }

    #[test]
    fn a_node_that_does_not_answer_is_no_clean_bill_for_the_others() {
        let silent = Answer {
            node: "n2".to_owned(),
            said: Said::Error("connection refused".to_owned()),
        };
        let answers = [answer("n1", Ok("vDSO")), silent];
        assert_eq!(exit(&answers, |a| a.available), Exit::HarnessError);
        let text = abilities_text(&answers);
        assert!(text.contains("clock  yes  ?"), "{text}");
        assert!(text.ends_with("n2: connection refused\n"), "{text}");
    }

    #[test]
    fn what_is_left_is_said_with_the_fault_it_is_of() {
        let leftover = |fault: &str, remains: &[&str]| Leftover {
            fault: fault.to_owned(),
            remains: remains.iter().map(|&what| what.to_owned()).collect(),
        };
        let answers = [
            Answer {
                node: "n1".to_owned(),
                said: Said::Found(vec![
                    leftover("r1.f1", &["table shakedown_r1_f1"]),
                    leftover("", &["disk /d"]),
                ]),
            },
            Answer {
                node: "n2".to_owned(),
                said: Said::Found(Vec::new()),
            },
        ];
        let expected = "n1: table shakedown_r1_f1 (fault r1.f1)\nn1: disk /d\nn2: nothing left\n";
        assert_eq!(leftovers_text(&answers), expected);
        assert_eq!(exit(&answers, |_| false), Exit::Invalid);
        assert_eq!(exit(&answers[1..], |_| false), Exit::Valid);
    }
}
