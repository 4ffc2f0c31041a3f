//! All units of a process, from the first pass to the last.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::{
    task::{JoinError, JoinSet},
    time,
};
use tracing::{error, info, warn};
use waldur_sdk::backend::{Cancellation, OpContext};

use super::{Board, GRACE, Manager, Pass, Unit, Watch, heartbeat::Heartbeat, manager::News};
use crate::{
    config::ConfigError,
    exit::Exit,
    modes::Periods,
    progress::{Bars, UnitBar},
};

/// How often the heartbeat is written; the Python agent does once a minute.
const TICK: Duration = Duration::from_secs(30);

/// When passes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One pass.
    Once,
    /// Again and again, with these pauses from the end of one pass to the beginning of the next.
    Every(Periods),
}

/// What a crew is asked from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Come to a safe point and end; asked twice, end at once.
    Stop,
    /// Read the settings anew.
    Reload,
}

/// Makes units of the settings as they are now.
type Reload = Box<dyn FnMut() -> Result<Vec<Unit>, ConfigError> + Send>;

/// Units, and all that is around them.
pub struct Crew {
    units: Vec<Unit>,
    schedule: Schedule,
    board: Board,
    heartbeat: Heartbeat,
    manager: Manager,
    reload: Option<Reload>,
    bars: Option<Bars>,
}

impl Crew {
    /// Units that nobody watches.
    pub fn new(units: Vec<Unit>, schedule: Schedule) -> Self {
        let (board, heartbeat, manager) = (Board::default(), Heartbeat::none(), Manager::default());
        Self { units, schedule, board, heartbeat, manager, reload: None, bars: None }
    }

    /// Tells `board` how the units do.
    #[must_use]
    pub fn with_board(mut self, board: Board) -> Self {
        self.board = board;
        self
    }

    /// Keeps a heartbeat as long as all units live.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Tells the service manager how the units do.
    #[must_use]
    pub fn with_manager(mut self, manager: Manager) -> Self {
        self.manager = manager;
        self
    }

    /// Makes the units anew when asked to; if that fails, the old ones go on.
    #[must_use]
    pub fn with_reload(mut self, reload: impl FnMut() -> Result<Vec<Unit>, ConfigError> + Send + 'static) -> Self {
        self.reload = Some(Box::new(reload));
        self
    }

    /// Shows the passes on the terminal.
    #[must_use]
    pub fn with_bars(mut self, bars: Option<Bars>) -> Self {
        self.bars = bars;
        self
    }

    /// Works until one pass of each unit was enough, or until asked to end: passes under way then have [`GRACE`] to
    /// finish what they began. A second request ends them at once, which costs nothing but time: the next run resumes.
    ///
    /// A unit's loop ends with the process alone. Should one be gone before, by a defect outside of a pass, the others
    /// come to a safe point and the answer is [`Exit::Failed`]: whoever started the process starts it anew, with all of
    /// its units.
    pub async fn run(mut self, events: impl Stream<Item = Event>) -> Exit {
        let mut events = pin!(events.fuse());
        let units = std::mem::take(&mut self.units);
        let mut shift = self.begin(units);
        let mut seen = time::Instant::now();
        loop {
            if self.schedule == Schedule::Once && shift.loops.is_empty() {
                return shift.exit;
            }
            self.look_after(&mut seen);
            tokio::select! {
                Some(ended) = shift.loops.join_next() => {
                    shift.note(&ended);
                    if self.schedule != Schedule::Once {
                        error!("the loop of an offering is gone, by a defect: the agent ends, to be started anew");
                        return self.end(shift, &mut events).await.or_worse(Exit::Failed);
                    }
                }
                Some(event) = events.next() => match event {
                    Event::Stop => {
                        info!("asked to stop: what is under way comes to a safe point first");
                        return self.end(shift, &mut events).await;
                    }
                    Event::Reload => match self.relieve(shift, &mut events).await {
                        Ok(relief) => {
                            shift = relief;
                            seen = time::Instant::now();
                        }
                        Err(exit) => return exit,
                    },
                },
                () = time::sleep(self.tick()) => {}
            }
        }
    }

    fn tick(&self) -> Duration {
        self.manager.interval().map_or(TICK, |interval| interval.min(TICK))
    }

    /// Signs of life to whoever looks for them. When last it came here is `seen`: a process that was stopped, or whose
    /// machine was, comes late, and what did not move meanwhile could not.
    fn look_after(&mut self, seen: &mut time::Instant) {
        let since = seen.elapsed();
        if since > 2 * TICK {
            warn!(seconds = since.as_secs(), "the process was halted, and goes on");
            self.board.rouse();
        }
        *seen = time::Instant::now();
        let status = self.board.status();
        if self.board.is_alive() {
            self.heartbeat.beat(jiff::Timestamp::now());
            self.manager.tell(News::Alive(&status));
        } else {
            self.manager.tell(News::Stuck(&status));
        }
    }

    async fn end(&self, shift: Shift, events: &mut (impl Stream<Item = Event> + Unpin)) -> Exit {
        self.manager.tell(News::Stopping);
        shift.end(events, true).await.exit
    }

    fn begin(&self, units: Vec<Unit>) -> Shift {
        self.board.replace(units.iter().map(|unit| unit.pulse().clone()).collect());
        let mut shift = Shift::default();
        for unit in units {
            let bar = self.bars.as_ref().map(|bars| bars.unit(unit.name(), unit.mode()));
            shift.loops.spawn(cycle(unit, self.schedule, shift.cancellation.clone(), bar));
        }
        self.manager.tell(News::Ready);
        shift
    }

    /// New units in place of the old, which first come to a safe point. What is wrong with the settings leaves the old
    /// ones at work.
    ///
    /// # Errors
    /// The end of the program, if it was asked for meanwhile.
    async fn relieve(&mut self, shift: Shift, events: &mut (impl Stream<Item = Event> + Unpin)) -> Result<Shift, Exit> {
        let Some(reload) = &mut self.reload else { return Ok(shift) };
        self.manager.tell(News::Reloading);
        let mut units = match reload() {
            Ok(units) => units,
            Err(problems) => {
                error!("the settings are wrong now and stay as they were: {problems}");
                self.manager.tell(News::Ready);
                return Ok(shift);
            }
        };
        info!(units = units.len(), "settings are read anew: the passes under way come to a safe point first");
        let ended = shift.end(events, false).await;
        if ended.stops {
            self.manager.tell(News::Stopping);
            return Err(ended.exit);
        }
        if ended.reloads {
            match reload() {
                Ok(newer) => units = newer,
                Err(problems) => error!("the settings are wrong now; those read before them hold: {problems}"),
            }
        }
        Ok(self.begin(units))
    }
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("units", &self.units).field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

/// The loops of units that began together.
struct Shift {
    loops: JoinSet<Exit>,
    cancellation: Cancellation,
    exit: Exit,
}

impl Default for Shift {
    fn default() -> Self {
        Self { loops: JoinSet::new(), cancellation: Cancellation::default(), exit: Exit::Done }
    }
}

impl Shift {
    fn note(&mut self, ended: &Result<Exit, JoinError>) {
        self.exit = self.exit.or_worse(ended.as_ref().map_or(Exit::Failed, |exit| *exit));
    }

    /// Lets all passes come to a safe point. `stops` says that the program ends with them; a request for that may come
    /// while they do.
    async fn end(mut self, events: &mut (impl Stream<Item = Event> + Unpin), mut stops: bool) -> Ended {
        self.cancellation.cancel();
        let mut grace = pin!(time::sleep(GRACE));
        let mut reloads = false;
        let exit = loop {
            tokio::select! {
                ended = self.loops.join_next() => match ended {
                    None => break Exit::Done,
                    Some(Err(_)) => self.exit = self.exit.or_worse(Exit::Failed),
                    Some(Ok(_)) => {}
                },
                () = &mut grace => {
                    warn!("stopped after {} s with work under way; the next run resumes it", GRACE.as_secs());
                    break Exit::Temporary;
                }
                Some(event) = events.next() => match event {
                    Event::Stop if stops => {
                        warn!("stopped at once; the next run resumes what was under way");
                        break Exit::Temporary;
                    }
                    Event::Stop => {
                        info!("asked to stop: what is under way comes to a safe point first");
                        stops = true;
                    }
                    Event::Reload => reloads = true,
                },
            }
        };
        // What a single pass came to before it was asked to stop still holds.
        Ended { exit: self.exit.or_worse(exit), stops, reloads }
    }
}

/// How a shift came to its end, and what was asked for meanwhile.
struct Ended {
    exit: Exit,
    stops: bool,
    reloads: bool,
}

/// The passes of one unit.
async fn cycle(mut unit: Unit, schedule: Schedule, stop: Cancellation, bar: Option<UnitBar>) -> Exit {
    loop {
        let watch = Watch(unit.pulse().clone());
        let cx = OpContext::new(unit.name()).with_cancellation(stop.clone());
        let cx = match &bar {
            Some(bar) => cx.with_progress(bar.clone().and(watch)),
            None => cx.with_progress(watch),
        };
        let pass: Pass = unit.run_once(&cx).await;
        let Schedule::Every(periods) = schedule else {
            bar.iter().for_each(UnitBar::end);
            return pass.exit();
        };
        let pause = periods.of(unit.mode());
        if cx.pause(unit.environment(), pause).await.is_err() {
            return Exit::Done;
        }
    }
}
