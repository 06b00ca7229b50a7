//! A page's code blocks, as steps to play in their order.
//!
//! - `sh run`: must succeed. `sh fails=CODE`: must fail, and say CODE. `sh needs="..."`: is not played.
//! - `toml file=NAME`: is written to a file.
//! - `output`: a part of what the step before prints. Each line's words must be found in one line, in this order; words
//!   with digits (times, counts, ports) do not count.

/// What is done with a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Play {
    /// Run; must succeed.
    Runs,
    /// Run; must fail with this.
    Fails(String),
    /// Not run here.
    Elsewhere,
    /// Written to this file.
    File(String),
}

/// A block.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) play: Play,
    pub(crate) text: String,
    shown: Vec<String>,
}

impl Step {
    /// The first line shown in the page that is not in the output.
    pub(crate) fn first_not_in(&self, output: &str) -> Option<&String> {
        let found = |shown: &String| output.lines().any(|line| in_order(shown, line));
        self.shown.iter().find(|shown| !found(shown))
    }
}

fn in_order(shown: &str, line: &str) -> bool {
    let mut left = line;
    let mut words = shown
        .split_whitespace()
        .filter(|w| !w.contains(|c: char| c.is_ascii_digit()) || w.contains('"'));
    words.all(|word| {
        left.find(word).is_some_and(|at| {
            left = &left[at + word.len()..];
            true
        })
    })
}

/// All steps. An error if a command of `miroir ctl` stands where nobody plays it.
pub(crate) fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            if line.replace("`miroir ctl`", "").contains("miroir ctl") {
                return Err(format!(
                    "line {number}: a command outside the blocks: {line}"
                ));
            }
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(line, _)| line)
            .take_while(|line| line.trim() != "```")
            .map(|line| line.get(indent..).unwrap_or_default())
            .collect();
        if info == "output" {
            let last = steps.last_mut().ok_or("an output before any command")?;
            last.shown.extend(block.iter().map(|l| (*l).to_owned()));
            continue;
        }
        match play_of(info) {
            Some(play) => steps.push(Step {
                line: number,
                play,
                text: block.join("\n") + "\n",
                shown: Vec::new(),
            }),
            None if block.iter().any(|line| line.contains("miroir ctl")) => {
                return Err(format!(
                    "line {number}: a command outside the blocks played"
                ));
            }
            None => {}
        }
    }
    Ok(steps)
}

fn play_of(info: &str) -> Option<Play> {
    match info.split_once(' ')? {
        ("sh", "run") => Some(Play::Runs),
        ("sh", what) => match what.split_once('=')? {
            ("fails", code) => Some(Play::Fails(code.to_owned())),
            ("needs", _) => Some(Play::Elsewhere),
            _ => None,
        },
        ("toml", file) => Some(Play::File(file.strip_prefix("file=")?.to_owned())),
        _ => None,
    }
}
