//! How it is told that a service is ready.

use serde::Deserialize;

/// In the file a URL, or a table with a command.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Ready {
    /// A URL (template), asked by the harness: `http://...` must answer 200, `tcp://HOST:PORT` must accept a connection.
    Url(String),
    /// A command on the service's node that must succeed.
    Command(ReadyCommand),
}

/// A command that succeeds once a service is ready.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadyCommand {
    /// Program and arguments (templates).
    pub command: Vec<String>,
}

impl Ready {
    /// Whether it can be asked, once its templates are filled in.
    pub(super) fn is_well_formed(&self) -> bool {
        match self {
            Ready::Url(url) => Probe::url(url).is_some(),
            Ready::Command(ready) => !ready.command.is_empty(),
        }
    }
}

/// What is asked, filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Must answer 200.
    Http(String),
    /// `HOST:PORT` that must accept a connection.
    Tcp(String),
    /// Must succeed on the node.
    Command(Vec<String>),
}

impl Probe {
    /// The probe that a URL means; `None` if its scheme is neither `http` nor `tcp`.
    pub(crate) fn url(url: &str) -> Option<Probe> {
        match url.split_once("://")? {
            ("http", _) => Some(Probe::Http(url.to_owned())),
            ("tcp", place) => Some(Probe::Tcp(place.to_owned())),
            _ => None,
        }
    }
}

impl std::fmt::Display for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Probe::Http(url) => write!(f, "{url} did not answer 200"),
            Probe::Tcp(place) => write!(f, "{place} did not accept a connection"),
            Probe::Command(argv) => write!(f, "`{}` did not succeed", argv.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_asked_as_its_scheme_says() {
        let http = "http://10.0.0.1:1/health";
        assert_eq!(Probe::url(http), Some(Probe::Http(http.to_owned())));
        let tcp = Probe::Tcp("10.0.0.1:2".to_owned());
        assert_eq!(Probe::url("tcp://10.0.0.1:2"), Some(tcp));
        for neither in ["ftp://x", "10.0.0.1:2", ""] {
            assert_eq!(Probe::url(neither), None, "{neither}");
        }
    }
}
