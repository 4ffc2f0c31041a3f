//! `?key`, `?caps` and `?subuser` of `/admin/user` (radosgw-api.md §2; what it leaves open measured on 16.2.15).

use super::{
    records::{Caps, Key, User, UserId},
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

/// The subuser of a call. In `subuser=other:swift` the user is `other` of the same tenant, whatever `uid` says
/// (measured).
fn subuser(arguments: &Arguments) -> Option<&str> {
    let subuser = arguments.text("subuser");
    let (_, subuser) = subuser.split_once(':').unwrap_or(("", subuser));
    Some(subuser).filter(|subuser| !subuser.is_empty())
}

fn uid(arguments: &Arguments) -> String {
    let uid = arguments.text("uid");
    match arguments.text("subuser").split_once(':') {
        Some((other, _)) => UserId { id: other.to_owned(), ..UserId::parse(uid) }.to_string(),
        None => uid.to_owned(),
    }
}

impl<'a> KeyRequest<'a> {
    /// Of a create or a modify: always the user's own.
    pub(super) fn of_user(arguments: &'a Arguments, generate: bool) -> Self {
        Self::read(arguments, generate, None)
    }

    /// Of a `?key` or `?subuser` call.
    fn of_key(arguments: &'a Arguments, generate: bool) -> Self {
        Self::read(arguments, generate, subuser(arguments))
    }

    /// The access key, unless it would be taken for the name of a swift key.
    fn s3_access_key(&self) -> &'a str {
        if self.kind == KeyKind::Swift { "" } else { self.access_key }
    }

    fn read(arguments: &'a Arguments, generate: bool, subuser: Option<&'a str>) -> Self {
        Self {
            kind: match arguments.text("key-type") {
                "" if subuser.is_some() => KeyKind::Swift,
                "" | "s3" => KeyKind::S3,
                "swift" => KeyKind::Swift,
                _ => KeyKind::Unknown,
            },
            access_key: arguments.text("access-key"),
            secret_key: arguments.text("secret-key"),
            generate: arguments.flag("generate-key", generate),
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
        let owner = self.owner_of_key(key.s3_access_key());
        if key.kind == KeyKind::S3 && owner.is_some_and(|owner| owner.id != user.id) {
            return Err(Refused::KEY_EXISTS);
        }
        if !key.generate && key.access_key.is_empty() && key.kind == KeyKind::S3 {
            return Err(Refused::INVALID_ACCESS_KEY_ID);
        }
        if !key.generate && key.secret_key.is_empty() {
            return Err(Refused::INVALID_SECRET_KEY);
        }
        match (key.kind, key.subuser) {
            (KeyKind::Unknown, _) => Ok(()),
            (KeyKind::Swift, None) => Err(Refused::INVALID_ACCESS_KEY_ID),
            (KeyKind::Swift, Some(subuser)) => {
                let secret =
                    if key.secret_key.is_empty() { self.mint.secret() } else { key.secret_key.to_owned().into() };
                user.swift_keys.insert(subuser.to_owned(), secret);
                Ok(())
            }
            (KeyKind::S3, subuser) => {
                let (access_key, secret) = self.mint.pair(key.access_key, key.secret_key);
                user.keys.insert(access_key, Key { secret, subuser: subuser.map(str::to_owned) });
                Ok(())
            }
        }
    }

    /// Of a uid that nobody has, the key's holder is taken instead: `uid=gone&access-key=K` changes whoever holds
    /// `K` (measured).
    pub(super) fn create_key(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let key = KeyRequest::of_key(arguments, true);
        let read = self.find(&uid(arguments), key.s3_access_key())?.clone();
        let mut user = read.clone();
        self.apply_key(&mut user, &key)?;
        if key.kind == KeyKind::Unknown {
            return Ok(Reply::Empty.into());
        }
        let node = if key.kind == KeyKind::Swift { user.swift_keys_node() } else { user.keys_node() };
        Ok(Self::modification(read, user, Reply::Tree("keys", node)))
    }

    /// As [`create_key`](Self::create_key): without a uid, or with one that nobody has, whoever holds the key loses it.
    pub(super) fn delete_key(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let key = KeyRequest::of_key(arguments, false);
        let read = self.find(&uid(arguments), key.s3_access_key())?.clone();
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

    /// The user and the subuser that a `?subuser` call names.
    fn find_for_subuser<'a>(&self, arguments: &'a Arguments) -> Result<(User, &'a str), Refused> {
        let user = self.find(&uid(arguments), "")?;
        subuser(arguments).map(|subuser| (user.clone(), subuser)).ok_or(Refused::INVALID_ARGUMENT)
    }

    /// Of one that is there, the permission stays; it gets a new key all the same.
    pub(super) fn create_subuser(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let (read, name) = self.find_for_subuser(arguments)?;
        let mut user = read.clone();
        let sent = permission(arguments)?;
        user.subusers.entry(name.to_owned()).or_insert(sent.unwrap_or("<none>"));
        // `generate-key` is not looked at here, and only `s3` makes another than a swift key.
        let key = KeyRequest { generate: true, ..KeyRequest::of_key(arguments, true) };
        let kind = if key.kind == KeyKind::S3 { KeyKind::S3 } else { KeyKind::Swift };
        self.apply_key(&mut user, &KeyRequest { kind, ..key })?;
        let reply = Reply::Tree("subusers", user.subusers_node());
        Ok(Self::modification(read, user, reply))
    }

    /// A permission that is not sent is taken away (measured).
    pub(super) fn modify_subuser(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let (read, name) = self.find_for_subuser(arguments)?;
        let mut user = read.clone();
        let sent = permission(arguments)?;
        let held = user.subusers.get_mut(name).ok_or(Refused::NO_SUCH_SUBUSER)?;
        *held = sent.unwrap_or("<none>");
        if ["access-key", "secret-key", "generate-key", "generate-secret"].iter().any(|name| arguments.has(name)) {
            return Err(Refused::NOT_MODELLED);
        }
        let reply = Reply::Tree("subusers", user.subusers_node());
        Ok(Self::modification(read, user, reply))
    }

    /// Its keys go with it, whatever `purge-keys` says (measured).
    pub(super) fn delete_subuser(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let (read, name) = self.find_for_subuser(arguments)?;
        let mut user = read.clone();
        user.subusers.remove(name).ok_or(Refused::NO_SUCH_SUBUSER)?;
        user.swift_keys.remove(name);
        user.keys.retain(|_, key| key.subuser.as_deref() != Some(name));
        Ok(Self::modification(read, user, Reply::Empty))
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
