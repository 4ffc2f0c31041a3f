//! Cutting a JSON array into its elements while it arrives, in pieces of any size.
//!
//! The counterpart of [`scan`](super::scan) for answers that are too long to be kept: what is in memory is the element that
//! is arriving.

/// Why nothing more can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The text is not an array.
    Broken,
    /// One element is longer than allowed.
    TooLong,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What comes next in the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// `[`, after so many bytes of a byte order mark.
    Open(usize),
    /// The first element, or `]`.
    FirstOrClose,
    /// An element, after a comma.
    Element,
    /// More of the element that has begun.
    More(Inside),
    /// A comma, or `]`.
    CommaOrClose,
    /// Nothing but white space.
    Nothing,
}

/// What the element is that has begun, and where in it the text stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Scalar,
    Text { escaped: bool },
    Nest { depth: usize, in_text: bool, escaped: bool },
}

/// The place in the array up to which it has arrived.
#[derive(Debug)]
pub(super) struct Splitter {
    next: Next,
    /// The beginning of the element that is arriving.
    element: Vec<u8>,
    max_element: usize,
}

impl Splitter {
    pub(super) fn new(max_element: usize) -> Self {
        Self { next: Next::Open(0), element: Vec::new(), max_element }
    }

    /// Whether the array has come to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.next == Next::Nothing
    }

    /// Takes the next piece of the text and gives each element that it completes to `found`.
    pub(super) fn push(&mut self, piece: &[u8], mut found: impl FnMut(&[u8])) -> Result<(), Stop> {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            self.next = match self.next {
                Next::More(inside) => {
                    rest = self.more(inside, rest, &mut found)?;
                    continue;
                }
                Next::Open(marked) if BYTE_ORDER_MARK.get(marked) == Some(&byte) => Next::Open(marked + 1),
                Next::Open(1 | 2) => return Err(Stop::Broken),
                // The mark is the very first, or there is none.
                Next::Open(_) if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => Next::Open(BYTE_ORDER_MARK.len()),
                _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => self.next,
                Next::Open(_) if byte == b'[' => Next::FirstOrClose,
                Next::FirstOrClose | Next::CommaOrClose if byte == b']' => Next::Nothing,
                Next::CommaOrClose if byte == b',' => Next::Element,
                Next::FirstOrClose | Next::Element => {
                    self.next = Next::More(begun(byte).ok_or(Stop::Broken)?);
                    self.element.push(byte);
                    rest = after;
                    continue;
                }
                Next::Open(_) | Next::CommaOrClose | Next::Nothing => return Err(Stop::Broken),
            };
            rest = after;
        }
        Ok(())
    }

    /// Takes what `rest` has of the element, and answers what comes after it.
    fn more<'a>(
        &mut self,
        mut inside: Inside,
        rest: &'a [u8],
        found: &mut impl FnMut(&[u8]),
    ) -> Result<&'a [u8], Stop> {
        if let Some(end) = inside.end(rest) {
            let (last, after) = rest.split_at_checked(end).ok_or(Stop::Broken)?;
            self.keep(last)?;
            found(&self.element);
            self.element.clear();
            self.next = Next::CommaOrClose;
            return Ok(after);
        }
        self.keep(rest)?;
        self.next = Next::More(inside);
        Ok(&[])
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if self.element.len().saturating_add(bytes.len()) > self.max_element {
            return Err(Stop::TooLong);
        }
        self.element.extend_from_slice(bytes);
        Ok(())
    }
}

/// What an element is that begins with this byte, if one can. Whether it is valid is for its decoder to say.
fn begun(byte: u8) -> Option<Inside> {
    match byte {
        b'"' => Some(Inside::Text { escaped: false }),
        b'[' | b'{' => Some(Inside::Nest { depth: 1, in_text: false, escaped: false }),
        b',' | b']' | b'}' | b':' => None,
        _ => Some(Inside::Scalar),
    }
}

impl Inside {
    /// How much of `text` belongs to the element, if its end is in there; else it is known where in it the text stops.
    fn end(&mut self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Scalar => text.iter().position(|byte| b",:]} \t\n\r".contains(byte)),
            Self::Text { escaped } => {
                let closes = |byte: &u8| {
                    let closes = *byte == b'"' && !*escaped;
                    *escaped = *byte == b'\\' && !*escaped;
                    closes
                };
                Some(text.iter().position(closes)? + 1)
            }
            Self::Nest { depth, in_text, escaped } => {
                for (at, byte) in text.iter().enumerate() {
                    if *in_text {
                        *in_text = *byte != b'"' || *escaped;
                        *escaped = *byte == b'\\' && !*escaped;
                        continue;
                    }
                    match byte {
                        b'"' => *in_text = true,
                        b'[' | b'{' => *depth += 1,
                        b']' | b'}' => *depth -= 1,
                        _ => continue,
                    }
                    if *depth == 0 {
                        return Some(at + 1);
                    }
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::{super::scan, *};

    fn split(text: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, Stop> {
        let (mut splitter, mut found) = (Splitter::new(1000), Vec::new());
        for piece in text.chunks(piece) {
            splitter.push(piece, |element| found.push(element.to_vec()))?;
        }
        if splitter.is_whole() { Ok(found) } else { Err(Stop::Broken) }
    }

    #[test]
    fn an_array_that_arrives_in_pieces_has_the_elements_of_the_whole() {
        let text = br#" [ 1 , "a,]\"\\" ,{"b":[{}, "]\\\""]}, [ ] ,null,-1.5e3 ] "#;
        let whole: Vec<Vec<u8>> = scan::elements(text).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        for piece in 1..=text.len() {
            assert_eq!(split(text, piece).unwrap(), whole, "{piece}");
        }
        assert_eq!(split(b"[]", 1).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(split(b"\xef\xbb\xbf[1]", 2).unwrap(), [b"1"]);
    }

    #[test]
    fn an_array_that_stops_half_way_is_never_a_short_one() {
        let whole = br#"[{"a":"]"},[1,"\""],2]"#;
        for end in 0..whole.len() {
            assert_eq!(split(&whole[..end], 3), Err(Stop::Broken), "{end}");
        }
        for text in ["[1 2]", "[1,]", "[,1]", "[1]x", "{}", "<html>", "[1]]", "[1:2]", "[1}", " \u{feff}[1]"] {
            assert_eq!(split(text.as_bytes(), 2), Err(Stop::Broken), "{text}");
        }
    }

    #[test]
    fn f109_one_element_without_end_is_not_kept() {
        let mut splitter = Splitter::new(10);
        assert_eq!(splitter.push(br#"["0123456"#, |_| {}), Ok(()));
        assert_eq!(splitter.push(b"789", |_| {}), Err(Stop::TooLong));
        assert!(splitter.element.capacity() < 100);
    }

    proptest! {
        #[test]
        fn agrees_with_the_scan_of_the_whole(bytes in prop::collection::vec(
            prop::sample::select(b"[]{},:\"\\ 1a".to_vec()), 0..24), piece in 1..8_usize)
        {
            let text = [b"[".as_slice(), &bytes, b"]"].concat();
            let whole = scan::elements(&text).map(|found| found.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
            prop_assert_eq!(split(&text, piece).ok(), whole.ok());
        }

        #[test]
        fn a_piece_of_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), piece in 1..8_usize) {
            let _ = split(&bytes, piece);
        }
    }
}
