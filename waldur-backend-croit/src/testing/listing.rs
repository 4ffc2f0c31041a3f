//! Lists of users: `/admin/user?list` and `/admin/metadata` (radosgw-api.md §4; markers measured on 16.2.15).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    placement::Place,
    records::UserId,
    refused::Refused,
    state::State,
    wire::{Arguments, Exchange, Node, Reply, decode, strtoll},
};

const LARGEST_PAGE: usize = 1000;

struct Slice {
    keys: Vec<Node>,
    next: Option<Place>,
}

impl State {
    /// Always 200: a marker that cannot be read breaks the body off.
    pub(super) fn list_users(&self, arguments: &Arguments) -> Reply {
        // Absent, negative and unreadable are all the same.
        let asked = arguments.number("max-entries", -1).and_then(|number| usize::try_from(number).ok());
        let largest = asked.unwrap_or(LARGEST_PAGE).min(LARGEST_PAGE);
        let from = match arguments.text("marker") {
            "" => Some(Place::first()),
            marker => Place::parse(marker),
        };
        let Some(from) = from else { return Reply::BrokenOff };
        let slice = self.slice(&from, largest);
        let truncated = Node::Flag(slice.next.is_some());
        Reply::Tree("result", slice.page(truncated, Place::marker))
    }

    pub(super) fn list_metadata(&self, exchange: &Exchange) -> Result<Reply, Refused> {
        let path = decode(exchange.path.as_bytes()).unwrap_or_default();
        let path = String::from_utf8_lossy(&path);
        match path.split('/').nth(3).unwrap_or_default() {
            "" => {
                let sections = ["bucket", "bucket.instance", "otp", "user"].map(Node::text);
                Ok(Reply::Metadata("keys", Node::List("key", sections.into())))
            }
            "user" if exchange.arguments.has("key") => self.metadata_of(exchange.arguments.text("key")),
            "user" => self.metadata_list(&exchange.arguments),
            "bucket" | "bucket.instance" | "otp" => Err(Refused::NOT_MODELLED),
            _ => Err(Refused::NO_SUCH_KEY),
        }
    }

    fn metadata_of(&self, key: &str) -> Result<Reply, Refused> {
        if key.is_empty() {
            return Err(Refused::INVALID_ARGUMENT);
        }
        let user = self.users.get(&UserId::parse(key).to_string()).ok_or(Refused::NO_SUCH_KEY)?;
        Ok(Reply::Metadata("metadata_info", user.metadata()))
    }

    fn metadata_list(&self, arguments: &Arguments) -> Result<Reply, Refused> {
        let largest = match arguments.get("max-entries") {
            None => None,
            Some("") => return Err(Refused::INVALID_ARGUMENT),
            Some(sent) => Some(strtoll(sent).ok_or(Refused::INVALID_ARGUMENT)?),
        };
        let from = match STANDARD.decode(arguments.text("marker")) {
            // What is not base64 at all is no marker: from the beginning.
            Err(base64::DecodeError::InvalidByte(..)) => Some(Place::first()),
            Ok(marker) if marker.is_empty() => Some(Place::first()),
            Ok(marker) => Place::parse(&String::from_utf8_lossy(&marker)),
            Err(_) => None,
        };
        let Some(from) = from else {
            // By then the answer had begun.
            let begun = Some(if largest.is_some() { "result" } else { "keys" });
            return Ok(Reply::Error { refused: Refused::INVALID_ARGUMENT, bucket: None, begun });
        };
        let limit = largest.and_then(|largest| usize::try_from(largest).ok()).unwrap_or(usize::MAX);
        let slice = self.slice(&from, limit);
        if largest.is_none() {
            return Ok(Reply::Metadata("keys", Node::List("key", slice.keys)));
        }
        let truncated = Node::text(if slice.next.is_some() { "true" } else { "false" });
        Ok(Reply::Metadata("result", slice.page(truncated, |place| STANDARD.encode(place.marker()))))
    }

    /// The users at and behind `from`. Where more records follow, it says where; these may all be bucket lists,
    /// which are skipped: the page after it is then empty.
    fn slice(&self, from: &Place, largest: usize) -> Slice {
        let users = self.users.keys().map(|uid| (Place::of_user(uid), Some(uid)));
        let bucket_lists = self.users.iter().filter(|(_, user)| user.has_bucket_list);
        let bucket_lists = bucket_lists.map(|(uid, _)| (Place::of_user(&format!("{uid}.buckets")), None));
        let mut records: Vec<_> = users.chain(bucket_lists).filter(|(place, _)| place >= from).collect();
        records.sort();
        let mut keys = Vec::new();
        for (place, uid) in records {
            if keys.len() == largest {
                return Slice { keys, next: Some(place) };
            }
            keys.extend(uid.map(Node::text));
        }
        Slice { keys, next: None }
    }
}

impl Slice {
    fn page(self, truncated: Node, marker: impl Fn(&Place) -> String) -> Node {
        let count = Node::Number(i64::try_from(self.keys.len()).unwrap_or(i64::MAX));
        let mut page = vec![("keys", Node::List("key", self.keys)), ("truncated", truncated), ("count", count)];
        page.extend(self.next.map(|next| ("marker", Node::Text(marker(&next)))));
        Node::Map(page)
    }
}
