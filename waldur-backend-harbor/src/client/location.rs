//! Where a new object is, as `Location` tells it (harbor.md §2).

use http::{HeaderMap, header};

/// The number at the end of the path, whatever host, prefix and query a proxy made of it. `None` where there is none:
/// then the object is to be looked up.
pub(super) fn number(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(header::LOCATION)?.to_str().ok()?;
    let path = text.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').find(|segment| !segment.is_empty())?.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;

    use super::*;

    fn read(location: &str) -> Option<i64> {
        number(&[(header::LOCATION, HeaderValue::from_str(location).unwrap())].into_iter().collect())
    }

    #[test]
    fn h09_a_location_is_read_whatever_a_proxy_made_of_it() {
        assert_eq!(read("https://proxy/harbor/api/v2.0/usergroups/5/"), Some(5));
        assert_eq!(read("/api/v2.0/usergroups/5"), Some(5));
        assert_eq!(read("/api/v2.0/projects/my-proj/members/7?x=/9"), Some(7));
        assert_eq!(read("http://h:8080/api/v2.0/projects/12#top"), Some(12));
        for nothing in ["", "/", "/api/v2.0/projects/my-proj", "/projects/-1", "/projects/0", "https://h/?5"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
        assert_eq!(number(&HeaderMap::new()), None);
    }
}
