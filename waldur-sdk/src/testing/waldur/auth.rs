//! Whose request it is.

use http::{HeaderMap, header};

use super::{answer::Answer, state::State, words::Generation};
use crate::types::UserUuid;

impl State {
    /// The user behind an `Authorization` header (recorded: 002, 006 to 012, 352). `Bearer` means nothing to generation
    /// 2024 (008).
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<UserUuid, Answer> {
        let anonymous = || Answer::unauthenticated("Authentication credentials were not provided.");
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut words = value.split_whitespace();
        let scheme = words.next().map(str::to_ascii_lowercase).unwrap_or_default();
        let (token, rest) = (words.next(), words.next());
        match (scheme.as_str(), &self.issuer) {
            ("token", _) => match (token, rest) {
                (None, _) => Err(Answer::unauthenticated("Invalid token. No credentials provided.")),
                (_, Some(_)) => Err(Answer::unauthenticated("Invalid token. Token string should not contain spaces.")),
                (Some(token), None) => self.user_of_token(token),
            },
            ("bearer", Some(issuer)) if self.generation > Generation::V2024 => {
                let user = token.and_then(|token| issuer.user_of(token, self.now()));
                user.ok_or_else(|| Answer::unauthenticated("Invalid token."))
            }
            _ => Err(anonymous()),
        }
    }

    fn user_of_token(&self, token: &str) -> Result<UserUuid, Answer> {
        match self.users.iter().find(|user| user.token == token) {
            None => Err(Answer::unauthenticated("Invalid token.")),
            Some(user) if !user.is_active => Err(Answer::unauthenticated("User inactive or deleted.")),
            Some(user) => Ok(user.uuid),
        }
    }
}
