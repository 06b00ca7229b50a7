//! Whether the columns of a message lie as Arrow's decoder takes for granted: where they don't, it panics.

use arrow_ipc::{Buffer, FieldNode, Message, MessageHeader, RecordBatch};
use arrow_schema::{DataType, Schema};

/// Checks the batch or dictionary that the message brings, if any: as many columns and buffers as `schema` needs, each
/// buffer within the body of `body_bytes` bytes, aligned, and long enough for the rows. All dictionaries are of text.
pub(super) fn check_layout(
    message: &Message<'_>,
    schema: &Schema,
    body_bytes: u64,
) -> Result<(), String> {
    match message.header_type() {
        MessageHeader::RecordBatch => {
            let batch = message
                .header_as_record_batch()
                .ok_or("a batch message without batch")?;
            if body_bytes == 0 {
                return Err("a batch without data".to_owned());
            }
            let types = schema.fields().iter().map(|field| field.data_type());
            check_batch(&batch, types, body_bytes)
        }
        MessageHeader::DictionaryBatch => {
            let values = message
                .header_as_dictionary_batch()
                .and_then(|dictionary| dictionary.data())
                .ok_or("a dictionary without values")?;
            check_batch(&values, [&DataType::Utf8].into_iter(), body_bytes)
        }
        _ => Ok(()),
    }
}

fn check_batch<'a>(
    batch: &RecordBatch<'_>,
    types: impl Iterator<Item = &'a DataType>,
    body_bytes: u64,
) -> Result<(), String> {
    if batch.compression().is_some() {
        return Err("a compressed batch, which none of ours is".to_owned());
    }
    let rows = u32::try_from(batch.length())
        .map_err(|_| format!("a batch of {} rows", batch.length()))?
        .into();
    let nodes = batch.nodes().ok_or("a batch without columns")?;
    let buffers = batch.buffers().ok_or("a batch without buffers")?;
    let mut columns = Columns {
        rows,
        body_bytes,
        nodes: nodes.iter(),
        buffers: buffers.iter(),
    };
    for (column, kind) in types.enumerate() {
        columns
            .check_next(kind)
            .map_err(|reason| format!("column {column}: {reason}"))?;
    }
    if columns.nodes.next().is_some() || columns.buffers.next().is_some() {
        return Err("more columns than the schema has".to_owned());
    }
    Ok(())
}

/// What of a batch has not been checked yet.
struct Columns<N, B> {
    rows: u64,
    body_bytes: u64,
    nodes: N,
    buffers: B,
}

impl<'a, N, B> Columns<N, B>
where
    N: Iterator<Item = &'a FieldNode>,
    B: Iterator<Item = &'a Buffer>,
{
    fn check_next(&mut self, kind: &DataType) -> Result<(), String> {
        let rows = self.rows;
        let node = self.nodes.next().ok_or("it is missing")?;
        if u64::try_from(node.length()) != Ok(rows) {
            return Err(format!("{} values in {rows} rows", node.length()));
        }
        let nulls = u64::try_from(node.null_count())
            .ok()
            .filter(|nulls| *nulls <= rows)
            .ok_or_else(|| format!("{} nulls in {rows} rows", node.null_count()))?;
        let validity_bytes = if nulls > 0 { rows.div_ceil(8) } else { 0 };
        self.check_buffer(1, validity_bytes)?;
        let of_values = match kind {
            DataType::Dictionary(index, _) => index,
            other => other,
        };
        match of_values.primitive_width() {
            Some(width) => self.check_buffer(width as u64, rows * width as u64),
            None => {
                let offsets = if rows > 0 { rows + 1 } else { 0 };
                self.check_buffer(4, offsets * 4)?;
                self.check_buffer(1, 0)
            }
        }
    }

    /// The next buffer: whole values of `width` bytes, at least `needed` bytes, within the body.
    fn check_buffer(&mut self, width: u64, needed: u64) -> Result<(), String> {
        let buffer = self.buffers.next().ok_or("it lacks a buffer")?;
        let (offset, length) = (buffer.offset(), buffer.length());
        let place = u64::try_from(offset).ok().zip(u64::try_from(length).ok());
        let fits = place.is_some_and(|(offset, length)| {
            offset % 8 == 0
                && length % width == 0
                && length >= needed
                && offset
                    .checked_add(length)
                    .is_some_and(|end| end <= self.body_bytes)
        });
        if fits {
            Ok(())
        } else {
            Err(format!(
                "{length} bytes at {offset} of a body of {} bytes, for values of {width} bytes that take {needed}",
                self.body_bytes
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeMap;
    use std::fs;

    use arrow_ipc::root_as_message;

    use crate::history::segment::segment_path;
    use crate::history::{Event, EventKind, HistoryError, HistoryReader, HistoryWriter, Process};

    /// One event of one process.
    fn event() -> Event {
        Event {
            op: 1,
            process: Process(0),
            kind: EventKind::Info,
            f: Cow::Borrowed("put"),
            time_ns: 1,
            intended_ns: None,
            key: Some(1),
            value: None,
            detail: Some("ab".into()),
        }
    }

    /// Where the lengths of the batch's buffers are in the file.
    fn positions_of_lengths(file: &[u8]) -> Vec<usize> {
        let mut start = 0;
        loop {
            let header = u32::from_le_bytes(file[start + 4..start + 8].try_into().unwrap());
            let header = &file[start + 8..start + 8 + header as usize];
            let message = root_as_message(header).unwrap();
            if let Some(batch) = message.header_as_record_batch() {
                let buffers = batch.buffers().unwrap();
                let first = buffers.bytes().as_ptr().addr() - file.as_ptr().addr();
                return (0..buffers.len()).map(|i| first + 16 * i + 8).collect();
            }
            start += 8 + header.len() + message.bodyLength() as usize;
        }
    }

    #[test]
    fn a_column_whose_length_is_not_that_of_its_values_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = HistoryWriter::create(dir.path(), &BTreeMap::new()).unwrap();
        writer.append(&event()).unwrap();
        writer.finish().unwrap();
        let path = segment_path(dir.path(), 1);
        let whole = fs::read(&path).unwrap();
        let lengths = positions_of_lengths(&whole);
        // Two buffers of eight columns, three of the text.
        assert_eq!(lengths.len(), 19);
        // Of the process, of the offsets of the text.
        for at in [lengths[3], lengths[17]] {
            for wrong in [0_i64, 3, 5, -4, i64::MAX] {
                let mut bytes = whole.clone();
                bytes[at..at + 8].copy_from_slice(&wrong.to_le_bytes());
                fs::write(&path, &bytes).unwrap();
                let error = HistoryReader::open(dir.path())
                    .unwrap()
                    .find_map(Result::err)
                    .unwrap();
                assert!(
                    matches!(&error, HistoryError::Damaged { reason, .. } if reason.starts_with("column ")),
                    "{wrong}: {error}"
                );
            }
        }
    }
}
