//! Numbers such as `NaN`, which are not JSON and are in some of croit's answers (croit-api.md §3).

use std::borrow::Cow;

/// What is written in the place of a number that is none. No word of croit's.
pub(super) const MARK: &str = "not a number";

const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// The same text as JSON: a bare `NaN` or `Infinity` becomes the text [`MARK`]. Texts stay as they are.
pub(super) fn quote(json: &[u8]) -> Cow<'_, [u8]> {
    if !json.windows(3).any(|word| word == b"NaN" || word == b"Inf") {
        return Cow::Borrowed(json);
    }
    let (mut quoted, mut rest, mut in_text) = (Vec::with_capacity(json.len() + 64), json, false);
    while let Some((&byte, after)) = rest.split_first() {
        let word = WORDS.iter().find(|word| !in_text && rest.starts_with(word));
        rest = match (word, after.split_first()) {
            (Some(word), _) => {
                quoted.extend_from_slice(format!("\"{MARK}\"").as_bytes());
                rest.get(word.len()..).unwrap_or_default()
            }
            (None, Some((&escaped, behind))) if in_text && byte == b'\\' => {
                quoted.extend([byte, escaped]);
                behind
            }
            (None, _) => {
                in_text ^= byte == b'"';
                quoted.push(byte);
                after
            }
        };
    }
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_words_are_quoted() {
        let shown = |text: &str| String::from_utf8_lossy(&quote(text.as_bytes())).into_owned();
        assert_eq!(shown(r#"{"v":NaN,"w":-Infinity}"#), r#"{"v":"not a number","w":"not a number"}"#);
        for text in [r#"{"NaN":"Infinity"}"#, r#"{"a":"\"NaN"}"#, r#"["\\",1]"#, "", "\"NaN"] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown(r#"["\\",NaN]"#), r#"["\\","not a number"]"#);
    }
}
