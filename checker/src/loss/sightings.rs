//! Which sources have a document for which key: one bit each, and more only for what is unusual.

/// Who has what; the bits of the first 64 sources are kept with the key.
#[derive(Debug)]
pub(super) struct Sightings {
    /// 64-bit words per key beyond the first, and those words.
    more_words: usize,
    more: Vec<u64>,
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
    pub(super) fn new(keys: usize, sources: usize) -> Self {
        let more_words = sources.div_ceil(64).saturating_sub(1);
        Sightings {
            more_words,
            more: vec![0; keys * more_words],
            unusual: Vec::new(),
        }
    }

    /// Makes room for more keys.
    pub(super) fn grow(&mut self, keys: usize) {
        self.more.resize(keys * self.more_words, 0);
    }

    /// The source has a document for the key, whose first word is `has`.
    pub(super) fn add(&mut self, has: &mut u64, slot: usize, source: usize) {
        let bit = 1 << (source % 64);
        match (source / 64).checked_sub(1) {
            None => *has |= bit,
            Some(word) => self.more[slot * self.more_words + word] |= bit,
        }
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
    pub(super) fn of(
        &self,
        has: u64,
        slot: usize,
        usual: Option<i64>,
    ) -> Vec<(usize, Option<i64>)> {
        let first = self
            .unusual
            .partition_point(|unusual| (unusual.slot as usize) < slot);
        let unusual = self.unusual[first..]
            .iter()
            .take_while(|unusual| unusual.slot as usize == slot);
        let mut found: Vec<_> = unusual
            .map(|unusual| (usize::from(unusual.source), unusual.version))
            .collect();
        for (word, bits) in self.words(has, slot).enumerate() {
            for source in (0..64)
                .filter(|bit| bits & (1 << bit) != 0)
                .map(|bit| word * 64 + bit)
            {
                if found.iter().all(|(listed, _)| *listed != source) {
                    found.push((source, usual));
                }
            }
        }
        found.sort_by_key(|(source, _)| *source);
        found
    }

    /// Whether one of a set of sources does not have the document.
    pub(super) fn missing_in(&self, has: u64, slot: usize, sources: &[u64]) -> bool {
        sources
            .iter()
            .zip(self.words(has, slot))
            .any(|(wanted, has)| wanted & !has != 0)
    }

    fn words(&self, has: u64, slot: usize) -> impl Iterator<Item = u64> {
        let more = &self.more[slot * self.more_words..][..self.more_words];
        std::iter::once(has).chain(more.iter().copied())
    }
}
