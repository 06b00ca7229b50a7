//! Bytes that a router and its nodes, and a node and its log, exchange: numbers in little endian, and byte strings
//! with their length in front.

use axum::body::Bytes;

/// Adds a number.
pub(crate) fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Adds a number.
pub(crate) fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Adds a byte string.
///
/// # Panics
/// If it is 4 GiB or longer; requests are far smaller.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).expect("requests are small"));
    out.extend_from_slice(bytes);
}

/// Adds a number that may be missing.
pub(crate) fn put_option(out: &mut Vec<u8>, number: Option<u64>) {
    out.push(u8::from(number.is_some()));
    if let Some(number) = number {
        put_u64(out, number);
    }
}

/// Takes packed values off the front of some bytes; `None` where they end too early or make no sense.
pub(crate) struct Unpack {
    rest: Bytes,
}

impl Unpack {
    /// Begins with these bytes.
    pub(crate) fn new(bytes: Bytes) -> Self {
        Unpack { rest: bytes }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    /// The next number.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(u32::from_le_bytes(bytes.as_ref().try_into().ok()?))
    }

    /// The next number.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let bytes = self.take(8)?;
        Some(u64::from_le_bytes(bytes.as_ref().try_into().ok()?))
    }

    /// The next byte string; it shares its memory with the whole.
    pub(crate) fn bytes(&mut self) -> Option<Bytes> {
        let len = self.u32()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// The next byte string as text.
    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.into()).ok()
    }

    /// The next number, if it is not missing.
    pub(crate) fn option(&mut self) -> Option<Option<u64>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.u64().map(Some),
            _ => None,
        }
    }

    fn take(&mut self, count: usize) -> Option<Bytes> {
        (count <= self.rest.len()).then(|| self.rest.split_to(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_values_come_back_and_cut_off_ones_do_not() {
        let mut out = Vec::new();
        put_u32(&mut out, 7);
        put_option(&mut out, Some(u64::MAX));
        put_option(&mut out, None);
        put_bytes(&mut out, "schl\u{fc}ssel".as_bytes());
        let all = |len: usize| {
            let mut unpack = Unpack::new(Bytes::copy_from_slice(&out[..len]));
            let values = (
                unpack.u32()?,
                unpack.option()?,
                unpack.option()?,
                unpack.text()?,
            );
            unpack.is_empty().then_some(values)
        };
        let expected = (7, Some(u64::MAX), None, "schl\u{fc}ssel".to_owned());
        assert_eq!(all(out.len()), Some(expected));
        assert!((0..out.len()).all(|len| all(len).is_none()));
    }
}
