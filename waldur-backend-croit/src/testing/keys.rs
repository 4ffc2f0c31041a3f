//! `?key`, `?caps` and `?subuser` of `/admin/user` (radosgw-api.md §2; what it leaves open measured on 16.2.15).

use super::{
    records::{Caps, Key, User},
    refused::Refused,
    state::{Begun, State},
    wire::{Arguments, Reply},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    S3,
    Swift,
    /// Any other word, also `S3`: accepted, and no key is made.
    Unknown,
}

/// The key arguments of a request.
#[derive(Debug)]
pub(super) struct KeyRequest<'a> {
    pub(super) kind: KeyKind,
    pub(super) access_key: &'a str,
    pub(super) secret_key: &'a str,
    /// May halves that were not sent be minted?
    pub(super) generate: bool,
    subuser: Option<&'a str>,
}

impl<'a> KeyRequest<'a> {
    pub(super) fn read(arguments: &'a Arguments, generate: bool) -> Self {
        let subuser = arguments.get("subuser").filter(|subuser| !subuser.is_empty());
        Self {
            kind: match arguments.text("key-type") {
                "" if subuser.is_some() => KeyKind::Swift,
                "" | "s3" => KeyKind::S3,
                "swift" => KeyKind::Swift,
                _ => KeyKind::Unknown,
            },
            access_key: arguments.text("access-key"),
            secret_key: arguments.text("secret-key"),
            generate: arguments.flag("generate-key").unwrap_or(generate),
            subuser,
        }
    }
}

impl State {
    /// Adds the key that is asked for, or replaces the secret of one that is there.
    ///
    /// # Errors
    /// `InvalidAccessKeyId` and `InvalidSecretKey` for a half that is missing and may not be minted; `KeyExists`.
    pub(super) fn apply_key(&mut self, user: &mut User, key: &KeyRequest<'_>) -> Result<(), Refused> {
        match (key.kind, key.subuser) {
            (KeyKind::Unknown, _) => Ok(()),
            (KeyKind::Swift, None) => Err(Refused::INVALID_ACCESS_KEY_ID),
            (KeyKind::Swift, Some(_)) if key.secret_key.is_empty() && !key.generate => Err(Refused::INVALID_SECRET_KEY),
            (KeyKind::Swift, Some(subuser)) => {
                let secret =
                    if key.secret_key.is_empty() { self.mint.secret() } else { key.secret_key.to_owned().into() };
                user.swift_keys.insert(subuser.to_owned(), secret);
                Ok(())
            }
            (KeyKind::S3, _) if !key.generate && key.access_key.is_empty() => Err(Refused::INVALID_ACCESS_KEY_ID),
            (KeyKind::S3, _) if !key.generate && key.secret_key.is_empty() => Err(Refused::INVALID_SECRET_KEY),
            (KeyKind::S3, subuser) => {
                if self.owner_of_key(key.access_key).is_some_and(|owner| owner.id != user.id) {
                    return Err(Refused::KEY_EXISTS);
                }
                let (access_key, secret) = self.mint.pair(key.access_key, key.secret_key);
                user.keys.insert(access_key, Key { secret, subuser: subuser.map(str::to_owned) });
                Ok(())
            }
        }
    }

    /// Of a uid that nobody has, the key's holder is taken instead: `uid=gone&access-key=K` changes whoever holds
    /// `K` (measured).
    pub(super) fn create_key(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let key = KeyRequest::read(arguments, true);
        let read = self.find(arguments.text("uid"), key.access_key)?.clone();
        if key.kind == KeyKind::Unknown {
            return Ok(Reply::Empty.into());
        }
        let mut user = read.clone();
        self.apply_key(&mut user, &key)?;
        let node = if key.kind == KeyKind::Swift { user.swift_keys_node() } else { user.keys_node() };
        Ok(Self::modification(read, user, Reply::Tree("keys", node)))
    }

    /// As [`create_key`](Self::create_key): without a uid, or with one that nobody has, whoever holds the key loses it.
    pub(super) fn delete_key(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let key = KeyRequest::read(arguments, false);
        let read = self.find(arguments.text("uid"), key.access_key)?.clone();
        let mut user = read.clone();
        let gone = match (key.kind, key.subuser) {
            (KeyKind::Swift, subuser) => subuser.is_some_and(|subuser| user.swift_keys.remove(subuser).is_some()),
            (KeyKind::S3 | KeyKind::Unknown, _) => user.keys.remove(key.access_key).is_some(),
        };
        if gone { Ok(Self::modification(read, user, Reply::Empty)) } else { Err(Refused::INVALID_ACCESS_KEY_ID) }
    }

    pub(super) fn add_caps(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        self.change_caps(arguments, Caps::add)
    }

    pub(super) fn remove_caps(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        self.change_caps(arguments, Caps::remove)
    }

    fn change_caps(&self, arguments: &Arguments, change: fn(&mut Caps, &Caps)) -> Result<Begun, Refused> {
        let read = self.find(arguments.text("uid"), "")?.clone();
        let sent = arguments.text("user-caps");
        if sent.is_empty() {
            return Err(Refused::INVALID_CAPABILITY);
        }
        let mut user = read.clone();
        change(&mut user.caps, &sent.parse()?);
        let reply = Reply::Tree("caps", user.caps.node());
        Ok(Self::modification(read, user, reply))
    }

    pub(super) fn create_subuser(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let read = self.find(arguments.text("uid"), "")?.clone();
        let name = subuser(arguments, &read)?;
        let mut user = read.clone();
        let sent = permission(arguments)?;
        let held = user.subusers.entry(name.to_owned()).or_insert("<none>");
        *held = sent.unwrap_or(held);
        let mut key = KeyRequest::read(arguments, true);
        key.subuser = Some(name);
        self.apply_key(&mut user, &key)?;
        let reply = Reply::Tree("subusers", user.subusers_node());
        Ok(Self::modification(read, user, reply))
    }

    pub(super) fn modify_subuser(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let read = self.find(arguments.text("uid"), "")?.clone();
        let name = subuser(arguments, &read)?;
        let mut user = read.clone();
        let sent = permission(arguments)?;
        let held = user.subusers.get_mut(name).ok_or(Refused::NO_SUCH_SUBUSER)?;
        *held = sent.unwrap_or(held);
        let reply = Reply::Tree("subusers", user.subusers_node());
        Ok(Self::modification(read, user, reply))
    }

    /// Its keys go with it, whatever `purge-keys` says (measured).
    pub(super) fn delete_subuser(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let read = self.find(arguments.text("uid"), "")?.clone();
        let name = subuser(arguments, &read)?;
        let mut user = read.clone();
        user.subusers.remove(name).ok_or(Refused::NO_SUCH_SUBUSER)?;
        user.swift_keys.remove(name);
        user.keys.retain(|_, key| key.subuser.as_deref() != Some(name));
        Ok(Self::modification(read, user, Reply::Empty))
    }
}

/// `swift` or `uid:swift`; of another user it is no subuser of this one.
fn subuser<'a>(arguments: &'a Arguments, user: &User) -> Result<&'a str, Refused> {
    match arguments.text("subuser").split_once(':') {
        Some((uid, _)) if uid != user.id.to_string() => Err(Refused::NO_SUCH_USER),
        Some((_, "")) => Err(Refused::INVALID_ARGUMENT),
        Some((_, name)) => Ok(name),
        None if arguments.text("subuser").is_empty() => Err(Refused::INVALID_ARGUMENT),
        None => Ok(arguments.text("subuser")),
    }
}

fn permission(arguments: &Arguments) -> Result<Option<&'static str>, Refused> {
    Ok(Some(match arguments.text("access") {
        "" => return Ok(None),
        "read" => "read",
        "write" => "write",
        "readwrite" => "read-write",
        "full" => "full-control",
        _ => return Err(Refused::INVALID_ARGUMENT),
    }))
}
