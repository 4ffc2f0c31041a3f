//! `/admin/user`: create, read, modify, delete (radosgw-api.md §2; order of the checks measured on 16.2.15).

use super::{
    keys::KeyRequest,
    records::{User, UserId},
    refused::Refused,
    state::{Begun, Change, State, Write},
    wire::{Arguments, Reply, UNINITIALISED},
};

/// The only placement of the recordings' zone.
const PLACEMENT: &str = "default-placement";
pub(super) const STORAGE_CLASS: &str = "STANDARD";

impl State {
    pub(super) fn create_user(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let placement = placement(arguments)?;
        let mut id = UserId::parse(arguments.text("uid"));
        if id.is_nobody() {
            return Err(Refused::ACCESS_DENIED);
        }
        if !arguments.text("tenant").is_empty() {
            arguments.text("tenant").clone_into(&mut id.tenant);
        }
        let email = arguments.text("email").to_ascii_lowercase();
        let key = KeyRequest::of_user(arguments, true);
        self.refuse_taken(&id, &email, key.access_key)?;
        let display_name = arguments.text("display-name");
        if display_name.is_empty() {
            return Err(Refused::INVALID_ARGUMENT);
        }
        if !id.has_valid_tenant() {
            return Err(Refused::INVALID_TENANT_NAME);
        }
        if id.to_string().len() > self.config.max_name {
            return Err(Refused::UNKNOWN_ERROR);
        }
        let mut user = User::new(id, display_name);
        user.by_request = true;
        user.caps = arguments.text("user-caps").parse()?;
        user.email = email;
        user.suspended = arguments.flag("suspended", false);
        apply_common(&mut user, arguments, placement);
        if key.is_wanted() {
            self.apply_key(&mut user, &key)?;
        }
        let reply = Reply::Tree("user_info", user.node(None));
        Ok(Begun::Write(Write { reply, change: Change::Create(Box::new(user)) }))
    }

    /// First the uid, then the e-mail, then the access key, each only when it is sent.
    pub(super) fn refuse_taken(&self, id: &UserId, email: &str, access_key: &str) -> Result<(), Refused> {
        if self.users.contains_key(&id.to_string()) {
            Err(Refused::USER_ALREADY_EXISTS)
        } else if self.email_index.contains_key(email) {
            Err(Refused::EMAIL_EXISTS)
        } else if self.owner_of_key(access_key).is_some() {
            Err(Refused::KEY_EXISTS)
        } else {
            Ok(())
        }
    }

    pub(super) fn get_user(&mut self, arguments: &Arguments) -> Result<Reply, Refused> {
        let (uid, access_key) = (arguments.text("uid"), arguments.text("access-key"));
        if uid.is_empty() && access_key.is_empty() {
            return Err(Refused::INVALID_ARGUMENT);
        }
        let user = self.find(uid, access_key)?;
        if !arguments.flag("stats", false) {
            return Ok(Reply::Tree("user_info", user.node(None)));
        }
        let uid = user.id.to_string();
        if arguments.flag("sync", false) {
            self.synchronise(&uid);
        }
        let user = self.users.get(&uid).ok_or(Refused::NO_SUCH_USER)?;
        Ok(Reply::Tree("user_info", user.node(Some(user.statistics))))
    }

    pub(super) fn modify_user(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let placement = placement(arguments)?;
        let id = UserId::parse(arguments.text("uid"));
        if id.is_nobody() {
            return Err(Refused::ACCESS_DENIED);
        }
        let email = arguments.get("email").map(str::to_ascii_lowercase);
        let key = KeyRequest::of_user(arguments, false);
        let holder = email.as_deref().and_then(|email| self.email_index.get(email)).map(String::as_str);
        let Some(user) = self.users.get(&id.to_string()) else {
            // Found by e-mail or key, and it is not the one that was named.
            let found = holder.is_some() || self.owner_of_key(key.access_key).is_some();
            return Err(if found { Refused::INVALID_ARGUMENT } else { Refused::NO_SUCH_USER });
        };
        if holder.is_some_and(|holder| holder != user.id.to_string()) {
            return Err(Refused::EMAIL_EXISTS);
        }
        let read = user.clone();
        let mut user = read.clone();
        if let Some(name) = arguments.get("display-name").filter(|name| !name.is_empty()) {
            name.clone_into(&mut user.display_name);
        }
        user.email = email.unwrap_or(user.email);
        if arguments.has("suspended") {
            user.suspended = arguments.flag("suspended", false);
        }
        apply_common(&mut user, arguments, placement);
        if key.is_wanted() {
            self.apply_key(&mut user, &key)?;
        }
        let reply = Reply::Tree("user_info", user.node(None));
        Ok(Self::modification(read, user, reply))
    }

    pub(super) fn delete_user(&mut self, arguments: &Arguments) -> Result<Begun, Refused> {
        let user = self.find(arguments.text("uid"), "")?;
        let purge = arguments.flag("purge-data", false);
        let uid = user.id.to_string();
        if !purge && self.buckets.values().any(|bucket| bucket.belongs_to(&uid)) {
            return Err(Refused::BUCKET_ALREADY_EXISTS);
        }
        // Names that were too long to be indexed cannot be removed from the index either.
        let mut names = user.keys.keys().chain([&user.email]);
        let bucket_list = uid.len() + ".buckets".len();
        if names.any(|name| name.len() > self.config.max_name) || bucket_list > self.config.max_name {
            return Err(Refused::UNKNOWN_ERROR);
        }
        let change = Change::Delete { read: Box::new(user.clone()), purge };
        Ok(Begun::Write(Write { reply: Reply::Empty, change }))
    }
}

/// A placement that was sent: pool and storage class.
type Placement<'a> = Option<(&'a str, &'a str)>;

/// # Errors
/// `InvalidArgument` for an unknown placement, and for `system`, which only a system user may send.
fn placement(arguments: &Arguments) -> Result<Placement<'_>, Refused> {
    if arguments.flag("system", false) {
        return Err(Refused::INVALID_ARGUMENT);
    }
    let Some(sent) = arguments.get("default-placement") else { return Ok(None) };
    let (pool, class) = sent.split_once('/').unwrap_or((sent, ""));
    let known = sent.is_empty() || (pool == PLACEMENT && matches!(class, "" | STORAGE_CLASS));
    if known { Ok(Some((pool, class))) } else { Err(Refused::INVALID_ARGUMENT) }
}

/// What create and modify treat alike.
fn apply_common(user: &mut User, arguments: &Arguments, placement: Placement<'_>) {
    if let Some(number) = arguments.number("max-buckets", UNINITIALISED) {
        // The gateway keeps 32 bits, and of a negative number only the sign.
        #[allow(clippy::cast_possible_truncation)]
        let number = i64::from(number as i32);
        user.max_buckets = number.max(-1);
    }
    if let Some(mask) = arguments.get("op-mask").filter(|mask| !mask.is_empty()) {
        user.op_mask = op_mask(mask);
    }
    if let Some((pool, class)) = placement {
        if !pool.is_empty() {
            pool.clone_into(&mut user.default_placement);
        }
        class.clone_into(&mut user.default_storage_class);
    }
}

fn op_mask(sent: &str) -> String {
    let asked: Vec<_> = sent.split(',').map(str::trim).collect();
    let all = asked.contains(&"*");
    let known = ["read", "write", "delete"].into_iter().filter(|word| all || asked.contains(word));
    match known.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "<none>".to_owned(),
        mask => mask,
    }
}

impl KeyRequest<'_> {
    /// On create and modify a key is only made when something asks for one.
    fn is_wanted(&self) -> bool {
        self.generate || !self.access_key.is_empty() || !self.secret_key.is_empty()
    }
}
