//! The little XML that S3 speaks. A pull parser without recursion. Document types, and entities that a document
//! defines, are refused.

use std::collections::BTreeMap;

use quick_xml::{
    Reader, Writer,
    events::{BytesText, Event},
};
use waldur_sdk::{Error, ErrorKind, Result};

/// A child of the root: its name, and its own children that are text, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) texts: BTreeMap<String, String>,
}

impl Record {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }
}

/// What a document says: the texts right below the root and the records there. What is further down is passed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) root: Record,
    pub(crate) records: Vec<Record>,
}

/// Reads a document whose root has one of the names.
///
/// # Errors
/// `Decode` for everything else: a document that was cut short, one of another root, a document type.
pub(crate) fn read(xml: &[u8], roots: &[&str]) -> Result<Document> {
    let broken = || Error::new(ErrorKind::Decode, "the answer is not the XML that S3 speaks");
    let text = std::str::from_utf8(xml).map_err(|_| broken())?;
    let mut reader = Reader::from_str(text);
    let (mut document, mut path, mut content) = (Document::default(), Vec::new(), String::new());
    loop {
        match reader.read_event().map_err(|cause| broken().with_source(cause.to_string()))? {
            Event::Start(element) => {
                path.push(element.name().as_ref().to_owned());
                document.open(&path);
                content.clear();
            }
            Event::Empty(element) => {
                path.push(element.name().as_ref().to_owned());
                document.open(&path);
                document.close(&path, "");
                path.pop();
            }
            Event::Text(text) => content.push_str(&text.xml10_content()),
            Event::CData(text) => content.push_str(&text.xml10_content()),
            Event::GeneralRef(name) => {
                let letter = match name.resolve_char_ref() {
                    Ok(Some(letter)) => Some(letter),
                    Ok(None) => predefined(&name.into_inner()),
                    Err(_) => None,
                };
                content.push(letter.ok_or_else(broken)?);
            }
            Event::End(_) => {
                document.close(&path, &content);
                path.pop();
                content.clear();
            }
            Event::Eof if path.is_empty() && roots.contains(&document.root.name.as_str()) => return Ok(document),
            Event::DocType(_) | Event::Eof => return Err(broken()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

impl Document {
    fn open(&mut self, path: &[String]) {
        match path {
            [root] => root.clone_into(&mut self.root.name),
            [_, record] => self.records.push(Record { name: record.clone(), ..Record::default() }),
            _ => {}
        }
    }

    fn close(&mut self, path: &[String], content: &str) {
        match path {
            // What had no children was no record.
            [_, name] if self.records.pop_if(|record| record.texts.is_empty()).is_some() => {
                self.root.texts.insert(name.clone(), content.to_owned());
            }
            [_, _, name] => {
                if let Some(record) = self.records.last_mut() {
                    record.texts.insert(name.clone(), content.to_owned());
                }
            }
            _ => {}
        }
    }
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// The order to delete versions of objects of a bucket, by key and version. Answered with what failed only.
///
/// # Errors
/// `Config` when a key has a character that XML cannot carry.
pub(crate) fn deletion<'a>(bucket: &str, versions: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    let mut failed = None;
    let written = writer.create_element("Delete").write_inner_content(|writer| {
        writer.create_element("Quiet").write_text_content(BytesText::new("true"))?;
        for (position, (key, version)) in versions.into_iter().enumerate() {
            if !key.chars().all(can_be_written) {
                failed.get_or_insert(position);
                continue;
            }
            writer.create_element("Object").write_inner_content(|writer| {
                writer.create_element("Key").write_text_content(BytesText::new(key))?;
                writer.create_element("VersionId").write_text_content(BytesText::new(version))?;
                Ok(())
            })?;
        }
        Ok(())
    });
    written.map_err(|cause| Error::config("the order to delete cannot be written").with_source(cause))?;
    match failed {
        None => Ok(writer.into_inner()),
        // Its name would stand in logs too, and is nobody's business but the customer's.
        Some(position) => {
            let text = format!(
                "Object number {} in the bucket {bucket} has a name that cannot be sent in a list. Delete it first.",
                position + 1
            );
            Err(Error::rejected(text))
        }
    }
}

/// The characters of XML 1.0.
fn can_be_written(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// The code of an error.
pub(crate) fn code(xml: &[u8]) -> Option<String> {
    read(xml, &["Error"]).ok()?.root.texts.remove("Code").filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sec36_a_document_type_and_entities_of_ones_own_are_refused() {
        let bomb = r#"<!DOCTYPE e [<!ENTITY a "&b;&b;">]><Error><Code>&a;</Code></Error>"#;
        let other = "<Error><Code>&file;</Code></Error>";
        for xml in [bomb, other, "<Error><Code>x</Code>", "<html></html>", "", "{}", "<Error><Code>x</Error></Code>"] {
            assert_eq!(read(xml.as_bytes(), &["Error"]).unwrap_err().kind(), ErrorKind::Decode, "{xml}");
            assert_eq!(code(xml.as_bytes()), None);
        }
        let xml =
            "<?xml version='1.0'?><!-- x --><Error><Code>A&amp;&#66;</Code><Deep><a><b><c/></b></a></Deep></Error>";
        assert_eq!(code(xml.as_bytes()).as_deref(), Some("A&B"));
        let deep = format!("<Error>{}{}</Error>", "<a>".repeat(100_000), "</a>".repeat(100_000));
        read(deep.as_bytes(), &["Error"]).unwrap();
    }

    #[test]
    fn records_are_told_from_texts() {
        let xml = "<R><Name>n</Name><Empty/><V><Key>k</Key><Owner><ID>o</ID></Owner><V2/></V><V><Key></Key></V></R>";
        let document = read(xml.as_bytes(), &["R"]).unwrap();
        assert_eq!((document.root.text("Name"), document.root.text("Empty")), (Some("n"), Some("")));
        let keys: Vec<_> = document.records.iter().map(|record| record.text("Key")).collect();
        assert_eq!(keys, [Some("k"), Some("")]);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(key in "\\PC{0,20}", version in "[a-zA-Z0-9._-]{1,20}") {
            let xml = deletion("photos", [(key.as_str(), version.as_str())]).unwrap();
            let document = read(&xml, &["Delete"]).unwrap();
            prop_assert_eq!(document.records.len(), 1);
            prop_assert_eq!(document.records[0].text("Key"), Some(key.as_str()));
        }

        #[test]
        fn sec36_no_input_breaks_the_reader(xml in "(<(/?[a-c]|[a-c]/|!DOCTYPE a)>|&[a-z#0-9]{0,4};|[a-z <>&]){0,30}") {
            drop(read(xml.as_bytes(), &["a"]));
        }
    }

    #[test]
    fn a_name_that_xml_cannot_carry_is_no_part_of_an_order() {
        let error = deletion("photos", [("fine", "1"), ("a\u{1}b", "2")]).unwrap_err();
        assert!(error.customer_message().is_some_and(|text| text.contains("Object number 2 in the bucket photos")));
        let texts = format!("{error} {error:?} {:?}", error.chain());
        assert!(!texts.contains("u{1}") && !texts.contains('\u{1}'), "no name of an object: {texts}");
    }
}
