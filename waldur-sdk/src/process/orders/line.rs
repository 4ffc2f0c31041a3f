//! The orders of one resource in a pass, in the order of their listing.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use super::{OrderOutcome, OrderReport, job::Notes};
use crate::{
    client::{Order, OrderState},
    error::Error,
    types::OrderUuid,
};

/// One order in a pass.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) report: OrderReport,
    /// As it was listed, until the first attempt; later ones read it anew.
    pub(super) order: Option<Box<Order>>,
    pub(super) notes: Notes,
    /// When the first attempt began.
    pub(super) begun: Option<Instant>,
    /// How long to wait before the next attempt; `None` when there is none in this pass.
    pub(super) pause: Option<Duration>,
}

impl Case {
    pub(super) fn new(order: Order) -> Self {
        let report = OrderReport::new(&order);
        Self { report, order: Some(Box::new(order)), notes: Notes::default(), begun: None, pause: None }
    }

    pub(super) fn is_begun(&self) -> bool {
        self.report.attempts > 0
    }

    pub(super) fn into_report(self) -> OrderReport {
        let Self { mut report, notes, .. } = self;
        if let (OrderOutcome::AlreadyFinished(OrderState::Erred), Some(failure)) = (&report.outcome, notes.failure) {
            // By ourselves: only the answer to that was lost.
            report.outcome = OrderOutcome::Erred(failure);
        }
        report.backend_id = notes.backend_id;
        report.warnings = notes.warnings;
        report.follow_ups = notes.follow_ups;
        report
    }
}

/// The orders of one resource; the first waits for its turn or for its next attempt, the others for the first.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) waiting: VecDeque<Case>,
    /// When the first is due again; `None` when it was not tried yet.
    pub(super) due: Option<Instant>,
    pub(super) ended: Vec<OrderReport>,
}

impl Line {
    /// One line for each resource. Those that begin with an order of `first` come first.
    pub(super) fn all(orders: Vec<Order>, first: &HashSet<OrderUuid>) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        let mut places = HashMap::new();
        for order in orders {
            let resource = order.resource_uuid;
            let case = Case::new(order);
            let place = resource.and_then(|resource| places.get(&resource).copied());
            if let Some(line) = place.and_then(|place: usize| lines.get_mut(place)) {
                line.waiting.push_back(case);
                continue;
            }
            if let Some(resource) = resource {
                places.insert(resource, lines.len());
            }
            lines.push(Self { waiting: [case].into(), due: None, ended: Vec::new() });
        }
        // The sort keeps the listing's order otherwise.
        lines.sort_by_key(|line| !line.waiting.front().is_some_and(|case| first.contains(&case.report.order)));
        lines
    }

    /// Whether the first order was tried and is to be tried again.
    pub(super) fn is_tried(&self) -> bool {
        self.due.is_some()
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Ends the orders that are left: what was never begun is deferred for `reason`.
    pub(super) fn abandon(mut self, reason: &Error) -> Vec<OrderReport> {
        for mut case in self.waiting {
            if !case.is_begun() {
                case.report.outcome = OrderOutcome::Deferred(reason.clone());
            }
            self.ended.push(case.into_report());
        }
        self.ended
    }
}
