//! Runs the scenarios of the demo and more against real servers; `dev/live.sh` starts them.
//!
//! Exit codes: 0 all passed, 1 a step failed, 2 wrong arguments, 3 skipped because there is no server.

use clap::{Parser, Subcommand};
use waldur_examples::{exit::Exit, live};

/// Runs orders against real servers, and uses what they make.
#[derive(Debug, Parser)]
#[command(name = "waldur-live", version)]
struct Arguments {
    #[command(subcommand)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Server {
    /// A Ceph Object Gateway, by RADOSGW_ENDPOINT, RADOSGW_ACCESS_KEY and RADOSGW_SECRET_KEY.
    Radosgw,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Exit {
    match Arguments::parse().server {
        Server::Radosgw => live::radosgw().await,
    }
}
