//! What a library must not reach for by itself: sleep, clocks, randomness.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The longest sleep; anything longer is taken for "for ever". Timers add it to a clock, which must not overflow.
const LONGEST_SLEEP: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A source of delays. Every `Fn(Duration) -> impl Future` is one, so `tokio::time::sleep` is.
pub trait Timer: Send + Sync + 'static {
    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

impl<F, Fut> Timer for F
where
    F: Fn(Duration) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self(duration))
    }
}

/// Sleep, clocks and randomness, handed to everything that needs them.
///
/// The default works under every runtime: sleeping by `futures-timer`, the system's clocks, a seeded generator for
/// jitter. Tests replace all of it:
///
/// ```
/// use waldur_sdk::rest::Environment;
/// let environment = Environment::default()
///     .with_timer(tokio::time::sleep)
///     .with_monotonic(|| tokio::time::Instant::now().into_std())
///     .with_random(|| 7);
/// # let _ = environment;
/// ```
#[derive(Clone)]
pub struct Environment {
    timer: Arc<dyn Timer>,
    monotonic: Arc<dyn Fn() -> Instant + Send + Sync>,
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Environment {
    /// Sleeps with `timer`.
    #[must_use]
    pub fn with_timer(mut self, timer: impl Timer) -> Self {
        self.timer = Arc::new(timer);
        self
    }

    /// Measures durations and deadlines with `clock`.
    #[must_use]
    pub fn with_monotonic(mut self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.monotonic = Arc::new(clock);
        self
    }

    /// Tells the date and the time of day with `clock`.
    #[must_use]
    pub fn with_wall(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.wall = Arc::new(clock);
        self
    }

    /// Draws 64 random bits for jitter from `source`. Never used for keys.
    #[must_use]
    pub fn with_random(mut self, source: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.random = Arc::new(source);
        self
    }

    /// Completes after `duration`, ten years at the most.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.timer.sleep(duration.min(LONGEST_SLEEP))
    }

    /// The monotonic clock.
    pub fn instant(&self) -> Instant {
        (self.monotonic)()
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        (self.wall)()
    }

    /// A random number below `bound`; 0 where there is none.
    pub(crate) fn below(&self, bound: usize) -> usize {
        let bits = usize::try_from((self.random)() >> 32).unwrap_or_default();
        bits.checked_rem(bound).unwrap_or_default()
    }

    /// A random fraction in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        #[allow(clippy::cast_precision_loss)]
        let bits = ((self.random)() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            timer: Arc::new(futures_timer::Delay::new),
            monotonic: Arc::new(Instant::now),
            wall: Arc::new(Timestamp::now),
            random: Arc::new(|| fastrand::u64(..)),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}
