//! A history file, opened: its format found out, decompressed, held in memory as text.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use crate::clock::{Clock, Progress};
use crate::history::HistoryReader;

use super::error::{ImportError, Problem, SourceError};
use super::events::Events;
use super::format::Format;

/// Bytes looked at to find out the format.
const HEAD: usize = 4096;

/// A history to be read: an Arrow history on disk, or text in memory.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    format: Format,
    text: String,
    truncated: Option<String>,
    limit_bytes: usize,
}

impl Source {
    /// Opens a file, or a directory that holds a recorded history (or a scenario's directory with one in
    /// it). Text may be compressed by gzip or zstd. `format`: what it is, if that is not to be found out.
    /// Text that is not within `limit_bytes` is an error.
    ///
    /// Text that is cut off in the middle of a compressed block or a character, or when the clock stops, is
    /// read as far as it goes; [`truncated`](Self::truncated) tells.
    pub fn open(
        path: &Path,
        format: Option<Format>,
        limit_bytes: usize,
        clock: Clock,
    ) -> Result<Self, SourceError> {
        let mut source = Source {
            path: path.to_owned(),
            format: Format::Arrow,
            text: String::new(),
            truncated: None,
            limit_bytes,
        };
        if path.is_dir() {
            let recorded = path.join("history");
            if recorded.is_dir() {
                source.path = recorded;
            }
            return Ok(source);
        }
        let mut file = File::open(path).map_err(source.io("open"))?;
        let mut head = Vec::with_capacity(HEAD);
        let begin = (&mut file).take(HEAD as u64).read_to_end(&mut head);
        begin.map_err(source.io("read"))?;
        let arrow = format.map_or(head.starts_with(&[0xff; 4]), |f| f == Format::Arrow);
        if arrow {
            return Ok(source);
        }
        let whole = io::Cursor::new(head.clone()).chain(file);
        let bytes = match head[..] {
            [0x1f, 0x8b, ..] => source.read(MultiGzDecoder::new(whole), clock)?,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let decoder = StreamingDecoder::new(whole);
                let decoder = decoder.map_err(|error| source.io("decompress")(other(error)))?;
                source.read(decoder, clock)?
            }
            _ => source.read(whole, clock)?,
        };
        source.text = source.utf8(bytes)?;
        source.format = match format.or_else(|| Format::of_text(&source.text)) {
            Some(format) => format,
            None => {
                let begins = source.text.chars().take(40).collect();
                let path = source.path;
                return Err(SourceError::UnknownFormat { path, begins });
            }
        };
        Ok(source)
    }

    /// The history in a text. `format`: what it is, if that is not to be found out.
    pub fn of_text(text: String, format: Option<Format>, limit_bytes: usize) -> Option<Self> {
        Some(Source {
            path: PathBuf::from("text"),
            format: format.or_else(|| Format::of_text(&text))?,
            text,
            truncated: None,
            limit_bytes,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The text; empty if the format is Arrow.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Why the end is known to be missing, if it is. Events may tell more when they are read.
    pub fn truncated(&self) -> Option<&str> {
        self.truncated.as_deref()
    }

    /// Bytes that reading may take.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Reads the events from the first, until the clock stops.
    pub fn events(&self, clock: Clock) -> Result<Events<'_>, SourceError> {
        let left_bytes = self.limit_bytes.saturating_sub(self.text.len());
        if self.format != Format::Arrow {
            return Ok(Events::of_text(self.format, &self.text, left_bytes, clock));
        }
        let reader = match self.path.is_dir() {
            true => HistoryReader::open(&self.path)?,
            false => HistoryReader::open_segment(&self.path)?,
        };
        Ok(Events::of_arrow(reader, left_bytes, clock))
    }

    /// An error in the events, with its place.
    pub fn error(&self, error: ImportError) -> SourceError {
        if error.problem == Problem::TooLarge {
            return self.too_large();
        }
        SourceError::Malformed {
            path: self.path.clone(),
            unit: self.format.unit(),
            line: error.line,
            reason: error.reason,
        }
    }

    fn too_large(&self) -> SourceError {
        SourceError::Memory {
            path: self.path.clone(),
            limit_bytes: self.limit_bytes,
        }
    }

    fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> SourceError + use<> {
        let path = self.path.clone();
        move |source| SourceError::Io {
            action,
            path,
            source,
        }
    }

    /// Reads to the end, or to where a compressed file ends early or the clock stops.
    fn read(&mut self, mut from: impl Read, clock: Clock) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        let mut block = vec![0; 1 << 16];
        loop {
            match from.read(&mut block) {
                Ok(0) => return Ok(bytes),
                Ok(length) => bytes.extend_from_slice(&block[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if ends_early(&error) => {
                    self.truncated = Some("the compressed file is cut off".to_owned());
                    return Ok(bytes);
                }
                Err(error) => return Err(self.io("read")(error)),
            }
            if bytes.len() > self.limit_bytes {
                return Err(self.too_large());
            }
            if let Some(why) = clock.stop(Progress::Bytes(bytes.len() as u64)) {
                self.truncated = Some(why);
                return Ok(bytes);
            }
        }
    }

    fn utf8(&mut self, bytes: Vec<u8>) -> Result<String, SourceError> {
        let error = match String::from_utf8(bytes) {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        let (whole, broken) = (
            error.utf8_error().valid_up_to(),
            error.utf8_error().error_len(),
        );
        let mut bytes = error.into_bytes();
        if broken.is_some() {
            let line = 1 + bytes[..whole].iter().filter(|&&byte| byte == b'\n').count() as u64;
            return Err(SourceError::Malformed {
                path: self.path.clone(),
                unit: "line",
                line,
                reason: "not text (UTF-8)".to_owned(),
            });
        }
        let why = "it ends in the middle of a character";
        self.truncated.get_or_insert_with(|| why.to_owned());
        bytes.truncate(whole);
        Ok(String::from_utf8(bytes).expect("so much of it is valid"))
    }
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Whether a decompressor failed because there is no more to read. The zstd decoder wraps the reason.
fn ends_early(error: &io::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        let io = one.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) {
            return true;
        }
        cause = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => one.source(),
        };
    }
    false
}
