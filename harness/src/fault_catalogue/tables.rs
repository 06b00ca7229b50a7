//! The catalogue as tables of Markdown, between marks in pages that are otherwise written by hand.

use thiserror::Error;

use super::{Key, Kind, item_keys, kinds, storm_keys};

/// Why a page can't be given its tables.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TablesError {
    /// A table without a name that is known.
    #[error("no table `{0}` is generated")]
    Unknown(String),
    /// A table without an end.
    #[error("`{0}` is not followed by `{END}`")]
    Open(String),
}

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end of what is generated -->";

/// The page with every table between marks as it should be. A mark is a line, `<!-- generated: NAME -->`.
///
/// # Errors
/// If the marks of the page make no sense.
pub fn with_tables(page: &str) -> Result<String, TablesError> {
    let kinds = kinds();
    let mut filled = String::new();
    let mut rest = page;
    while let Some((before, from)) = rest.split_once(BEGIN) {
        let Some((name, after)) = from.split_once(" -->\n") else {
            return Err(TablesError::Open(BEGIN.to_owned()));
        };
        let Some((_, after)) = after.split_once(END) else {
            return Err(TablesError::Open(format!("{BEGIN}{name} -->")));
        };
        let table = table(name, &kinds).ok_or_else(|| TablesError::Unknown(name.to_owned()))?;
        filled.push_str(&format!("{before}{BEGIN}{name} -->\n{table}{END}"));
        rest = after;
    }
    Ok(filled + rest)
}

fn table(name: &str, kinds: &[Kind]) -> Option<String> {
    match name {
        "catalogue" => Some(catalogue(kinds)),
        "fault" => Some(keys(&item_keys()) + &rows(kinds.iter().map(in_guide))),
        "storm fault" => Some(keys(&storm_keys()) + &rows(kinds.iter().map(in_storm))),
        _ => {
            let (what, kind) = name.split_once(' ')?;
            let kind = kinds.iter().find(|known| known.name == kind)?;
            match what {
                "keys" => Some(keys(&kind.keys)),
                "parameters" => Some(parameters(kind)),
                _ => None,
            }
        }
    }
}

fn catalogue(kinds: &[Kind]) -> String {
    let head = "| fault | strikes | what happens | by | needs on the node | undone |\n\
                |---|---|---|---|---|---|\n";
    let lines = kinds.iter().map(|kind| {
        let Kind {
            name,
            strikes,
            happens,
            mechanism,
            needs,
            undone,
            ..
        } = kind;
        format!("`{name}` | {strikes} | [{happens}](#{name}) | {mechanism} | {needs} | {undone}")
    });
    head.to_owned() + &rows(lines)
}

fn rows(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| format!("| {line} |\n")).collect()
}

fn in_guide(kind: &Kind) -> String {
    let Kind {
        name,
        strikes,
        happens,
        ..
    } = kind;
    format!("`{name}` | table | | {strikes}: [{happens}](#fault{name})")
}

fn in_storm(kind: &Kind) -> String {
    format!("`{}` | table | | as in a [fault](#fault)", kind.name)
}

fn keys(keys: &[Key]) -> String {
    let head = "| key | type | default | meaning |\n|---|---|---|---|\n";
    let lines = keys.iter().map(|key| {
        let default = match key.default.as_str() {
            "" => String::new(),
            default => format!("{default} "),
        };
        format!("`{}` | {} | {default}| {}", key.name, key.of, key.meaning)
    });
    head.to_owned() + &rows(lines)
}

/// One line with every parameter, its bounds and its default.
fn parameters(kind: &Kind) -> String {
    let each = kind.keys.iter().map(|key| {
        let default = match key.default.as_str() {
            "" | "none" => String::new(),
            default if default.starts_with("required") => String::new(),
            default => format!(", default {default}"),
        };
        format!("`{}` ({}{default})", key.name, key.of)
    });
    let doctor: Vec<String> = (kind.doctor.iter())
        .map(|name| format!("`{name}`"))
        .collect();
    let doctor = match doctor.as_slice() {
        [] => String::new(),
        names => format!(" In `shakedown doctor`: {}.", names.join(", ")),
    };
    format!(
        "[Parameters](writing_a_scenario.md#fault{}): {}.{doctor}\n",
        kind.name,
        each.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_marks_is_replaced_and_nothing_else() {
        let page = format!(
            "before\n{BEGIN}keys power_loss -->\nold\n{END}\nbetween\n{BEGIN}parameters cpu -->\n{END}\nafter\n"
        );
        let filled = with_tables(&page).unwrap();
        assert!(filled.starts_with("before\n<!-- generated: keys power_loss -->\n| key | type |"));
        assert!(filled.ends_with(&format!(".\n{END}\nafter\n")), "{filled}");
        assert!(!filled.contains("old"));
        assert!(filled.contains(&format!("{END}\nbetween\n")));
        assert!(
            filled.contains("`burn` (integer, 1 to 1024)"),
            "bounds are shown: {filled}"
        );
        assert_eq!(with_tables(&filled).unwrap(), filled);
    }

    #[test]
    fn a_mark_that_makes_no_sense_is_refused() {
        let unknown = format!("{BEGIN}keys nothing -->\n{END}");
        assert_eq!(
            with_tables(&unknown),
            Err(TablesError::Unknown("keys nothing".to_owned()))
        );
        let open = format!("{BEGIN}keys kill -->\n| a |\n");
        assert!(matches!(with_tables(&open), Err(TablesError::Open(_))));
    }
}
