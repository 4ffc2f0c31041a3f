//! The fake itself: how it is made, and the way of a request through it.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use jiff::Timestamp;
use secrecy::SecretString;
use waldur_sdk::rest::{HttpTransport, RequestMeta, TransportError, TransportErrorKind};

use super::{
    access::{Call, Permission},
    operation::Operation,
    refused::Refused,
    seed::SeedRobot,
    settings::Settings,
    state::{Clock, State, next},
    wire::{self, Asked, Envelope, Outcome},
};

/// A stateful Harbor behind [`HttpTransport`]. Clones share one state. See the [module](super) for what it models.
#[derive(Clone)]
pub struct FakeHarbor {
    shared: Arc<Shared>,
}

/// Sees every exchange.
type Observer = Arc<dyn Fn(&Request<Bytes>, &Response<Bytes>) + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    overlap: bool,
    observer: Option<Observer>,
    admin_password: SecretString,
    robot: (String, SecretString),
}

impl FakeHarbor {
    /// The login of the system's administrator.
    pub const ADMIN: &'static str = "admin";

    /// The project that every Harbor begins with. It is public, and in no list of this type.
    pub const LIBRARY: &'static str = "library";

    /// A fake with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// How it is to be.
    pub fn builder() -> FakeHarborBuilder {
        FakeHarborBuilder {
            settings: Settings::default(),
            clock: Arc::new(Timestamp::now),
            overlap: true,
            observer: None,
            admin_password: "Harbor12345".into(),
            robot: Some(SeedRobot::system("waldur", Permission::needed())),
        }
    }

    /// The administrator's password.
    pub fn admin_password(&self) -> &SecretString {
        &self.shared.admin_password
    }

    /// The login of the robot that the back end is to use; empty when [`FakeHarborBuilder::no_robot`] was asked for.
    pub fn robot_login(&self) -> &str {
        &self.shared.robot.0
    }

    /// Its secret.
    pub fn robot_secret(&self) -> &SecretString {
        &self.shared.robot.1
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a test while it held the lock left the state whole: nothing in here panics half-way.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only a change of a quota has two halves: it reads a row, and fails when somebody else has written it since.
    async fn answer(&self, asked: &Asked) -> Outcome {
        let change = {
            let mut state = self.state();
            state.note_cookies(asked);
            State::refuse_forgery(asked)?;
            let caller = state.caller(asked);
            let (operation, path) = Operation::of(asked)?;
            *state.requests.by_operation.entry(operation.name()).or_default() += 1;
            state.refuse_writing(asked, operation)?;
            let call = Call { asked, caller, path };
            if operation != Operation::UpdateQuota {
                return state.carry_out(operation, &call);
            }
            state.begin_quota(&call)?
        };
        if self.shared.overlap {
            yield_now().await;
        }
        self.state().commit_quota(change)
    }
}

impl Default for FakeHarbor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeHarbor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeHarbor").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpTransport for FakeHarbor {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let limit = request.extensions().get::<RequestMeta>().map_or(usize::MAX, |meta| meta.max_body);
        let line = format!("{} {}", request.method(), request.uri());
        let observed = self.shared.observer.as_ref().map(|observer| (observer, request.clone()));
        let asked = Asked::read(request);
        let outcome = self.answer(&asked).await;
        let mut state = self.state();
        if matches!(&outcome, Err(refused) if refused.is_unmodelled()) {
            state.requests.unmodelled.push(line);
        }
        let envelope = state.envelope(&asked);
        drop(state);
        let response = wire::print(outcome, &envelope);
        if let Some((observer, request)) = observed {
            observer(&request, &response);
        }
        if response.body().len() > limit {
            return Err(TransportError::new(TransportErrorKind::TooLarge));
        }
        Ok(response)
    }
}

/// Lets every other ready future of this task or executor run once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl State {
    fn note_cookies(&mut self, asked: &Asked) {
        if asked.has_cookie() {
            self.requests.with_cookie += 1;
        }
    }

    /// Whoever writes with a session needs a token; whoever has none does not.
    fn refuse_forgery(asked: &Asked) -> Result<(), Refused> {
        if !asked.has_session() || asked.reads_only() {
            return Ok(());
        }
        let what = if asked.csrf_token().is_some() { "invalid" } else { "not found in request" };
        Err(Refused::forbidden(format!("CSRF token {what}")))
    }

    /// Read-only mode can be left by the way it was entered.
    fn refuse_writing(&self, asked: &Asked, operation: Operation) -> Result<(), Refused> {
        if !self.settings.read_only || asked.reads_only() || operation == Operation::UpdateConfiguration {
            return Ok(());
        }
        Err(Refused::denied("The system is in read only mode. Any modification is prohibited."))
    }

    fn envelope(&mut self, asked: &Asked) -> Envelope {
        self.counters.request += 1;
        let number = self.counters.request;
        let minted = || format!("00000000-0000-4000-8000-{number:012x}");
        let session = self.settings.session_cookie && !asked.has_session();
        Envelope {
            request_id: asked.header("x-request-id").map_or_else(minted, str::to_owned),
            set_cookie: session.then(|| format!("sid={number:032x}; Path=/; HttpOnly")),
            csrf_token: asked.has_session().then(|| format!("token-{number}")),
            is_head: asked.method == Method::HEAD,
        }
    }

    fn carry_out(&mut self, operation: Operation, call: &Call<'_>) -> Outcome {
        match operation {
            Operation::Ping => Self::ping(call),
            Operation::Health => Ok(self.health()),
            Operation::SystemInfo => Ok(self.system_info(call)),
            Operation::Statistic => self.statistic(call),
            Operation::Search => self.search(call),
            Operation::HeadProject => self.head_project(call),
            Operation::ListProjects => self.list_projects(call),
            Operation::CreateProject => self.create_project(call),
            Operation::GetProject => self.get_project(call),
            Operation::UpdateProject => self.update_project(call),
            Operation::DeleteProject => self.delete_project(call),
            Operation::GetDeletable => self.get_deletable(call),
            Operation::GetSummary => self.get_summary(call),
            Operation::ListMembers => self.list_members(call),
            Operation::CreateMember => self.create_member(call),
            Operation::GetMember => self.get_member(call),
            Operation::UpdateMember => self.update_member(call),
            Operation::DeleteMember => self.delete_member(call),
            Operation::ListRepositories => self.list_repositories(call),
            Operation::GetRepository => self.get_repository(call),
            Operation::DeleteRepository => self.delete_repository(call),
            Operation::ListArtifacts => self.list_artifacts(call),
            Operation::GetArtifact => self.get_artifact(call),
            Operation::DeleteArtifact => self.delete_artifact(call),
            Operation::ListTags => self.list_tags(call),
            Operation::CreateTag => self.create_tag(call),
            Operation::DeleteTag => self.delete_tag(call),
            Operation::ListQuotas => self.list_quotas(call),
            Operation::GetQuota => self.get_quota(call),
            Operation::ListGroups => self.list_groups(call),
            Operation::CreateGroup => self.create_group(call),
            Operation::SearchGroups => self.search_groups(call),
            Operation::GetGroup => self.get_group(call),
            Operation::UpdateGroup => self.update_group(call),
            Operation::DeleteGroup => self.delete_group(call),
            Operation::ListRobots => self.list_robots(call),
            Operation::CreateRobot => self.create_robot(call),
            Operation::GetRobot => self.get_robot(call),
            Operation::UpdateRobot => self.update_robot(call),
            Operation::RefreshSecret => self.refresh_secret(call),
            Operation::DeleteRobot => self.delete_robot(call),
            Operation::ListUsers => self.list_users(call),
            Operation::CreateUser => self.create_user(call),
            Operation::CurrentUser => self.current_user(call),
            Operation::SearchUsers => self.search_users(call),
            Operation::GetConfiguration => self.get_configuration(call),
            Operation::UpdateConfiguration => self.update_configuration(call),
            Operation::InternalConfiguration => Self::internal_configuration(),
            Operation::Permissions => self.get_permissions(call),
            Operation::CreateLabel => self.create_label(call),
            Operation::PingOidc => self.ping_oidc(call),
            // A quota is changed in two halves, elsewhere.
            Operation::UpdateQuota | Operation::Unmodelled => Err(Refused::unmodelled()),
        }
    }
}

/// How a [`FakeHarbor`] is to be.
#[derive(Clone)]
#[must_use]
pub struct FakeHarborBuilder {
    settings: Settings,
    clock: Clock,
    overlap: bool,
    observer: Option<Observer>,
    admin_password: SecretString,
    robot: Option<SeedRobot>,
}

impl FakeHarborBuilder {
    /// Changes the server's settings.
    pub fn configure(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// The release; see [`Settings::version`].
    pub fn version(self, version: &str) -> Self {
        self.configure(|settings| version.clone_into(&mut settings.version))
    }

    /// The server's wall clock: for the expiry of robots, and for dates in answers. Default: the system's, like that of
    /// [`Environment`](waldur_sdk::rest::Environment); give both the same closure.
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Whether changes of one quota by concurrent futures overlap, as they do on the server: one wins, the others are
    /// told 500 and change nothing. Default: yes. A sequential caller sees no difference.
    pub fn quota_overlap(mut self, overlap: bool) -> Self {
        self.overlap = overlap;
        self
    }

    /// Shows every exchange to `observer` as it was here, beneath whatever a test puts around the fake: for checks against a
    /// contract.
    pub fn observer(mut self, observer: impl Fn(&Request<Bytes>, &Response<Bytes>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The administrator's password.
    pub fn admin_password(mut self, password: impl Into<SecretString>) -> Self {
        self.admin_password = password.into();
        self
    }

    /// The robot that the back end is to use. Default: one of the system, `waldur`, that may do all of
    /// [`Permission::needed`] and never expires.
    pub fn robot(mut self, robot: SeedRobot) -> Self {
        self.robot = Some(robot);
        self
    }

    /// No robot: the installation as it is before anybody did anything.
    pub fn no_robot(mut self) -> Self {
        self.robot = None;
        self
    }

    /// The fake: an administrator, the public project `library`, and the robot.
    pub fn build(self) -> FakeHarbor {
        let mut state = State::new(self.settings, self.clock);
        let admin = state.insert_user(FakeHarbor::ADMIN, self.admin_password.clone(), true);
        if let Some(user) = state.users.get_mut(&admin) {
            "system admin".clone_into(&mut user.realname);
            "admin user".clone_into(&mut user.comment);
        }
        // The second row of the table of users is taken, by nobody who could log in.
        next(&mut state.counters.user);
        let public = [("public".to_owned(), "true".to_owned())].into();
        let library = state.insert_project(FakeHarbor::LIBRARY, admin, public);
        state.insert_quota(library, -1);
        let robot = self.robot.map(|robot| state.add_robot(robot));
        let robot = robot.unwrap_or_else(|| (String::new(), SecretString::from("")));
        let Self { overlap, observer, admin_password, .. } = self;
        FakeHarbor { shared: Arc::new(Shared { state: Mutex::new(state), overlap, observer, admin_password, robot }) }
    }
}

impl fmt::Debug for FakeHarborBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeHarborBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
