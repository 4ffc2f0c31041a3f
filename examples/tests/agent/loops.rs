//! Many offerings and modes in one process, in virtual time: nobody waits for a slow one, nobody falls with a broken one.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response, header};
use secrecy::ExposeSecret as _;
use tokio::sync::oneshot;
use waldur_backend_croit::testing::FakeRadosGw;
use waldur_examples::{
    agent::{Board, Crew, Event, Schedule, Unit, heartbeat::Heartbeat},
    config::ConfigError,
    exit::Exit,
    modes::{Mode, Periods},
    site::Site,
};
use waldur_sdk::{
    backend::{OpContext, Overridden},
    rest::{Environment, HttpTransport, TransportError},
    settings::Credentials,
    testing::{
        Faults, Latency, op, status,
        waldur::{FakeWaldur, Generation, OrderState},
    },
    types::{OfferingUuid, OrderUuid},
};

use crate::{
    exchanges::fake_waldur,
    passes::{agents, count, environment, ordered, ordered_as, settings, sold, to},
};

/// What a transport does about the requests of one offering.
#[derive(Clone, Copy)]
enum Ill {
    Slow(Duration),
    Broken,
}

/// Requests that name the offering fare ill; all others do not.
#[derive(Clone)]
struct IllFor {
    waldur: FakeWaldur,
    environment: Environment,
    offering: OfferingUuid,
    ill: Ill,
}

#[async_trait]
impl HttpTransport for IllFor {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if request.uri().to_string().contains(&self.offering.hex()) {
            match self.ill {
                Ill::Slow(pause) => self.environment.sleep(pause).await,
                Ill::Broken => panic!("hidden-value"),
            }
        }
        self.waldur.send(request).await
    }
}

fn ill(waldur: &FakeWaldur, offering: OfferingUuid, ill: Ill) -> IllFor {
    IllFor { waldur: waldur.clone(), environment: environment(), offering, ill }
}

fn listings(waldur: &FakeWaldur, offering: OfferingUuid) -> usize {
    let of = |request: &&waldur_sdk::testing::waldur::RecordedRequest| {
        request.path == "/api/marketplace-orders/" && format!("{request:?}").contains(&offering.hex())
    };
    waldur.requests().iter().filter(of).count()
}

fn every(minutes: u64) -> Schedule {
    Schedule::Every(Periods::all(Duration::from_mins(minutes)))
}

/// Asks to stop after so long.
fn after(duration: Duration) -> impl futures_util::Stream<Item = Event> {
    stream::once(tokio::time::sleep(duration)).map(|()| Event::Stop).boxed()
}

#[tokio::test(start_paused = true)]
async fn a_slow_offering_starves_no_other() {
    let waldur = fake_waldur(Generation::V8);
    let (slow, quick) = (sold(&waldur), sold(&waldur));
    // Forty seconds for each of its requests: slow, but none runs into its time limit.
    let way = ill(&waldur, slow, Ill::Slow(Duration::from_secs(40)));
    let crew = Crew::new(agents(&waldur, way, &[slow, quick]), every(1));
    let exit = crew.run(after(Duration::from_secs(30 * 60 + 30))).await;
    assert_eq!(exit, Exit::Done);
    assert_eq!(listings(&waldur, quick), 31, "at once, and then every minute");
    let slow = listings(&waldur, slow);
    assert!((15..25).contains(&slow), "a pass takes it longer: {slow}");
}

#[tokio::test(start_paused = true)]
async fn the_pause_begins_at_the_end_of_a_pass_and_the_first_is_at_once() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let slow = Latency::new(waldur.clone(), environment(), Duration::from_secs(7));
    let begin = tokio::time::Instant::now();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listed = seen.clone();
    let noted =
        Noted { inner: Arc::new(slow), note: Arc::new(move || listed.lock().unwrap().push(begin.elapsed().as_secs())) };
    let crew = Crew::new(agents(&waldur, noted, &[offering]), every(5));
    crew.run(after(Duration::from_mins(11))).await;
    let times = seen.lock().unwrap().clone();
    // Before the first listing the agent registers, in four calls, and reads the offering meanwhile.
    assert_eq!(times, [28, 28 + 7 + 300, 28 + 7 + 300 + 7 + 300]);
}

/// Notes when orders are listed.
struct Noted {
    inner: Arc<dyn HttpTransport>,
    note: Arc<dyn Fn() + Send + Sync>,
}

#[async_trait]
impl HttpTransport for Noted {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if request.uri().path() == "/api/marketplace-orders/" {
            (self.note)();
        }
        self.inner.send(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn f129_a_panic_ends_one_pass_of_one_offering_and_tells_no_secret() {
    let waldur = fake_waldur(Generation::V8);
    let (broken, sound) = (sold(&waldur), sold(&waldur));
    let order = ordered(&waldur, sound);
    let mut units = agents(&waldur, ill(&waldur, broken, Ill::Broken), &[broken, sound]);
    let passes = waldur_examples::agent::pass(&mut units, &OpContext::new("test")).await;
    assert!(passes[0].panicked && !passes[1].panicked);
    assert_eq!((passes[0].exit(), passes[1].exit()), (Exit::Failed, Exit::Done));
    let error = passes[0].outcome.as_ref().unwrap_err();
    assert!(!format!("{error:?} {}", error.chain().join(": ")).contains("hidden"), "{error:?}");
    assert_eq!(waldur.order_view(order).state, OrderState::Done);

    let crew = Crew::new(units, every(5));
    assert_eq!(crew.run(after(Duration::from_mins(31))).await, Exit::Done);
    assert_eq!(listings(&waldur, sound), 1 + 7, "the loop of the other goes on");
}

#[tokio::test(start_paused = true)]
async fn f128_given_up_in_a_pause_between_two_attempts_nothing_is_sent_any_more() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let down = Faults::new(waldur.clone()).on(op("orders.list"), status(503).header("retry-after", 20));
    let crew = Crew::new(agents(&waldur, down.clone(), &[offering]), Schedule::Once);
    let begin = tokio::time::Instant::now();
    let run = tokio::time::timeout(Duration::from_secs(5), crew.run(stream::pending()));
    assert!(run.await.is_err(), "still in the pause");
    assert_eq!(begin.elapsed(), Duration::from_secs(5), "gone at once");
    let sent = waldur.requests().len();
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(waldur.requests().len(), sent);
}

/// Units of the old offering and a new one, made anew at each reload; with problems if there is none.
fn renewal(
    waldur: &FakeWaldur,
    old: OfferingUuid,
    next: Arc<Mutex<Option<OfferingUuid>>>,
) -> impl FnMut() -> Result<Vec<Unit>, ConfigError> + Send + 'static {
    let (waldur, site) = (waldur.clone(), Site::over(to(waldur.clone()), to(FakeRadosGw::new()), environment()));
    move || match *next.lock().unwrap() {
        Some(offering) => {
            site.units(&settings(&waldur, &[old, offering]), &[Mode::OrderProcess], false).map(|(units, _)| units)
        }
        None => Err(ConfigError::new("timezone: wrong")),
    }
}

/// A Waldur that takes two tokens for the agent's, and remembers which came with each request.
#[derive(Clone)]
struct Tokens {
    waldur: FakeWaldur,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Tokens {
    const RENEWED: &str = "renewed-token";

    /// With which token the requests came whose paths contain this.
    fn of(&self, part: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(path, _)| path.contains(part)).map(|(_, token)| token.clone()).collect()
    }
}

#[async_trait]
impl HttpTransport for Tokens {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path().to_owned();
        let token = request.headers_mut().get_mut(header::AUTHORIZATION).expect("no request without credentials");
        self.seen.lock().unwrap().push((path, token.to_str().unwrap().to_owned()));
        if token.to_str().unwrap().ends_with(Self::RENEWED) {
            *token = format!("Token {}", self.waldur.token().expose_secret()).parse().unwrap();
        }
        self.waldur.send(request).await
    }
}

/// What is on its way is finished by the old ones, up to a safe point; from there an order goes on with the new ones.
#[tokio::test(start_paused = true)]
async fn f133_settings_are_swapped_whole_and_what_was_under_way_is_finished() {
    let waldur = fake_waldur(Generation::V8);
    let (old, new) = (sold(&waldur), sold(&waldur));
    let first = ordered(&waldur, old);
    let second = Arc::new(Mutex::new(None));
    let tokens = Tokens { waldur: waldur.clone(), seen: Arc::default() };
    let slow = Latency::new(tokens.clone(), environment(), Duration::from_secs(1));

    let next = Arc::new(Mutex::new(None));
    let (site, next_units) =
        (Site::over(to(slow.clone()), to(FakeRadosGw::new()), environment()), (waldur.clone(), next.clone()));
    let reload = move || match *next_units.1.lock().unwrap() {
        Some(offering) => {
            let mut tree = settings(&next_units.0, &[old, offering]);
            tree.offerings
                .iter_mut()
                .for_each(|offering| offering.credentials = Credentials::Token(Tokens::RENEWED.into()));
            site.units(&tree, &[Mode::OrderProcess], false).map(|(units, _)| units)
        }
        None => Err(ConfigError::new("timezone: wrong")),
    };
    // Wrong settings while an order is under way, the right ones while another is.
    let (of_events, of_second) = (waldur.clone(), second.clone());
    let events = stream::iter(0..3).then(move |step| {
        let (waldur, next, second) = (of_events.clone(), next.clone(), of_second.clone());
        async move {
            let becomes = |order: OrderUuid, wanted: OrderState| {
                let waldur = waldur.clone();
                async move {
                    while waldur.order_view(order).state != wanted {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            };
            match step {
                0 => becomes(first, OrderState::Executing).await,
                1 => {
                    becomes(first, OrderState::Done).await;
                    let order = ordered_as(&waldur, old, 2);
                    *second.lock().unwrap() = Some(order);
                    becomes(order, OrderState::Executing).await;
                    *next.lock().unwrap() = Some(new);
                }
                _ => {
                    tokio::time::sleep(Duration::from_mins(10)).await;
                    return Event::Stop;
                }
            }
            Event::Reload
        }
    });
    let crew = Crew::new(agents(&waldur, slow, &[old]), every(5)).with_reload(reload);
    assert_eq!(crew.run(events.boxed()).await, Exit::Done);

    let second = second.lock().unwrap().expect("the old ones went on after the failed reload");
    let before = format!("Token {}", waldur.token().expose_secret());
    for order in [first, second] {
        assert_eq!(waldur.order_view(order).state, OrderState::Done);
        assert_eq!(
            tokens.of(&format!("{}/approve_by_provider", order.hex())),
            [before.as_str()],
            "begun by the old ones"
        );
        assert_eq!(tokens.of(&format!("{}/set_state_done", order.hex())).len(), 1, "finished once");
    }
    let ended = tokens.of(&format!("{}/set_state_done", first.hex()));
    assert_eq!(ended, [before.as_str()], "wrong settings change nothing: the old ones finish it");
    assert!(waldur.erred_orders().is_empty());
    let all = tokens.of("");
    let swap = all.iter().position(|token| *token != before).expect("the new token is used");
    assert!(all[swap..].iter().all(|token| token.ends_with(Tokens::RENEWED)), "none of the old ones comes after it");
    assert!(listings(&waldur, new) >= 2 && listings(&waldur, old) >= 4, "the new ones work since, for both offerings");
}

/// The old units are on their way to a safe point when the end is asked for: no new ones begin.
#[tokio::test(start_paused = true)]
async fn f131_a_stop_amid_a_swap_of_settings_is_heard() {
    for reloads in 1..=2 {
        let waldur = fake_waldur(Generation::V8);
        let (old, new) = (sold(&waldur), sold(&waldur));
        let order = ordered(&waldur, old);
        let slow = Latency::new(waldur.clone(), environment(), Duration::from_secs(1));
        let next = Arc::new(Mutex::new(Some(new)));
        // All while one request is on its way.
        let again = (1..reloads).map(|_| (0, Event::Reload));
        let asked: Vec<_> = [(4, Event::Reload)].into_iter().chain(again).chain([(0, Event::Stop)]).collect();
        let events = stream::iter(asked).then(|(seconds, event)| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            event
        });
        let begin = tokio::time::Instant::now();
        let crew = Crew::new(agents(&waldur, slow, &[old]), every(5)).with_reload(renewal(&waldur, old, next));
        // Later events never come: the stream of signals stays open. Unheard, the stop would leave the crew at work for ever.
        let run = tokio::time::timeout(Duration::from_mins(2), crew.run(events.chain(stream::pending()).boxed()));
        assert_eq!(run.await, Ok(Exit::Done));
        assert!(begin.elapsed() < Duration::from_secs(4 + 25), "{:?}", begin.elapsed());
        assert_eq!(listings(&waldur, new), 0, "{reloads} reloads: nothing new was begun");
        assert!(waldur.erred_orders().is_empty());
        assert_ne!(waldur.order_view(order).state, OrderState::Erred);
    }
}

#[tokio::test(start_paused = true)]
async fn modes_of_one_offering_register_one_identity() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let site = Site::over(to(waldur.clone()), to(FakeRadosGw::new()), environment());
    let mut tree = settings(&waldur, &[offering]);
    tree.offerings[0].membership_sync_backend = Some("ceph_s3".to_owned());
    tree.offerings[0].reporting_backend = Some("ceph_s3".to_owned());
    let units = site.units(&tree, &Mode::ALL, false).unwrap().0;
    assert_eq!(units.len(), 3);
    Crew::new(units, Schedule::Once).run(stream::pending()).await;
    let writes = waldur.writes();
    let created = writes.iter().filter(|request| {
        request.path == "/api/marketplace-site-agent-identities/" && request.method == http::Method::POST
    });
    assert_eq!(created.count(), 1);
    let mut names: Vec<_> = waldur.registered_processors().into_iter().map(|(_, name)| name).collect();
    names.sort();
    assert_eq!(names, ["OfferingMembershipProcessor", "OfferingOrderProcessor", "OfferingReportProcessor"]);
    assert_eq!(count(&waldur, "/register_service/"), 3);
}

fn beat_file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_file(&path));
    path
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_stops_when_a_pass_is_stuck_and_one_that_is_slow_keeps_it_up() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    for (pause, alive) in [(Duration::from_secs(50), true), (Duration::from_hours(1), false)] {
        // Not the transport is stuck, where every request has its time limit, but what is around it.
        let site = Site::over(to(waldur.clone()), to(FakeRadosGw::new()), environment()).with_layer(move |backend| {
            Arc::new(Overridden(stuck::Stuck { backend, pause, environment: environment() }))
        });
        ordered(&waldur, offering);
        let units = site.units(&settings(&waldur, &[offering]), &[Mode::OrderProcess], false).unwrap().0;
        let board = Board::new(site.metrics().clone());
        let path = beat_file(&format!("stuck-{alive}"));
        let crew = Crew::new(units, every(1)).with_board(board.clone()).with_heartbeat(Heartbeat::at(path.clone()));
        let run = tokio::time::timeout(Duration::from_mins(10), crew.run(stream::pending()));
        assert!(run.await.is_err());
        assert!(path.exists(), "at the beginning it was alive");
        assert_eq!(board.is_alive(), alive, "pause {pause:?}");
    }
}

mod stuck {
    use std::{
        sync::{Arc, Mutex, mpsc},
        time::Duration,
    };

    use async_trait::async_trait;
    use waldur_sdk::{
        Result,
        backend::{CreateRequest, Created, OpContext, Override, Progress, ResourceBackend, Verified},
        rest::Environment,
    };

    /// Takes its time before it creates anything.
    pub(super) struct Stuck {
        pub(super) backend: Arc<dyn ResourceBackend>,
        pub(super) pause: Duration,
        pub(super) environment: Environment,
    }

    #[async_trait]
    impl Override for Stuck {
        fn inner(&self) -> &dyn ResourceBackend {
            &self.backend
        }
        async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
            self.environment.sleep(self.pause).await;
            self.backend.create(cx, request).await
        }
    }

    /// Whom it tells, and whose word it waits for.
    type Block = (tokio::sync::oneshot::Sender<()>, mpsc::Receiver<()>);

    /// Says that it has begun, and waits for a word with its thread.
    pub(super) struct Blocking {
        pub(super) backend: Arc<dyn ResourceBackend>,
        pub(super) block: Arc<Mutex<Option<Block>>>,
    }

    #[async_trait]
    impl Override for Blocking {
        fn inner(&self) -> &dyn ResourceBackend {
            &self.backend
        }
        async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
            let block = self.block.lock().unwrap().take();
            if let Some((entered, released)) = block {
                entered.send(()).unwrap();
                released.recv_timeout(Duration::from_secs(20)).unwrap();
            }
            self.backend.create(cx, request).await
        }
    }
}

/// A back end that does not even give way: its thread is gone, and everything else goes on and tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f130_a_back_end_that_blocks_its_thread_is_seen_by_the_watchdog() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let order = ordered(&waldur, offering);
    let ahead = Arc::new(AtomicU64::new(0));
    let clock = ahead.clone();
    let begin = std::time::Instant::now();
    let environment = environment().with_monotonic(move || begin + Duration::from_secs(clock.load(Ordering::Relaxed)));
    let (entered, is_in) = oneshot::channel();
    let (release, released) = mpsc::channel();
    let block = Arc::new(Mutex::new(Some((entered, released))));
    let site = Site::over(to(waldur.clone()), to(FakeRadosGw::new()), environment)
        .with_layer(move |backend| Arc::new(Overridden(stuck::Blocking { backend, block: block.clone() })));
    let units = site.units(&settings(&waldur, &[offering]), &[Mode::OrderProcess], false).unwrap().0;
    let board = Board::new(site.metrics().clone());
    let crew = Crew::new(units, Schedule::Once).with_board(board.clone()).run(stream::pending());
    let look = async {
        is_in.await.unwrap();
        assert!(board.is_alive(), "so far it may be only slow");
        ahead.store(4 * 60, Ordering::Relaxed);
        assert!(board.is_alive());
        ahead.store(6 * 60, Ordering::Relaxed);
        assert!(!board.is_alive(), "no step and no request for minutes");
        release.send(()).unwrap();
    };
    let (exit, ()) = tokio::join!(crew, look);
    assert_eq!(exit, Exit::Done);
    assert_eq!(waldur.order_view(order).state, OrderState::Done);
}

#[cfg(unix)]
#[test]
fn a_heartbeat_follows_no_link_and_says_how_old_it_is() {
    use waldur_examples::agent::heartbeat;
    let (path, victim) = (beat_file("linked-heartbeat"), beat_file("victim"));
    let (then, now) = (jiff::Timestamp::from_second(1_700_000_000).unwrap(), std::time::SystemTime::now);
    fs::write(&victim, "untouched").unwrap();
    std::os::unix::fs::symlink(&victim, &path).unwrap();
    assert!(heartbeat::age(&path, now()).is_err(), "a link is no heartbeat");
    let mut beat = Heartbeat::at(path.clone());
    beat.beat(then);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink(), "whoever put it there finds it again");
    fs::remove_file(&path).unwrap();
    beat.beat(then);
    assert_eq!(fs::read_to_string(&path).unwrap(), "1700000000");
    assert!(heartbeat::age(&path, now()).unwrap() < Duration::from_mins(1));
}

/// Units of one offering, with a clock that breaks in a pause between two passes.
fn doomed(waldur: &FakeWaldur, offering: OfferingUuid, pause: Duration) -> Vec<Unit> {
    let breaking = environment().with_timer(move |duration| {
        assert!(duration != pause, "hidden-value");
        tokio::time::sleep(duration)
    });
    let site = Site::over(to(waldur.clone()), to(FakeRadosGw::new()), breaking);
    site.units(&settings(waldur, &[offering]), &[Mode::OrderProcess], false).unwrap().0
}

/// Whoever started the agent then starts it anew; nobody has to find out that one of many is missing.
#[tokio::test(start_paused = true)]
async fn f129_a_loop_that_breaks_outside_of_a_pass_ends_the_agent_once_the_others_are_safe() {
    let waldur = fake_waldur(Generation::V8);
    let (broken, sound) = (sold(&waldur), sold(&waldur));
    let order = ordered(&waldur, sound);
    let slow = Latency::new(waldur.clone(), environment(), Duration::from_secs(1));
    let mut units = doomed(&waldur, broken, Duration::from_mins(5));
    units.extend(agents(&waldur, slow, &[sound]));
    let begin = tokio::time::Instant::now();
    let run = tokio::time::timeout(Duration::from_mins(2), Crew::new(units, every(5)).run(stream::pending()));
    assert_eq!(run.await, Ok(Exit::Failed));
    assert!(begin.elapsed() < Duration::from_secs(25), "{:?}", begin.elapsed());
    assert_ne!(waldur.order_view(order).state, OrderState::Erred);
}

/// `SIGSTOP` and `SIGCONT`, or a laptop's lid: no time that nobody had counts as standing still.
#[tokio::test(start_paused = true)]
async fn f032_a_process_that_was_halted_for_hours_is_not_taken_for_stuck() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    ordered(&waldur, offering);
    let pause = Duration::from_hours(24);
    let site = Site::over(to(waldur.clone()), to(FakeRadosGw::new()), environment())
        .with_layer(move |backend| Arc::new(Overridden(stuck::Stuck { backend, pause, environment: environment() })));
    let units = site.units(&settings(&waldur, &[offering]), &[Mode::OrderProcess], false).unwrap().0;
    let board = Board::new(site.metrics().clone());
    let crew = Crew::new(units, every(1)).with_board(board.clone());
    let halt = async {
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert!(board.is_alive());
        tokio::time::advance(Duration::from_hours(2)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(board.is_alive(), "it could not move");
        tokio::time::sleep(Duration::from_mins(6)).await;
        assert!(!board.is_alive(), "now it could");
    };
    tokio::select! {
        exit = crew.run(stream::pending()) => panic!("{exit:?}"),
        () = halt => {}
    }
}

#[test]
fn pauses_come_from_the_environment_and_may_have_fractions() {
    let given = |name: &str| (name == Mode::Report.period().0).then(|| " 0.5 ".to_owned());
    let periods = Periods::from_environment(given).unwrap();
    assert_eq!(periods.of(Mode::Report), Duration::from_secs(30));
    assert_eq!(periods.of(Mode::OrderProcess), Duration::from_mins(5));
    assert_eq!(periods.of(Mode::MembershipSync), Duration::from_mins(5));
    assert_eq!(Periods::from_environment(|_| None).unwrap().of(Mode::Report), Duration::from_mins(30));
    let all = Periods::from_environment(|_| Some("often".to_owned())).unwrap_err();
    assert_eq!(all.len(), 3, "{all:?}");
    for wrong in ["0", "-1", "NaN", "inf", "1e300", ""] {
        assert!(Periods::from_environment(|_| Some(wrong.to_owned())).is_err(), "{wrong}");
    }
}
