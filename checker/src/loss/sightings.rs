//! Which sources have a document for which key: one bit each, and more only for what is unusual.

/// Who has what.
#[derive(Debug)]
pub(super) struct Sightings {
    /// 64-bit words per key.
    words: usize,
    has: Vec<u64>,
    /// Documents that are not what the last acknowledged write put.
    unusual: Vec<Unusual>,
}

#[derive(Debug, Clone, Copy)]
struct Unusual {
    slot: u32,
    source: u16,
    /// `None`: corrupt.
    version: Option<i64>,
}

impl Sightings {
    pub(super) fn new(slots: usize, sources: usize) -> Self {
        let words = sources.div_ceil(64);
        Sightings {
            words,
            has: vec![0; slots * words],
            unusual: Vec::new(),
        }
    }

    /// Room for one more key.
    pub(super) fn grow(&mut self) {
        self.has.resize(self.has.len() + self.words, 0);
    }

    /// The source has a document for the key.
    pub(super) fn add(&mut self, slot: usize, source: usize) {
        self.has[slot * self.words + source / 64] |= 1 << (source % 64);
    }

    /// It is not what the last acknowledged write put, but this version (`None`: corrupt).
    pub(super) fn add_unusual(&mut self, slot: usize, source: usize, version: Option<i64>) {
        let (slot, source) = (slot as u32, source as u16);
        self.unusual.push(Unusual {
            slot,
            source,
            version,
        });
    }

    /// Sorts what was added, so that it can be listed.
    pub(super) fn sort(&mut self) {
        self.unusual
            .sort_unstable_by_key(|unusual| (unusual.slot, unusual.source));
    }

    /// The sources that have a document for the key, with the version each has, after
    /// [`sort`](Sightings::sort). `usual` is the version the last acknowledged write put.
    pub(super) fn of(&self, slot: usize, usual: Option<i64>) -> Vec<(usize, Option<i64>)> {
        let first = self
            .unusual
            .partition_point(|unusual| (unusual.slot as usize) < slot);
        let unusual = self.unusual[first..]
            .iter()
            .take_while(|unusual| unusual.slot as usize == slot);
        let mut found: Vec<_> = unusual
            .map(|unusual| (usize::from(unusual.source), unusual.version))
            .collect();
        let listed: Vec<_> = found.iter().map(|(source, _)| *source).collect();
        let has = &self.has[slot * self.words..][..self.words];
        for source in
            (0..self.words * 64).filter(|source| has[source / 64] & (1 << (source % 64)) != 0)
        {
            if !listed.contains(&source) {
                found.push((source, usual));
            }
        }
        found.sort_by_key(|(source, _)| *source);
        found
    }

    /// Whether one of a set of sources does not have the document.
    pub(super) fn missing_in(&self, slot: usize, sources: &[u64]) -> bool {
        let has = &self.has[slot * self.words..][..self.words];
        has.iter()
            .zip(sources)
            .any(|(has, wanted)| wanted & !has != 0)
    }
}
