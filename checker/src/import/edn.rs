//! EDN (<https://github.com/edn-format/edn>): the values of a file, one after the other.
//!
//! Linear time; memory for one value at a time. Nesting is limited, so that no input can exhaust the
//! stack.

use super::error::ImportError;
use super::value::Value;

/// Values may be nested so deep.
const MAX_DEPTH: usize = 128;

/// Reads values from text.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        Reader {
            text,
            at: 0,
            line: 1,
        }
    }

    /// The line of the next value, from 1.
    pub fn line(&mut self) -> Result<u64, ImportError> {
        self.skip(0)?;
        Ok(self.line)
    }

    /// The next value, or `None` at the end.
    pub fn value(&mut self) -> Result<Option<Value>, ImportError> {
        self.skip(0)?;
        if self.peek().is_none() {
            return Ok(None);
        }
        self.one(0).map(Some)
    }

    /// Enters a list or vector if one is next. Its items are then read by [`item`](Self::item).
    pub fn enter(&mut self) -> Result<Option<char>, ImportError> {
        self.skip(0)?;
        let close = match self.peek() {
            Some(b'[') => ']',
            Some(b'(') => ')',
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(close))
    }

    /// The next item of what was entered, or `None` at its end.
    pub fn item(&mut self, close: char) -> Result<Option<Value>, ImportError> {
        self.skip(0)?;
        match self.peek() {
            None => Err(self.cut_off(format!("the file ends before {close:?}"))),
            Some(byte) if char::from(byte) == close => {
                self.at += 1;
                Ok(None)
            }
            Some(_) => self.one(0).map(Some),
        }
    }

    fn error(&self, reason: impl Into<String>) -> ImportError {
        ImportError::new(self.line, reason)
    }

    fn cut_off(&self, reason: impl Into<String>) -> ImportError {
        ImportError::cut_off(self.line, reason)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips blanks, commas, comments and discarded values.
    fn skip(&mut self, depth: usize) -> Result<(), ImportError> {
        loop {
            match self.peek() {
                Some(b'\n') => {
                    self.line += 1;
                    self.at += 1;
                }
                Some(b' ' | b'\t' | b'\r' | b',' | b'\x0c') => self.at += 1,
                Some(b';') => {
                    let rest = &self.text.as_bytes()[self.at..];
                    self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
                }
                Some(b'#') if self.text.as_bytes().get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    self.one(depth + 1)?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn one(&mut self, depth: usize) -> Result<Value, ImportError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("values nested more than {MAX_DEPTH} deep")));
        }
        self.skip(depth)?;
        let Some(byte) = self.peek() else {
            return Err(self.cut_off("the file ends in the middle of a value"));
        };
        match byte {
            b'(' => Ok(Value::List(self.sequence(1, b')', depth)?)),
            b'[' => Ok(Value::Vector(self.sequence(1, b']', depth)?)),
            b'{' => self.map(depth),
            b'"' => self.text(),
            b'\\' => self.character(),
            b'#' => self.dispatch(depth),
            b')' | b']' | b'}' => {
                Err(self.error(format!("{:?} without a beginning", char::from(byte))))
            }
            _ => self.atom(),
        }
    }

    fn sequence(
        &mut self,
        opening: usize,
        close: u8,
        depth: usize,
    ) -> Result<Vec<Value>, ImportError> {
        let begun = self.line;
        self.at += opening;
        let mut items = Vec::new();
        loop {
            self.skip(depth)?;
            match self.peek() {
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(items);
                }
                None => {
                    return Err(self.cut_off(format!(
                        "the file ends before {:?}, begun in line {begun}",
                        char::from(close)
                    )));
                }
                Some(_) => items.push(self.one(depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, ImportError> {
        let items = self.sequence(1, b'}', depth)?;
        if items.len() % 2 == 1 {
            return Err(self.error("a map with a key without value"));
        }
        let mut entries = Vec::with_capacity(items.len() / 2);
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        Ok(Value::Map(entries))
    }

    fn text(&mut self) -> Result<Value, ImportError> {
        self.at += 1;
        let mut content = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
            content.push_str(&rest[..plain]);
            self.line += rest[..plain].matches('\n').count() as u64;
            self.at += plain;
            match self.peek() {
                None => return Err(self.cut_off("the file ends in the middle of a text")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Value::Text(content.into_boxed_str()));
                }
                Some(_) => content.push(self.escape()?),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ImportError> {
        let escaped = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match escaped {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'u') => {
                let digits = self.text.get(self.at..self.at + 4);
                self.at += 4;
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                // Half of a surrogate pair is no character.
                code.map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
                    .ok_or_else(|| self.error("\\u without four hexadecimal digits"))?
            }
            None => return Err(self.cut_off("the file ends in the middle of a text")),
            _ => return Err(self.error("an unknown escape in a text")),
        })
    }

    fn character(&mut self) -> Result<Value, ImportError> {
        self.at += 1;
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else {
            return Err(self.cut_off("the file ends in the middle of a character"));
        };
        let after = &rest[first.len_utf8()..];
        let length = first.len_utf8() + after.find(is_delimiter).unwrap_or(after.len());
        let word = &rest[..length];
        self.at += length;
        let character = match word {
            "newline" => '\n',
            "space" => ' ',
            "tab" => '\t',
            "return" => '\r',
            "backspace" => '\x08',
            "formfeed" => '\x0c',
            word if word.len() == first.len_utf8() => first,
            word => word
                .strip_prefix('u')
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .and_then(char::from_u32)
                .ok_or_else(|| self.error(format!("\\{word} is no character")))?,
        };
        if character == '\n' && word == "\n" {
            self.line += 1;
        }
        Ok(Value::Char(character))
    }

    fn dispatch(&mut self, depth: usize) -> Result<Value, ImportError> {
        if self.text.as_bytes().get(self.at + 1) == Some(&b'{') {
            return Ok(Value::Set(self.sequence(2, b'}', depth)?));
        }
        self.at += 1;
        let word = self.word();
        if word.is_empty() {
            return Err(match self.peek() {
                None => self.cut_off("the file ends in the middle of a value"),
                Some(_) => self.error("# without a tag"),
            });
        }
        // Records are printed with a tag and a map: #jepsen.history.Op{...}.
        let value = self.one(depth + 1)?;
        Ok(Value::Tagged(word.into(), Box::new(value)))
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.find(is_delimiter).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn atom(&mut self) -> Result<Value, ImportError> {
        let word = self.word();
        if word.is_empty() {
            return Err(self.error("an unexpected character"));
        }
        if let Some(keyword) = word.strip_prefix(':') {
            return Ok(Value::Keyword(keyword.into()));
        }
        let unsigned = word.trim_start_matches(['+', '-']);
        if unsigned.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(match word.trim_end_matches('N').parse() {
                Ok(value) => Value::Int(value),
                Err(_) => Value::Number(word.into()),
            });
        }
        Ok(match word {
            "nil" => Value::Nil,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word => Value::Symbol(word.into()),
        })
    }
}

fn is_delimiter(character: char) -> bool {
    matches!(
        character,
        ' ' | '\n' | '\t' | '\r' | '\x0c' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '"'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match Reader::new(text).value() {
            Ok(value) => value.map_or("end".to_owned(), |value| value.to_string()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_every_kind_of_value() {
        let text =
            r#"{:a [1 -2 3.5 nil], "b\n" #{true \x}, c (#inst "now"), :big 99999999999999999999N}"#;
        let expected =
            r#"{:a [1 -2 3.5 nil], "b\n" #{true \x}, c (#inst "now"), :big 99999999999999999999N}"#;
        assert_eq!(read(text), expected);
    }

    #[test]
    fn skips_comments_and_discarded_values() {
        assert_eq!(read("; first\n#_ [1 2] #_#_ 3 4 5"), "5");
        assert_eq!(read(" ; nothing"), "end");
    }

    #[test]
    fn says_where_it_fails_and_why() {
        assert_eq!(
            read("[1\n2"),
            "line 2: the file ends before ']', begun in line 1"
        );
        assert_eq!(read("{:a\n\n}"), "line 3: a map with a key without value");
        assert_eq!(read("\n)"), "line 2: ')' without a beginning");
        assert_eq!(
            read("\"a\nb"),
            "line 2: the file ends in the middle of a text"
        );
        assert_eq!(read("\"\\q\""), "line 1: an unknown escape in a text");
        let deep = "[".repeat(100_000);
        assert_eq!(read(&deep), "line 1: values nested more than 128 deep");
        let discarded = "#_".repeat(100_000);
        assert_eq!(read(&discarded), "line 1: values nested more than 128 deep");
    }
}
