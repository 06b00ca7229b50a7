//! The forms a history comes in, and how a file shows its own.

use std::fmt;

/// The form of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Our own, as recorded: a directory of Arrow segments, or one of them.
    Arrow,
    /// Our own as `shakedown export` writes it.
    JsonLines,
    /// Operations as EDN maps: Jepsen, Knossos, Elle, Porcupine's key-value test.
    Edn,
    /// A log of Jepsen's etcd test, as in Porcupine's test data.
    EtcdLog,
    /// One event a line, `i|o|f|n PROCESS r|w|c KEY VALUE [VALUE]`.
    Lines,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 5] = [
        Format::Arrow,
        Format::JsonLines,
        Format::Edn,
        Format::EtcdLog,
        Format::Lines,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Arrow => "arrow",
            Format::JsonLines => "json-lines",
            Format::Edn => "edn",
            Format::EtcdLog => "etcd-log",
            Format::Lines => "lines",
        }
    }

    /// What one event of it is called.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Format::Arrow => "event",
            _ => "line",
        }
    }

    /// The format of text that begins so; `None` if it is none of them. Empty text is EDN without a value.
    pub(super) fn of_text(text: &str) -> Option<Format> {
        let text = text.trim_start();
        let line = text.lines().next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        if line.starts_with("# lin-gen")
            || (matches!(first, "i" | "o" | "f" | "n") && second.is_some_and(is_integer))
        {
            return Some(Format::Lines);
        }
        if first == "INFO" {
            return Some(Format::EtcdLog);
        }
        let after_brace = text.strip_prefix('{').map(str::trim_start);
        if after_brace.is_some_and(|rest| rest.starts_with('"')) {
            return Some(Format::JsonLines);
        }
        let edn = first.is_empty() || first.starts_with(['[', '(', '{', ';', '#']);
        edn.then_some(Format::Edn)
    }
}

fn is_integer(word: &str) -> bool {
    word.parse::<i64>().is_ok()
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_shows_its_format() {
        let of = |text| Format::of_text(text).map(Format::name);
        assert_eq!(of("{\"op\":1,"), Some("json-lines"));
        assert_eq!(of("\n[{:type :invoke"), Some("edn"));
        assert_eq!(of("; a comment\n"), Some("edn"));
        assert_eq!(of("#jepsen.history.Op{"), Some("edn"));
        assert_eq!(of(""), Some("edn"));
        assert_eq!(of("INFO  jepsen.util - 0\t:invoke"), Some("etcd-log"));
        assert_eq!(of("# lin-gen v1 clients=3\n"), Some("lines"));
        assert_eq!(of("i 0 r 0 -\n"), Some("lines"));
        assert_eq!(of("in the beginning"), None);
        assert_eq!(of("\x7fELF"), None);
    }
}
