//! The sources of observations: where they read, and whether they read to the end.

use crate::error::CheckError;
use crate::history::Placement;

/// What is known of each source.
#[derive(Debug)]
pub(super) struct Sources {
    sources: Vec<Source>,
    /// Front doors read to their end, as a set of source numbers.
    complete_routed: Vec<u64>,
    others: Vec<(String, String)>,
}

#[derive(Debug)]
struct Source {
    name: String,
    routed: bool,
    ended: bool,
    error: Option<String>,
}

impl Source {
    fn is_complete(&self) -> bool {
        self.ended && self.error.is_none()
    }
}

impl Sources {
    pub(super) fn new(names: &[String]) -> Self {
        let source = |name: &String| Source {
            name: name.clone(),
            routed: false,
            ended: false,
            error: None,
        };
        Sources {
            sources: names.iter().map(source).collect(),
            complete_routed: vec![0; names.len().div_ceil(64)],
            others: Vec::new(),
        }
    }

    /// The source as an index.
    pub(super) fn check(&self, source: u16) -> Result<usize, CheckError> {
        let index = usize::from(source);
        let sources = self.sources.len();
        (index < sources)
            .then_some(index)
            .ok_or(CheckError::UnknownSource {
                index: source,
                sources,
            })
    }

    pub(super) fn name(&self, source: usize) -> &str {
        &self.sources[source].name
    }

    pub(super) fn saw_placement(&mut self, source: usize, placement: Placement) {
        self.sources[source].routed |= placement == Placement::Routed;
    }

    pub(super) fn ended(&mut self, source: usize) {
        self.sources[source].ended = true;
        self.update(source);
    }

    pub(super) fn failed(&mut self, source: usize, error: &str) {
        self.sources[source]
            .error
            .get_or_insert_with(|| error.to_owned());
        self.update(source);
    }

    pub(super) fn also_incomplete(&mut self, name: &str, reason: &str) {
        self.others.push((name.to_owned(), reason.to_owned()));
    }

    /// Front doors read to their end, as a set of source numbers.
    pub(super) fn complete_routed(&self) -> &[u64] {
        &self.complete_routed
    }

    pub(super) fn any_complete_routed(&self) -> bool {
        self.complete_routed.iter().any(|word| *word != 0)
    }

    /// Whether there are nodes among the sources, and all of them were read to their end. A source
    /// that said nothing may be a node.
    pub(super) fn nodes_are_complete(&self) -> bool {
        let mut nodes = self
            .sources
            .iter()
            .filter(|source| !source.routed)
            .peekable();
        nodes.peek().is_some() && nodes.all(Source::is_complete)
    }

    /// Everything incomplete, with the reason.
    pub(super) fn into_incomplete(self) -> Vec<(String, String)> {
        let incomplete = self
            .sources
            .into_iter()
            .filter(|source| !source.is_complete());
        incomplete
            .map(|source| {
                (
                    source.name,
                    source
                        .error
                        .unwrap_or_else(|| "not read to its end".to_owned()),
                )
            })
            .chain(self.others)
            .collect()
    }

    fn update(&mut self, source: usize) {
        let bit = 1 << (source % 64);
        let Source { routed, .. } = self.sources[source];
        if routed && self.sources[source].is_complete() {
            self.complete_routed[source / 64] |= bit;
        } else {
            self.complete_routed[source / 64] &= !bit;
        }
    }
}
