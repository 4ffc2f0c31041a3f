//! What an administrator sets up.

/// The server's configuration, as far as it changes what the API does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// What `systeminfo` says, e.g. `v2.13.0-1a2b3c4d`. Decides what robots can be given, which paths there are, and how
    /// groups are searched. A build of no release says `-` and is taken for 2.9, where the recordings are from.
    pub version: String,
    /// `oidc_auth`, `db_auth` …
    pub auth_mode: String,
    /// What the name of every robot begins with. Default: `robot$`.
    pub robot_prefix: String,
    /// Do projects have quotas? Without them, a limit in the body of a new project is ignored, and no row is made.
    pub quota_per_project: bool,
    /// The quota of projects for which none was asked for, or whose maker may not ask; -1: none.
    pub storage_per_project: i64,
    /// `everyone`, or `adminonly`.
    pub project_creation_restriction: String,
    /// Does `HEAD /projects` need the right to read the project, as releases to come will have it? Then robots are told
    /// 403 of what does not exist there, too.
    pub head_needs_right: bool,
    /// Is everything refused that writes?
    pub read_only: bool,
    /// Where people find it.
    pub external_url: String,
    /// Does it give out a session cookie, to robots too? From then on whoever sends it back needs a token to write.
    pub session_cookie: bool,
    /// Is what is used written down late (`quota_update_provider: redis`)? Then only
    /// [`flush_usage`](super::FakeHarbor::flush_usage) does it.
    pub late_usage: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: "v2.13.0".to_owned(),
            auth_mode: "oidc_auth".to_owned(),
            robot_prefix: "robot$".to_owned(),
            quota_per_project: true,
            storage_per_project: -1,
            project_creation_restriction: "everyone".to_owned(),
            head_needs_right: false,
            read_only: false,
            external_url: "https://harbor.example.org".to_owned(),
            session_cookie: false,
            late_usage: false,
        }
    }
}

impl Settings {
    /// Is it this release or a later one?
    pub(super) fn is_since(&self, major: u32, minor: u32) -> bool {
        let number = self.version.trim_start_matches('v');
        let mut parts = number.split(['.', '-']).map(|part| part.parse::<u32>().ok());
        let known = parts.next().flatten().zip(parts.next().flatten());
        known.unwrap_or((2, 9)) >= (major, minor)
    }

    /// Host and port, for `docker login`.
    pub(super) fn registry(&self) -> &str {
        let host = self.external_url.split_once("://").map_or(self.external_url.as_str(), |(_, host)| host);
        host.trim_end_matches('/')
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn releases_are_compared_by_number() {
        let is_since =
            |version: &str, minor| Settings { version: version.to_owned(), ..Settings::default() }.is_since(2, minor);
        assert!(is_since("v2.13.0-1a2b3c4d", 12));
        assert!(!is_since("v2.9.5", 12));
        assert!(!is_since("-", 10));
        assert!(is_since("-", 9));
    }
}
