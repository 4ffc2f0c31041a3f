//! Going through all places at which a fault can be put in.

use super::{Bounds, Failure, Sweep};

/// What came of one run.
pub(super) struct Run<V> {
    pub(super) verdict: V,
    /// How many faults of the plan found their place.
    pub(super) fired: usize,
    /// The faults, in words.
    pub(super) fault: String,
    pub(super) story: Vec<String>,
}

/// Runs a scenario without a fault, then under every plan, until no plan finds a place.
pub(super) async fn sweep<V: PartialEq>(
    limits: &Bounds,
    run: impl AsyncFn(&[usize]) -> Result<Run<V>, Failure<V>>,
) -> Result<Sweep, Failure<V>> {
    let reference = run(&[]).await?;
    if reference.story.is_empty() {
        return Err(Failure::Untouched);
    }
    let mut sweep = Sweep { points: 0, runs: 1, story: reference.story };
    let mut plans = Plans::new(limits.faults());
    loop {
        let plan = plans.current();
        let run = run(plan).await?;
        sweep.runs += 1;
        if plan.len() == 1 && run.fired == 1 {
            sweep.points += 1;
        }
        // A run that ends before its place is a second one without that fault: its verdict must agree as well.
        if run.verdict != reference.verdict {
            let Run { verdict, fault, story, .. } = run;
            return Err(Failure::Differs { fault, expected: reference.verdict, found: verdict, story });
        }
        if !plans.advance(run.fired) {
            return Ok(sweep);
        }
    }
}

/// Counts through all plans of faults: `[1]`, `[1, 1]`, `[1, 2]`, …, `[2]`, … Each number is the place of a fault,
/// counted from the fault before it; where the last fault of a plan finds no place any more, the one before it
/// moves on.
struct Plans {
    plan: Vec<usize>,
    faults: usize,
}

impl Plans {
    fn new(faults: usize) -> Self {
        Self { plan: vec![1], faults }
    }

    fn current(&self) -> &[usize] {
        &self.plan
    }

    /// The plan after one that put in `fired` faults; `false` when there is none.
    fn advance(&mut self, fired: usize) -> bool {
        let complete = fired >= self.plan.len();
        if complete && self.plan.len() < self.faults {
            self.plan.push(1);
            return true;
        }
        if !complete {
            self.plan.pop();
        }
        match self.plan.last_mut() {
            Some(last) => {
                *last += 1;
                true
            }
            None => false,
        }
    }
}

/// The plan of one run, being worked off.
pub(super) struct Countdown {
    plan: Vec<usize>,
    fired: usize,
    passed: usize,
}

impl Countdown {
    pub(super) fn new(plan: &[usize]) -> Self {
        Self { plan: plan.to_vec(), fired: 0, passed: 0 }
    }

    /// One more place is reached. `true` if the fault is here.
    pub(super) fn strikes(&mut self) -> bool {
        self.passed += 1;
        let here = self.plan.get(self.fired) == Some(&self.passed);
        if here {
            self.fired += 1;
            self.passed = 0;
        }
        here
    }

    pub(super) fn fired(&self) -> usize {
        self.fired
    }

    /// In words; empty while nothing has been put in.
    pub(super) fn fault(&self, what: &str) -> String {
        let places: Vec<_> = self.plan.iter().take(self.fired).map(usize::to_string).collect();
        if places.is_empty() { "without a fault".to_owned() } else { format!("{what} {}", places.join(", then ")) }
    }
}
