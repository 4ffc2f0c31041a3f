//! Finding the outermost pieces of a JSON text without decoding them.
//!
//! Works on bytes, so that broken UTF-8 inside one piece leaves the others readable, and without recursion, so that no
//! nesting is too deep. It checks no more than it needs: each piece is still to be decoded.

/// Where the text stops being what it must be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

type Scanned<T> = Result<T, Broken>;

/// The elements of an array that is the whole text.
pub(super) fn elements(json: &[u8]) -> Scanned<Vec<&[u8]>> {
    let mut scanner = Scanner { rest: json };
    let mut found = Vec::new();
    scanner.sequence(b'[', b']', |scanner| {
        found.push(scanner.value()?);
        Ok(())
    })?;
    Ok(found)
}

/// The value of one member of an object that is the whole text; the last one if it appears more than once.
pub(super) fn member<'a>(json: &'a [u8], name: &str) -> Scanned<Option<&'a [u8]>> {
    let mut scanner = Scanner { rest: json };
    let mut found = None;
    scanner.sequence(b'{', b'}', |scanner| {
        let key = scanner.value()?;
        scanner.expect(b':')?;
        let value = scanner.value()?;
        if serde_json::from_slice::<String>(key).is_ok_and(|key| key == name) {
            found = Some(value);
        }
        Ok(())
    })?;
    Ok(found)
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// `open`, entries between commas, `close`, and nothing after it.
    fn sequence(&mut self, open: u8, close: u8, mut entry: impl FnMut(&mut Self) -> Scanned<()>) -> Scanned<()> {
        self.expect(open)?;
        if self.peek() == Some(close) {
            self.expect(close)?;
        } else {
            loop {
                entry(self)?;
                if self.peek() == Some(close) {
                    self.expect(close)?;
                    break;
                }
                self.expect(b',')?;
            }
        }
        if self.peek().is_none() { Ok(()) } else { Err(Broken) }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let blank = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.rest = self.rest.get(blank..).unwrap_or_default();
        self.rest.first().copied()
    }

    fn expect(&mut self, byte: u8) -> Scanned<()> {
        if self.peek() != Some(byte) {
            return Err(Broken);
        }
        self.rest = self.rest.get(1..).unwrap_or_default();
        Ok(())
    }

    fn value(&mut self) -> Scanned<&'a [u8]> {
        let end = match self.peek().ok_or(Broken)? {
            b'"' => string_end(self.rest),
            b'[' | b'{' => nest_end(self.rest),
            _ => self.rest.iter().position(|byte| b",:]} \t\n\r".contains(byte)).or(Some(self.rest.len())),
        };
        let (value, rest) = end.filter(|end| *end > 0).and_then(|end| self.rest.split_at_checked(end)).ok_or(Broken)?;
        self.rest = rest;
        Ok(value)
    }
}

/// The length of the string that the text begins with, quotes included.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let inner = text.iter().skip(1).position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })?;
    Some(inner + 2)
}

/// The length of the array or object that the text begins with.
fn nest_end(text: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let last = text.iter().position(|byte| {
        if in_string {
            in_string = *byte != b'"' || escaped;
            escaped = *byte == b'\\' && !escaped;
            return false;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    Some(last + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn pieces_are_found_whatever_they_hold() {
        let text = br#" [ 1 , "a,]\"\\" ,{"b":[{}, "]"]}, [ ] ,null ] "#;
        let found: Vec<_> = elements(text).unwrap().into_iter().map(|part| String::from_utf8_lossy(part)).collect();
        assert_eq!(found, ["1", r#""a,]\"\\""#, r#"{"b":[{}, "]"]}"#, "[ ]", "null"]);
        assert_eq!(elements(b"[]").unwrap(), [b""; 0]);
        assert_eq!(member(br#"{"a":1,"b":[2],"a":"x"}"#, "a").unwrap().unwrap(), br#""x""#);
        assert_eq!(member(br#"{"a":1}"#, "b").unwrap(), None);
    }

    #[test]
    fn a_text_cut_short_is_never_a_short_list() {
        let whole = br#"[{"a":"]"},[1,"\""],2]"#;
        for end in 0..whole.len() {
            assert_eq!(elements(&whole[..end]), Err(Broken), "{end}");
        }
        for text in ["[1 2]", "[1,]", "[,1]", "[1]x", "{}", "", "[1]]", "[1:2]"] {
            assert_eq!(elements(text.as_bytes()), Err(Broken), "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_whole_parse(texts in prop::collection::vec(".*", 0..5), number in any::<i64>()) {
            let rows: Vec<Value> = texts.iter().map(|text| serde_json::json!({ text.as_str(): [text, number] })).collect();
            let json = serde_json::to_vec(&rows).unwrap();
            // Not `rows`: reading a float back may change its last bit, in one piece or in many.
            let whole: Vec<Value> = serde_json::from_slice(&json).unwrap();
            let found: Vec<Value> =
                elements(&json).unwrap().into_iter().map(|part| serde_json::from_slice(part).unwrap()).collect();
            prop_assert_eq!(found, whole);
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = elements(&bytes);
            let _ = member(&bytes, "a");
        }
    }
}
