//! The SDK beside the Python agent: the same state, the same fakes behind the same sockets, the same duty.
//!
//! One module for each part: [`scene`] is what is there before a cycle and what must be there after it, [`socket`]
//! serves it, [`python`] and [`ours`] are the two agents, each in a process of its own, [`cycle`] is how the
//! harness speaks to either, and [`run`] goes through all of it. A further mode is a line in [`Mode`], and a branch in
//! [`scene`] and [`ours`].

pub mod cycle;
pub mod ours;
pub mod python;
pub mod run;
pub mod scene;
pub mod socket;
pub mod table;

use std::fmt;

/// What the resources are made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Projects of a registry, by `FakeHarbor`.
    Harbor,
    /// Users of an object storage, by `FakeRadosGw`.
    CephS3,
    /// The same, managed by `FakeCroit`.
    CroitS3,
}

/// A duty of the agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Carries out orders.
    OrderProcess,
    /// Reports usage.
    Report,
    /// Keeps members, limits and metadata true.
    MembershipSync,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// `waldur-site-agent`.
    Python,
    /// The processors of this SDK.
    Sdk,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Harbor, Self::CephS3, Self::CroitS3];

    /// Its name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Harbor => "harbor",
            Self::CephS3 => "ceph_s3",
            Self::CroitS3 => "croit_s3",
        }
    }

    /// The back end that the settings of a duty name. The plugin for Ceph has one for both flavours, and another one
    /// that measures on croit.
    pub const fn backend_type(self, mode: Mode) -> &'static str {
        match (self, mode) {
            (Self::Harbor, _) => "harbor",
            (Self::CroitS3, Mode::Report) => "croit_usage",
            (Self::CephS3 | Self::CroitS3, _) => "ceph_s3",
        }
    }
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OrderProcess, Self::Report, Self::MembershipSync];

    /// Its name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderProcess => "order_process",
            Self::Report => "report",
            Self::MembershipSync => "membership_sync",
        }
    }
}

impl Agent {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Python, Self::Sdk];

    /// Its name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Sdk => "sdk",
        }
    }
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $kind {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let known = Self::ALL.iter().find(|known| known.as_str() == text.replace('-', "_"));
                known.copied().ok_or_else(|| format!("{text}: not known"))
            }
        }
    )*};
}

words!(System, Mode, Agent);
