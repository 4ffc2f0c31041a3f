//! A croit: does it let us in, who is there, and does it have the statistics that bills are made from?

use waldur_sdk::{
    ErrorKind, Result,
    backend::{Finding, Outcome},
    types::Timestamp,
};

use super::{clock, region, tls, users, usual_remedy, with_remedy};
use crate::{
    croit::{CroitClient, Login, User, UserList, Window, error},
    s3::Uid,
    settings::{Flavour, S3Settings, UsageModel},
};

pub(super) async fn findings(
    client: &CroitClient,
    settings: &S3Settings,
    is_ours: impl Fn(&User) -> bool + Send,
) -> Vec<Finding> {
    let (list, first) = match client.users().all().await {
        Ok(list) => (Some(list), Ok(())),
        Err(error) => (None, Err(error)),
    };
    let Flavour::Croit(croit) = &settings.flavour else { return Vec::new() };
    let with_token = matches!(croit.login, Login::Token(_));
    let mut findings = vec![tls(&croit.api_url.to_string(), settings, &first), login(with_token, first)];
    if let Some(list) = &list {
        findings.push(count(list));
        let (ours, others): (Vec<&User>, Vec<&User>) = list.iter().partition(|user| is_ours(user));
        let uids = ours.into_iter().chain(others).filter_map(|user| Uid::new(user.uid.as_str()).ok());
        findings.push(graph(client, uids.take(ASKED).collect(), settings.usage_model()).await);
    }
    findings.extend(s3(client, settings).await);
    findings.push(region(settings));
    findings
}

/// Whether S3 itself answers where customers are sent to, and purging goes. Asked without anybody's key.
async fn s3(client: &CroitClient, settings: &S3Settings) -> [Finding; 2] {
    const CHECK: &str = "s3_endpoint";
    match client.greet_s3(&settings.endpoint, settings.timeout).await {
        Ok(ahead) => [Finding::passed(CHECK, "S3 answers"), clock(ahead)],
        Err(error) => {
            let remedy = |kind| match kind {
                ErrorKind::WrongContent => Some("check s3_endpoint".to_owned()),
                kind => usual_remedy(kind),
            };
            [with_remedy(CHECK, Err(error), remedy), clock(None)]
        }
    }
}

fn login(with_token: bool, first: Result<()>) -> Finding {
    let remedy = |kind| match kind {
        ErrorKind::Unauthenticated if with_token => {
            Some("make a new token: croit's expire; a username and a password do not".to_owned())
        }
        ErrorKind::Unauthenticated => Some("check username and password".to_owned()),
        ErrorKind::Config | ErrorKind::WrongContent | ErrorKind::Decode => Some("check api_url".to_owned()),
        kind => usual_remedy(kind),
    };
    with_remedy(if with_token { "token" } else { "login" }, first, remedy)
}

fn count(list: &UserList) -> Finding {
    if list.bad().is_empty() {
        return users(list.iter().count(), true);
    }
    let detail = format!("{} users, and {} that cannot be read", list.iter().count(), list.bad().len());
    Finding::new("users", Outcome::Warning, detail)
}

/// So many users are asked about before it is said that croit measures nobody.
const ASKED: usize = 8;

const STATISTICS: &str = "statistics";

/// Asks for the statistics of a day, of one user after the other until one has a reading.
async fn graph(client: &CroitClient, uids: Vec<Uid>, model: UsageModel) -> Finding {
    let asked = uids.len();
    for uid in uids {
        if let Some(finding) = graph_of(client, &uid, model).await {
            return finding;
        }
    }
    if asked == 0 {
        return Finding::new(STATISTICS, Outcome::Skipped, "there is no user to ask about");
    }
    let detail =
        format!("croit draws what users store over time, and has no reading of the last day of any of {asked}");
    let outcome = if model == UsageModel::GbDays { Outcome::Warning } else { Outcome::Skipped };
    let remedy = "see whether croit shows statistics of these users, and under which names";
    Finding::new(STATISTICS, outcome, detail).with_remedy(remedy)
}

/// `None` where croit has no readings of this user.
async fn graph_of(client: &CroitClient, uid: &Uid, model: UsageModel) -> Option<Finding> {
    const CHECK: &str = STATISTICS;
    let wanted = model == UsageModel::GbDays;
    let now = client.environment().now();
    let from = now.as_second().saturating_sub(24 * 60 * 60);
    let window = Window { from: Timestamp::from_second(from).unwrap_or(now), until: now };
    Some(match client.stats().user_data(uid, window).await {
        Ok(series) if series.points.len() < 2 && wanted => {
            let detail = "croit answers an empty series where the time before a user is padded, too";
            Finding::new(CHECK, Outcome::Failed, detail).with_remedy("ask croit, or use usage_model: current")
        }
        Ok(series) if !series.has_readings() => return None,
        Ok(_) => Finding::passed(CHECK, "croit draws what users store over time"),
        Err(error) if error.code() == Some(error::NO_SUCH_GRAPH) && wanted => {
            let detail = "croit has no graph s3-user-data, so gb_days cannot be measured";
            Finding::new(CHECK, Outcome::Failed, detail).with_remedy("ask croit, or use usage_model: current")
        }
        Err(error) if error.code() == Some(error::NO_SUCH_GRAPH) => {
            Finding::new(CHECK, Outcome::Skipped, "croit has no graph s3-user-data; only gb_days needs it")
        }
        Err(error) if wanted => with_remedy(CHECK, Err(error), usual_remedy),
        Err(error) => Finding::new(CHECK, Outcome::Skipped, error.to_string()),
    })
}
