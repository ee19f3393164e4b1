//! CBOR in one form only: RFC 8949 §4.2 (deterministic encoding), definite lengths, shortest heads.
//!
//! `minicbor` decodes and encodes. Its decoder borrows, allocates nothing and checks every length against the input, but
//! it takes any well-formed encoding; [`Reader`] refuses whatever [`Writer`] would have written otherwise, by comparing
//! how far the decoder moved with how long the shortest form is. `coset` was the alternative: it reads a whole message
//! into owned trees, takes every encoding as well, and costs several times our budget for an open.

use std::convert::Infallible;

use minicbor::{Decoder, Encoder, encode};

/// The input is not what was expected, or not in its deterministic form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotCanonical;

/// Reads an expected structure from untrusted bytes.
pub(crate) struct Reader<'a>(Decoder<'a>);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    /// How many bytes have been read.
    pub(crate) fn position(&self) -> usize {
        self.0.position()
    }

    /// The tag `expected`.
    pub(crate) fn tag(&mut self, expected: u64) -> Result<(), NotCanonical> {
        self.item(|decoder| decoder.tag().map(|tag| (tag.as_u64(), head(tag.as_u64()))))
            .and_then(|tag| require(tag == expected))
    }

    /// The head of an array of `len` items.
    pub(crate) fn array(&mut self, len: u64) -> Result<(), NotCanonical> {
        self.item(|decoder| decoder.array().map(|found| (found, head(len))))
            .and_then(|found| require(found == Some(len)))
    }

    /// The head of a map of `len` pairs.
    pub(crate) fn map(&mut self, len: u64) -> Result<(), NotCanonical> {
        self.item(|decoder| decoder.map().map(|found| (found, head(len))))
            .and_then(|found| require(found == Some(len)))
    }

    /// The integer `expected`: a label, or an algorithm.
    pub(crate) fn int(&mut self, expected: i64) -> Result<(), NotCanonical> {
        let argument = if expected < 0 { !expected } else { expected };
        self.item(|decoder| decoder.i64().map(|found| (found, head(argument.unsigned_abs()))))
            .and_then(|found| require(found == expected))
    }

    /// A byte string of any length.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], NotCanonical> {
        self.item(|decoder| decoder.bytes().map(|bytes| (bytes, sized(bytes.len()))))
    }

    /// A byte string of exactly `N` bytes.
    pub(crate) fn bytes_of<const N: usize>(&mut self) -> Result<&'a [u8; N], NotCanonical> {
        self.bytes()?.try_into().map_err(|_| NotCanonical)
    }

    /// A text string of any length.
    pub(crate) fn text(&mut self) -> Result<&'a str, NotCanonical> {
        self.item(|decoder| decoder.str().map(|text| (text, sized(text.len()))))
    }

    /// The end of the input.
    pub(crate) fn end(&self) -> Result<(), NotCanonical> {
        require(self.0.position() == self.0.input().len())
    }

    /// Decodes one item, and requires that it took as many bytes as its shortest form.
    fn item<T>(
        &mut self,
        decode: impl FnOnce(&mut Decoder<'a>) -> Result<(T, usize), minicbor::decode::Error>,
    ) -> Result<T, NotCanonical> {
        let before = self.0.position();
        let (item, shortest) = decode(&mut self.0).map_err(|_| NotCanonical)?;
        require(self.0.position() - before == shortest)?;
        Ok(item)
    }
}

/// Writes into a buffer of its own.
pub(crate) struct Writer(Encoder<Vec<u8>>);

impl Writer {
    /// A writer that need not grow for `capacity` bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Encoder::new(Vec::with_capacity(capacity)))
    }

    /// A writer that goes on after `bytes`.
    pub(crate) fn after(bytes: Vec<u8>) -> Self {
        Self(Encoder::new(bytes))
    }

    pub(crate) fn tag(&mut self, tag: u64) -> &mut Self {
        self.put(|encoder| encoder.tag(minicbor::data::Tag::new(tag)).map(drop))
    }

    pub(crate) fn array(&mut self, len: u64) -> &mut Self {
        self.put(|encoder| encoder.array(len).map(drop))
    }

    pub(crate) fn map(&mut self, len: u64) -> &mut Self {
        self.put(|encoder| encoder.map(len).map(drop))
    }

    pub(crate) fn int(&mut self, int: i64) -> &mut Self {
        self.put(|encoder| encoder.i64(int).map(drop))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.put(|encoder| encoder.bytes(bytes).map(drop))
    }

    /// The head of a byte string whose `len` bytes follow through [`Writer::buffer`].
    pub(crate) fn bytes_head(&mut self, len: usize) -> &mut Self {
        self.put(|encoder| encoder.bytes_len(len as u64).map(drop))
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.put(|encoder| encoder.str(text).map(drop))
    }

    /// What is written so far, to be appended to.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        self.0.writer_mut()
    }

    /// All that was written.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }

    #[expect(clippy::expect_used, reason = "a Vec takes every write: its error is Infallible")]
    fn put(
        &mut self,
        encode: impl FnOnce(&mut Encoder<Vec<u8>>) -> Result<(), encode::Error<Infallible>>,
    ) -> &mut Self {
        encode(&mut self.0).expect("a Vec takes every write");
        self
    }
}

fn require(holds: bool) -> Result<(), NotCanonical> {
    if holds { Ok(()) } else { Err(NotCanonical) }
}

/// The length of a string of `len` bytes, with its head.
fn sized(len: usize) -> usize {
    head(len as u64) + len
}

/// The length of the shortest head with this argument (RFC 8949 §3).
fn head(argument: u64) -> usize {
    match argument {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_head_has_one_accepted_length() {
        let forms = [
            &[0x41, 7][..],
            &[0x58, 1, 7],
            &[0x59, 0, 1, 7],
            &[0x5a, 0, 0, 0, 1, 7],
            &[0x5b, 0, 0, 0, 0, 0, 0, 0, 1, 7],
        ];
        let accepted = forms.map(|form| Reader::new(form).bytes().is_ok());
        assert_eq!(accepted, [true, false, false, false, false]);
        assert_eq!(Reader::new(&[0x29]).int(-10), Ok(()));
        assert_eq!(Reader::new(&[0x38, 9]).int(-10), Err(NotCanonical));
        assert_eq!(Reader::new(&[0x84]).array(4), Ok(()));
        assert_eq!(Reader::new(&[0x98, 4]).array(4), Err(NotCanonical));
        assert_eq!(Reader::new(&[0xa6]).map(6), Ok(()));
        assert_eq!(Reader::new(&[0xb8, 6]).map(6), Err(NotCanonical));
        assert_eq!(Reader::new(&[0xd8, 96]).tag(96), Ok(()));
        assert_eq!(Reader::new(&[0xd9, 0, 96]).tag(96), Err(NotCanonical));
    }

    #[test]
    fn indefinite_lengths_are_refused() {
        assert_eq!(Reader::new(&[0x5f, 0x41, 7, 0xff]).bytes(), Err(NotCanonical));
        assert_eq!(Reader::new(&[0x7f, 0x61, 0x61, 0xff]).text(), Err(NotCanonical));
        assert_eq!(Reader::new(&[0x9f, 0xff]).array(0), Err(NotCanonical));
        assert_eq!(Reader::new(&[0xbf, 0xff]).map(0), Err(NotCanonical));
    }

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        assert_eq!(
            Reader::new(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).bytes(),
            Err(NotCanonical)
        );
        assert_eq!(
            Reader::new(&[0x7b, 0, 0, 0, 1, 0, 0, 0, 0, 0x61]).text(),
            Err(NotCanonical)
        );
        assert_eq!(Reader::new(&[]).bytes(), Err(NotCanonical));
    }

    #[test]
    fn what_the_writer_writes_the_reader_reads() {
        let mut writer = Writer::with_capacity(0);
        writer.tag(96).array(2).int(-65_540).map(1).text("k").bytes(&[0; 300]);
        let written = writer.finish();
        let mut reader = Reader::new(&written);
        assert_eq!(reader.tag(96), Ok(()));
        assert_eq!(reader.array(2), Ok(()));
        assert_eq!(reader.int(-65_540), Ok(()));
        assert_eq!(reader.map(1), Ok(()));
        assert_eq!(reader.text(), Ok("k"));
        assert_eq!(reader.end(), Err(NotCanonical));
        assert_eq!(reader.bytes_of::<300>(), Ok(&[0; 300]));
        assert_eq!(reader.end(), Ok(()));
    }
}
