//! The input: read by a thread of its own, a batch of lines at a time, so that reading and sending go on side by side.

use std::{
    fmt::Write,
    io::{self, BufRead, BufReader, Read},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::record::{Flaw, Record, Reject};

/// Lines that are sent together.
#[derive(Debug)]
pub(super) struct Batch {
    /// The lines; blank ones are left out.
    pub(super) lines: Vec<Line>,
    /// Where the input is read up to with them.
    pub(super) end: Position,
}

/// A line.
#[derive(Debug)]
pub(super) struct Line {
    /// Which, counted from 1.
    pub(super) number: u64,
    /// What is on it.
    pub(super) record: Result<Record, Reject>,
}

/// A place in the input, and what was before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// How many bytes are before it.
    pub(super) bytes: u64,
    /// How many lines.
    pub(super) lines: u64,
    /// SHA-256 of what is before it, in hexadecimal.
    pub(super) sha256: String,
}

/// An input, from some place on.
pub(super) struct Input<R> {
    from: BufReader<R>,
    hash: Sha256,
    bytes: u64,
    lines: u64,
}

impl<R: Read> Input<R> {
    /// An input from its beginning on.
    pub(super) fn new(from: R) -> Self {
        Self {
            from: BufReader::with_capacity(BUFFER, from),
            hash: Sha256::new(),
            bytes: 0,
            lines: 0,
        }
    }

    /// Reads up to a place. Whether what is before it is still the same.
    pub(super) fn skip_to(&mut self, place: &Position) -> io::Result<bool> {
        while self.bytes < place.bytes {
            let read = self.from.fill_buf()?;
            let rest = usize::try_from(place.bytes - self.bytes).unwrap_or(usize::MAX);
            let part = read.get(..rest).unwrap_or(read);
            if part.is_empty() {
                return Ok(false);
            }
            let len = part.len();
            self.hash.update(part);
            self.from.consume(len);
            self.bytes += len as u64;
        }
        self.lines = place.lines;
        Ok(self.position() == *place)
    }

    /// Where it is read up to.
    pub(super) fn position(&self) -> Position {
        Position {
            bytes: self.bytes,
            lines: self.lines,
            sha256: hexadecimal(&self.hash.clone().finalize()),
        }
    }

    /// Reads to the end, in batches of up to `size` lines, until nobody takes them any more.
    pub(super) fn read_all(mut self, size: usize, to: &mpsc::Sender<io::Result<Batch>>) {
        loop {
            let batch = self.batch(size).transpose();
            let Some(batch) = batch else { return };
            let is_last = batch.is_err();
            if to.blocking_send(batch).is_err() || is_last {
                return;
            }
        }
    }

    fn batch(&mut self, size: usize) -> io::Result<Option<Batch>> {
        let before = self.bytes;
        let mut lines = Vec::new();
        while lines.len() < size && self.bytes - before < MOST_BYTES {
            let Some(line) = self.line()? else { break };
            let number = self.lines;
            if line.as_ref().is_ok_and(|text| text.trim_ascii().is_empty()) {
                continue;
            }
            lines.push(Line {
                number,
                record: line
                    .and_then(Record::parse)
                    .map_err(|flaw| Reject::flawed(number, flaw)),
            });
        }
        Ok((self.bytes > before).then(|| Batch {
            lines,
            end: self.position(),
        }))
    }

    /// The next line without its end, if there is one; and of one that is too long only that it is there.
    fn line(&mut self) -> io::Result<Option<Result<Vec<u8>, Flaw>>> {
        let (mut line, mut is_too_long, before) = (Vec::new(), false, self.bytes);
        loop {
            let read = self.from.fill_buf()?;
            let end = read.iter().position(|byte| *byte == b'\n');
            let len = end.map_or(read.len(), |end| end + 1);
            let part = read.get(..len).unwrap_or(read);
            is_too_long |= line.len() + part.len() > LONGEST_LINE;
            if is_too_long {
                line = Vec::new();
            } else {
                line.extend_from_slice(part);
            }
            self.hash.update(part);
            self.from.consume(len);
            self.bytes += len as u64;
            if end.is_some() || len == 0 {
                break;
            }
        }
        if self.bytes == before {
            return Ok(None);
        }
        self.lines += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(Some(if is_too_long { Err(Flaw::TooLong) } else { Ok(line) }))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A line that is longer is none that the API would take.
const LONGEST_LINE: usize = 8 << 20;
/// A batch that is as long has enough lines.
const MOST_BYTES: u64 = 1 << 20;
const BUFFER: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(batch: &Batch) -> Vec<(u64, bool)> {
        let lines = batch.lines.iter();
        lines.map(|line| (line.number, line.record.is_ok())).collect()
    }

    #[test]
    fn lines_are_counted_whatever_is_on_them_and_a_huge_one_is_not_kept() {
        let huge = "x".repeat(LONGEST_LINE + 1);
        let text = format!("{{\"wrapped_key\":\"a\"}}\n\n{huge}\n{{\"ciphertext\":\"b\"}}");
        let mut input = Input::new(text.as_bytes());
        let first = input.batch(2).unwrap().unwrap();
        assert_eq!(numbers(&first), [(1, true), (3, false)]);
        let second = input.batch(2).unwrap().unwrap();
        assert_eq!(numbers(&second), [(4, true)]);
        assert_eq!((second.end.bytes, second.end.lines), (text.len() as u64, 4));
        assert!(input.batch(2).unwrap().is_none());
    }

    #[test]
    fn a_place_is_found_again_only_where_all_before_it_is_the_same() {
        let text = b"one\ntwo\nthree\n";
        let mut input = Input::new(text.as_slice());
        let place = input.batch(2).unwrap().unwrap().end;
        let mut again = Input::new(text.as_slice());
        assert!(again.skip_to(&place).unwrap());
        assert_eq!(numbers(&again.batch(2).unwrap().unwrap()), [(3, false)]);
        for other in [b"one\ntwO\nthree\n".as_slice(), b"one\n"] {
            assert!(!Input::new(other).skip_to(&place).unwrap());
        }
    }
}
