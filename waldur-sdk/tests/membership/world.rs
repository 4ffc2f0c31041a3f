//! A site: a Waldur with an offering, a back end behind it, and agents that keep members true, under one virtual clock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{OpContext, Requirement, ResourceBackend, UsernameBackend, UsernameOutcome, UsernameRequest},
    client::{AgentMode, WaldurClient},
    process::{MembershipPolicy, MembershipReport, MembershipSync, ResourceSync, ServedOffering, SyncOutcome},
    rest::{Environment, Http, HttpTransport, RetryPolicy, TracingObserver},
    settings::Components,
    testing::{
        MemoryBackend, MemoryObject, MemoryService,
        waldur::{FakeWaldur, Generation, OfferingSeed},
    },
    types::{
        OfferingUserUuid, OfferingUuid, Personal, ProjectUuid, ResourceUuid, ServiceProviderUuid, Timestamp, UserUuid,
    },
};

use crate::orders::{self, World, limited};

/// Where all clocks begin.
const BEGIN: i64 = 1_767_225_600;

/// A site.
#[derive(Clone)]
pub struct Site {
    pub world: World,
    begin: Instant,
}

impl Site {
    pub fn new(generation: Generation) -> Self {
        Self::selling(generation, |offering| offering)
    }

    /// With details of the offering.
    pub fn selling(generation: Generation, detail: impl FnOnce(OfferingSeed) -> OfferingSeed) -> Self {
        let begin = Instant::now();
        let mut world = World::selling(generation, detail);
        world.waldur = world.waldur.with_wall(move || wall(begin));
        Self { world, begin }
    }

    pub fn waldur(&self) -> &FakeWaldur {
        &self.world.waldur
    }

    pub fn service(&self) -> &MemoryService {
        &self.world.service
    }

    pub fn offering(&self) -> OfferingUuid {
        self.world.offering
    }

    pub fn project(&self) -> ProjectUuid {
        self.waldur().default_project()
    }

    /// Sleep and clocks of tokio, no jitter.
    pub fn environment(&self) -> Environment {
        let begin = self.begin;
        orders::environment().with_wall(move || wall(begin))
    }

    /// A resource in use and its object, with these members. Everything else is alike on both sides.
    pub fn resource(&self, id: &str, members: &[&str]) -> ResourceUuid {
        self.resource_in(self.project(), id, members)
    }

    /// As [`Self::resource`], in a project.
    pub fn resource_in(&self, project: ProjectUuid, id: &str, members: &[&str]) -> ResourceUuid {
        let metadata = serde_json::json!({ "object_id": id });
        let seed = self.waldur().resource(self.offering()).name(id).slug(id).backend_id(id).project(project);
        let resource = seed.limits([("cpu", 4), ("mem", 8)]).backend_metadata(metadata).create();
        let mut object = self.world.object_of(resource, 4, 8);
        object.members = members.iter().map(|name| (*name).to_owned()).collect();
        self.service().put(id, object);
        resource
    }

    /// Somebody with a role in the default project, and an account of that name at the offering.
    pub fn member(&self, name: &str) -> UserUuid {
        self.member_of(self.project(), name)
    }

    /// As [`Self::member`], in a project.
    pub fn member_of(&self, project: ProjectUuid, name: &str) -> UserUuid {
        let user = self.waldur().user(&format!("{name}@idp")).project_role(project, "PROJECT.MEMBER").create();
        self.account(user, name);
        user
    }

    /// An account at the offering.
    pub fn account(&self, user: UserUuid, name: &str) -> OfferingUserUuid {
        self.waldur().offering_user(self.offering(), user).username(name).create()
    }

    /// Who has access to an object.
    #[track_caller]
    pub fn members(&self, id: &str) -> Vec<String> {
        self.object(id).members.into_iter().collect()
    }

    /// Who has access to an object, in one line.
    #[track_caller]
    pub fn access(&self, id: &str) -> String {
        self.members(id).join(" ")
    }

    #[track_caller]
    pub fn object(&self, id: &str) -> MemoryObject {
        self.world.object(id)
    }

    /// Changes an object behind everybody's back.
    pub fn edit(&self, id: &str, change: impl FnOnce(&mut MemoryObject)) {
        let mut object = self.object(id);
        change(&mut object);
        self.service().put(id, object);
    }

    /// The operations of all writes that Waldur saw since the last look, and forgets them.
    pub fn writes(&self) -> Vec<&'static str> {
        let writes = self.world.writes();
        self.waldur().forget_requests();
        writes
    }

    /// An agent with everything at its default, over a back end with members.
    pub fn agent(&self) -> Agent {
        Agent {
            site: self.clone(),
            waldur: Arc::new(self.waldur().clone()),
            service: Arc::new(self.service().clone()),
            memory: Box::new(MemoryBackend::with_members),
            around: Box::new(|backend| backend),
            usernames: None,
            policy: MembershipPolicy::default(),
            components: limited(["cpu", "mem"]),
            provider: None,
            retry: RetryPolicy::default(),
            random: 0,
        }
    }

    /// One pass of a fresh agent with everything at its default.
    pub async fn pass(&self) -> MembershipReport {
        self.agent().run().await
    }
}

fn wall(begin: Instant) -> Timestamp {
    let elapsed = i64::try_from(begin.elapsed().as_millis()).unwrap();
    Timestamp::from_millisecond(BEGIN * 1000 + elapsed).unwrap()
}

/// Lets virtual time go by.
pub async fn pass_time(duration: Duration) {
    tokio::time::sleep(duration).await;
}

pub const MINUTE: Duration = Duration::from_secs(60);

type Backend = Arc<dyn ResourceBackend>;

/// An agent under construction.
pub struct Agent {
    site: Site,
    waldur: Arc<dyn HttpTransport>,
    service: Arc<dyn HttpTransport>,
    memory: Box<dyn FnOnce(MemoryBackend) -> MemoryBackend>,
    around: Box<dyn FnOnce(Backend) -> Backend>,
    usernames: Option<Arc<dyn UsernameBackend>>,
    policy: MembershipPolicy,
    components: Components,
    provider: Option<ServiceProviderUuid>,
    retry: RetryPolicy,
    random: u64,
}

impl Agent {
    /// Reaches Waldur through layers.
    pub fn waldur(mut self, transport: impl HttpTransport) -> Self {
        self.waldur = Arc::new(transport);
        self
    }

    /// Reaches the service through layers.
    pub fn service(mut self, transport: impl HttpTransport) -> Self {
        self.service = Arc::new(transport);
        self
    }

    /// Details of the memory back end, in place of members alone.
    pub fn memory(mut self, detail: impl FnOnce(MemoryBackend) -> MemoryBackend + 'static) -> Self {
        self.memory = Box::new(detail);
        self
    }

    /// Something around the back end.
    pub fn around<B: ResourceBackend>(mut self, wrap: impl FnOnce(Backend) -> B + 'static) -> Self {
        self.around = Box::new(move |backend| Arc::new(wrap(backend)));
        self
    }

    /// Gives names.
    pub fn usernames(self, usernames: &Names) -> Self {
        self.named_by(Arc::new(usernames.clone()))
    }

    /// As [`Self::usernames`], with any back end.
    pub fn named_by(mut self, usernames: Arc<dyn UsernameBackend>) -> Self {
        self.usernames = Some(usernames);
        self
    }

    pub fn policy(mut self, change: impl FnOnce(&mut MembershipPolicy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub fn components(mut self, components: Components) -> Self {
        self.components = components;
        self
    }

    pub fn provider(mut self, provider: ServiceProviderUuid) -> Self {
        self.provider = Some(provider);
        self
    }

    /// What every random number is.
    pub fn random(mut self, random: u64) -> Self {
        self.random = random;
        self
    }

    /// Sends every request once.
    pub fn sending_once(mut self) -> Self {
        self.retry = RetryPolicy::none();
        self
    }

    pub fn build(self) -> MembershipSync {
        let random = self.random;
        let environment = self.site.environment().with_random(move || random);
        let http = Http::new(self.waldur)
            .with_environment(environment.clone())
            .with_retry(self.retry.clone())
            .with_observer(TracingObserver);
        let waldur = client(&self.site, http);
        let http =
            Http::new(self.service).with_environment(environment).with_retry(self.retry).with_observer(TracingObserver);
        let memory = MemoryBackend::through(http).unwrap();
        let backend = (self.around)(Arc::new((self.memory)(memory)));
        let mut offering = ServedOffering::new(waldur, backend, self.site.offering()).with_components(self.components);
        if let Some(provider) = self.provider {
            offering = offering.with_service_provider(provider);
        }
        let sync = offering.members().with_policy(self.policy);
        match self.usernames {
            Some(usernames) => sync.with_usernames(usernames),
            None => sync,
        }
    }

    /// One pass.
    pub async fn run(self) -> MembershipReport {
        let site = self.site.clone();
        let report = run(&self.build()).await;
        site.world.assert_sound();
        report
    }
}

fn client(site: &Site, http: Http) -> WaldurClient {
    let builder = WaldurClient::builder(site.waldur().base_url()).http(http).token(site.waldur().token());
    builder.agent_mode(AgentMode::MembershipSync).build().unwrap()
}

pub fn cx() -> OpContext {
    OpContext::new("membership")
}

/// One pass.
pub async fn run(agent: &MembershipSync) -> MembershipReport {
    agent.run_once(&cx()).await.expect("the resources can be listed")
}

/// The only resource of a report.
#[track_caller]
pub fn only(report: &MembershipReport) -> &ResourceSync {
    assert_eq!(report.resources.len(), 1, "{report:#?}");
    &report.resources[0]
}

/// Names in one line.
pub fn line(names: &[Personal]) -> String {
    names.iter().map(Personal::as_str).collect::<Vec<_>>().join(" ")
}

#[track_caller]
pub fn assert_synced(report: &MembershipReport) {
    let strays: Vec<_> = report.resources.iter().filter(|one| !matches!(one.outcome, SyncOutcome::Synced)).collect();
    assert!(strays.is_empty(), "{strays:#?}");
}

/// The steps of warnings about the only resource.
#[track_caller]
pub fn warned(report: &MembershipReport) -> Vec<&'static str> {
    only(report).warnings.iter().map(|warning| warning.step).collect()
}

/// A username back end that answers from a table, by the person's federated identity, and remembers what it was told.
#[derive(Clone, Default)]
pub struct Names(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    answers: BTreeMap<String, Answer>,
    asked: Vec<String>,
    profiles: Vec<Vec<String>>,
    deactivated: Vec<String>,
    attributes: BTreeMap<String, serde_json::Value>,
    refuses_deactivation: bool,
}

/// What to answer.
#[derive(Clone)]
pub enum Answer {
    Name(&'static str),
    Nothing,
    Link(&'static str, Option<&'static str>),
    Validate(&'static str),
    Fails(ErrorKind),
    Panics,
    /// The first of these that nobody has.
    FirstFree(&'static [&'static str]),
}

impl Names {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn answer(&self, identity: &str, answer: Answer) -> &Self {
        self.0.lock().unwrap().answers.insert(identity.to_owned(), answer);
        self
    }

    pub fn refuse_deactivation(&self, refuses: bool) {
        self.0.lock().unwrap().refuses_deactivation = refuses;
    }

    /// Whose names were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    /// The names of the last profiles that it was told of.
    pub fn profiles(&self) -> Vec<String> {
        self.0.lock().unwrap().profiles.last().cloned().unwrap_or_default()
    }

    pub fn deactivated(&self) -> Vec<String> {
        self.0.lock().unwrap().deactivated.clone()
    }

    /// What it was told of a person.
    pub fn attributes(&self, identity: &str) -> serde_json::Value {
        self.0.lock().unwrap().attributes.get(identity).cloned().unwrap_or_default()
    }
}

#[async_trait]
impl UsernameBackend for Names {
    fn name(&self) -> &'static str {
        "table"
    }

    async fn username(&self, _cx: &OpContext, request: &UsernameRequest) -> Result<UsernameOutcome> {
        let identity = request.identity.as_ref().map_or("", Personal::as_str).to_owned();
        let answer = {
            let mut table = self.0.lock().unwrap();
            table.asked.push(identity.clone());
            table.attributes.insert(identity.clone(), serde_json::to_value(&request.attributes).unwrap());
            table.answers.get(&identity).cloned().unwrap_or(Answer::Nothing)
        };
        let requirement =
            |comment: &str, url: Option<&str>| Requirement { comment: comment.to_owned(), url: url.map(str::to_owned) };
        match answer {
            Answer::Name(name) => Ok(UsernameOutcome::Ready(name.into())),
            Answer::Nothing => Ok(UsernameOutcome::Absent),
            Answer::Link(comment, url) => Ok(UsernameOutcome::LinkingRequired(requirement(comment, url))),
            Answer::Validate(comment) => Ok(UsernameOutcome::ValidationRequired(requirement(comment, None))),
            Answer::Fails(kind) => Err(Error::new(kind, "the directory said no")),
            Answer::Panics => panic!("a bug in the directory"),
            Answer::FirstFree(names) => {
                let free = names.iter().find(|name| !request.taken.contains(&Personal::from(**name)));
                Ok(free.map_or(UsernameOutcome::Absent, |name| UsernameOutcome::Ready((*name).into())))
            }
        }
    }

    async fn sync_profiles(&self, _cx: &OpContext, accounts: &[UsernameRequest]) -> Result<()> {
        let names = accounts.iter().filter_map(|account| Some(account.username.as_ref()?.as_str().to_owned()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        self.0.lock().unwrap().profiles.push(names);
        Ok(())
    }

    async fn deactivate(&self, _cx: &OpContext, usernames: &[String]) -> Result<()> {
        let mut table = self.0.lock().unwrap();
        if table.refuses_deactivation {
            return Err(Error::new(ErrorKind::PermissionDenied, "the directory said no"));
        }
        table.deactivated.extend(usernames.iter().cloned());
        Ok(())
    }
}

/// A server that does not know a parameter of the query.
pub struct DropsParameter<T> {
    inner: T,
    name: &'static str,
}

impl<T> DropsParameter<T> {
    pub fn new(inner: T, name: &'static str) -> Self {
        Self { inner, name }
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for DropsParameter<T> {
    async fn send(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> std::result::Result<http::Response<bytes::Bytes>, waldur_sdk::rest::TransportError> {
        let (mut parts, body) = request.into_parts();
        let url = parts.uri.to_string();
        if let Some((path, query)) = url.split_once('?') {
            let kept: Vec<_> = query.split('&').filter(|pair| pair.split('=').next() != Some(self.name)).collect();
            parts.uri = format!("{path}?{}", kept.join("&")).parse().unwrap();
        }
        self.inner.send(http::Request::from_parts(parts, body)).await
    }
}
