//! Reads one Arrow IPC stream file message by message, and tells a cut-off tail from damage.
//!
//! Arrow's own stream reader reports both as errors. Here messages are framed first: a last message
//! that is shorter than it says is a tail cut off by the death of its writer and ends the stream;
//! anything else that does not decode is damage, reported with its position.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{MessageHeader, root_as_message};
use arrow_schema::{Field, Schema, SchemaRef};

use super::HistoryError;
use super::columns::FORMAT_KEY;
use super::layout::check_layout;

/// No message of ours has more; a longer one is damage, not a cut-off tail.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// As [`MAX_HEADER_BYTES`], for the data of a message.
const MAX_BODY_BYTES: u64 = 1 << 30;

/// The file of the segment with this number (from 1).
pub(super) fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}.arrows"))
}

/// The segments in `dir` in order; stops at the first number that is missing.
pub(super) fn segment_paths(dir: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let mut paths = Vec::new();
    for number in 1.. {
        let path = segment_path(dir, number);
        match fs::metadata(&path) {
            Ok(_) => paths.push(path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
            Err(e) => return Err(HistoryError::io("read", &path)(e)),
        }
    }
    Ok(paths)
}

/// One stream file, read from its start.
pub(super) struct Segment {
    path: PathBuf,
    file: BufReader<File>,
    remaining: u64,
    offset: u64,
    /// Where the message read last begins.
    message_start: u64,
    decoder: StreamDecoder,
    schema: Option<SchemaRef>,
    complete: bool,
}

/// One framed message.
enum Message {
    Data(Buffer),
    EndMarker,
    CutOff,
}

impl Segment {
    /// Opens the file and reads its schema, which must have these fields and this format.
    pub(super) fn open(
        path: &Path,
        fields: &[Field],
        format: &'static str,
    ) -> Result<Self, HistoryError> {
        let file = File::open(path).map_err(HistoryError::io("open", path))?;
        let length = file
            .metadata()
            .map_err(HistoryError::io("read", path))?
            .len();
        let mut segment = Segment {
            path: path.to_owned(),
            file: BufReader::new(file),
            remaining: length,
            offset: 0,
            message_start: 0,
            decoder: StreamDecoder::new(),
            schema: None,
            complete: false,
        };
        let first = segment.next_message()?;
        match (&segment.schema, first) {
            (Some(schema), Message::Data(mut schema_message)) => {
                check_schema(path, schema, fields, format)?;
                segment.decode(&mut schema_message)?;
            }
            (_, Message::CutOff) => segment.remaining = 0,
            _ => return Err(segment.damage("the stream does not begin with a schema")),
        }
        Ok(segment)
    }

    /// The next batch; `None` at the end or at a cut-off tail.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, HistoryError> {
        loop {
            match self.next_message()? {
                Message::Data(mut message) => {
                    if let Some(batch) = self.decode(&mut message)? {
                        return Ok(Some(batch));
                    }
                }
                Message::EndMarker => self.complete = true,
                Message::CutOff => {
                    self.remaining = 0;
                    return Ok(None);
                }
            }
            if self.complete {
                if self.remaining > 0 {
                    return Err(self.damage("data after the end of the stream"));
                }
                return Ok(None);
            }
        }
    }

    /// Whether the end marker has been read: nothing was cut off.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The schema, unless even that was cut off.
    pub(super) fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }

    /// An error that names the message read last.
    pub(super) fn damage(&self, reason: impl ToString) -> HistoryError {
        HistoryError::Damaged {
            path: self.path.clone(),
            offset: self.message_start,
            reason: reason.to_string(),
        }
    }

    fn decode(&mut self, message: &mut Buffer) -> Result<Option<RecordBatch>, HistoryError> {
        while !message.is_empty() {
            match self.decoder.decode(message) {
                Ok(Some(batch)) => return Ok(Some(batch)),
                Ok(None) => {}
                Err(e) => return Err(self.damage(e)),
            }
        }
        Ok(None)
    }

    fn next_message(&mut self) -> Result<Message, HistoryError> {
        self.message_start = self.offset;
        if self.remaining < 8 {
            return Ok(Message::CutOff);
        }
        let mut prefix = [0; 8];
        self.read(&mut prefix)?;
        let [a, b, c, d, size @ ..] = prefix;
        if [a, b, c, d] != [0xff; 4] {
            return Err(self.damage("no message begins here"));
        }
        let header_bytes = u64::from(u32::from_le_bytes(size));
        if header_bytes == 0 {
            return Ok(Message::EndMarker);
        }
        if header_bytes > MAX_HEADER_BYTES {
            return Err(self.damage(format!("a message header of {header_bytes} bytes")));
        }
        if header_bytes > self.remaining {
            return Ok(Message::CutOff);
        }
        let mut header = vec![0; header_bytes as usize];
        self.read(&mut header)?;

        let parsed = root_as_message(&header).map_err(|e| self.damage(e))?;
        let body_bytes = u64::try_from(parsed.bodyLength()).unwrap_or(u64::MAX);
        if body_bytes > MAX_BODY_BYTES {
            return Err(self.damage(format!("a message body of {} bytes", parsed.bodyLength())));
        }
        if parsed.header_type() == MessageHeader::Schema {
            if self.schema.is_some() {
                return Err(self.damage("a second schema"));
            }
            let schema = parsed.header_as_schema().map(try_fb_to_schema);
            match schema {
                Some(Ok(schema)) => self.schema = Some(schema.into()),
                Some(Err(e)) => return Err(self.damage(e)),
                None => return Err(self.damage("a schema message without schema")),
            }
        }
        if let Some(schema) = &self.schema {
            check_layout(&parsed, schema, body_bytes).map_err(|reason| self.damage(reason))?;
        }
        if body_bytes > self.remaining {
            return Ok(Message::CutOff);
        }
        // One buffer for the whole message: the decoded arrays point into it.
        let header_end = 8 + header.len();
        let mut message = MutableBuffer::from_len_zeroed(header_end + body_bytes as usize);
        message[..8].copy_from_slice(&prefix);
        message[8..header_end].copy_from_slice(&header);
        self.read(&mut message[header_end..])?;
        Ok(Message::Data(message.into()))
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), HistoryError> {
        self.file
            .read_exact(into)
            .map_err(HistoryError::io("read", &self.path))?;
        self.offset += into.len() as u64;
        self.remaining -= into.len() as u64;
        Ok(())
    }
}

/// Names and types of the fields must be as expected, and the metadata must name the format.
fn check_schema(
    path: &Path,
    schema: &Schema,
    fields: &[Field],
    format: &'static str,
) -> Result<(), HistoryError> {
    let mismatch = |found: String| HistoryError::Format {
        path: path.to_owned(),
        expected: format,
        found,
    };
    match schema.metadata().get(FORMAT_KEY) {
        Some(found) if found == format => {}
        Some(found) => return Err(mismatch(format!("it is in the format {found}"))),
        None => return Err(mismatch(format!("its metadata have no {FORMAT_KEY}"))),
    }
    let same = schema.fields().len() == fields.len()
        && schema.fields().iter().zip(fields).all(|(found, field)| {
            found.name() == field.name() && found.data_type() == field.data_type()
        });
    if same {
        Ok(())
    } else {
        Err(mismatch("its columns differ".to_owned()))
    }
}
