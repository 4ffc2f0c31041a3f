//! The database behind the recordings.

use jiff::Timestamp;
use rust_decimal::Decimal;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;
use waldur_sdk::{
    testing::waldur::{Billing, FakeWaldur, Generation, LimitPeriod, OfferingSeed, OrderState},
    types::{CustomerUuid, OfferingUuid, OrderUuid, PlanUuid, ProjectUuid, ResourceUuid, UserUuid},
};

/// `000000e1-0000-4000-8000-0000000000e1` and the like.
pub(crate) fn id<T: From<Uuid>>(mark: u32) -> T {
    Uuid::from_u128((u128::from(mark) << 96) | (0x4000 << 64) | (0x8000 << 48) | u128::from(mark)).into()
}

/// The token of the user whose id ends so: the same two digits, twenty times.
pub(crate) fn token(mark: u32) -> String {
    format!("{mark:02x}").repeat(20)
}

pub(crate) fn world() -> FakeWaldur {
    let begin: Timestamp = "2026-11-22T05:22:33.000001Z".parse().unwrap();
    let ticks = std::sync::atomic::AtomicI64::new(0);
    let clock = move || {
        let elapsed = ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        begin.checked_add(jiff::SignedDuration::from_millis(elapsed)).unwrap()
    };
    let waldur = FakeWaldur::new(Generation::V2024).with_wall(clock);
    customers(&waldur);
    projects(&waldur);
    offerings(&waldur);
    users(&waldur);
    orders(&waldur);
    waldur
}

fn customers(waldur: &FakeWaldur) {
    let provider = waldur.customer("Provider Org").uuid(id::<CustomerUuid>(0xc1)).slug("provider-1");
    provider.abbreviation("PROV").email("prov@example.com").service_provider(id(0xc3)).create();
    let consumer = waldur.customer("Consumer Org").uuid(id::<CustomerUuid>(0xc2)).slug("consumer-1");
    consumer.abbreviation("CONS").email("cons@example.com").create();
}

fn projects(waldur: &FakeWaldur) {
    let research = waldur.project("Research Project").uuid(id::<ProjectUuid>(0xb1)).slug("research-1");
    research.customer(id(0xc2)).description("Seeded project").create();
    let second = waldur.project("Ülikooli projekt №2").uuid(id::<ProjectUuid>(0xb2)).slug("ulikooli-1");
    second.customer(id(0xc2)).create();
}

fn offerings(waldur: &FakeWaldur) {
    offering(waldur, 0xe1, "HPC allocations (site agent)", "service_provider", true);
    offering(waldur, 0xe2, "HPC allocations, generated usernames", "waldur_username", true);
    offering(waldur, 0xe3, "HPC allocations, limit+usage components only", "service_provider", false);
}

fn offering(waldur: &FakeWaldur, mark: u32, name: &str, policy: &str, all_components: bool) {
    let part = |number: u32| id::<Uuid>(((mark - 0xe0) << 4) + 0xf00 + number);
    let limited = |seed: OfferingSeed, kind: &str, name: &str, unit: &str, period, number| {
        seed.component_with(kind, Billing::Limit, |component| {
            let component = component.uuid(part(number)).name(name).unit(unit).limit_period(period);
            component.bounds(1, 100_000).default_limit(10)
        })
    };
    let mut seed = waldur.offering().uuid(id::<OfferingUuid>(mark)).name(name).customer(id(0xc1));
    seed = seed.category(id(0xd1), "HPC").slug(format!("hpc-allo-{}", mark - 0xe0));
    seed = seed
        .plugin_option("homedir_prefix", "/home/")
        .plugin_option("initial_uidnumber", 5000)
        .plugin_option("initial_usergroup_number", 7000)
        .plugin_option("username_generation_policy", policy)
        .plugin_option("initial_primarygroup_number", 6000)
        .secret_option("service_provider_can_create_offering_user", true)
        .options(json!({"order": ["purpose", "quota_kind"], "options": {
            "purpose": {"type": "string", "label": "Purpose", "required": false},
            "quota_kind": {
                "type": "select_string", "label": "Kind", "choices": ["home", "scratch"], "required": false
            },
        }}));
    seed = limited(seed, "cpu", "Cpu", "k-hours", LimitPeriod::Month, 1);
    seed = limited(seed, "storage", "Storage", "GB", LimitPeriod::Total, 2);
    seed = seed.component_with("gpu_hours", Billing::Usage, |component| {
        component.uuid(part(3)).name("Gpu Hours").unit("hours")
    });
    if all_components {
        seed = seed.component_with("node", Billing::Fixed, |node| node.uuid(part(4)).name("Node").unit("nodes"));
        seed = seed.component_with("setup", Billing::One, |setup| setup.uuid(part(5)).name("Setup").unit("pcs"));
    }
    seed.plan("Default plan", |plan| {
        let plan =
            plan.uuid(PlanUuid::new(part(0))).price("cpu", Decimal::new(5, 1)).price("storage", Decimal::new(1, 1));
        let plan = plan.price("gpu_hours", Decimal::new(125, 2));
        if all_components { plan.price("node", 10).quota("node", 2).price("setup", 100) } else { plan }
    })
    .create();
}

fn users(waldur: &FakeWaldur) {
    let user = |mark: u32, username: &str, first: &str, last: &str| {
        waldur
            .user(username)
            .uuid(id::<UserUuid>(mark))
            .slug(format!("{username}-1"))
            .name(first, last)
            .token(&SecretString::from(token(mark)))
    };
    user(0xa1, "admin", "Stina", "Staff").staff().create();
    user(0xa2, "provider", "Peeter", "Provider").customer_role(id(0xc1), "CUSTOMER.OWNER").create();
    let agent = user(0xa3, "agent", "Agent", "Robot");
    [0xe1, 0xe2, 0xe3]
        .into_iter()
        .fold(agent, |agent, mark| agent.offering_role(id(mark), "OFFERING.MANAGER"))
        .create();
    user(0xa4, "alice", "Alice", "Owner").customer_role(id(0xc2), "CUSTOMER.OWNER").create();
    user(0xa5, "bob", "Bob", "Administrator")
        .project_role(id(0xb1), "PROJECT.ADMIN")
        .project_role(id(0xb2), "PROJECT.MANAGER")
        .ssh_key(
            "bob-key",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzQ2JmT8Zk4m2m9CqL8o3o8oT3b0n1v5n2y3xW1c5Qv bob@example.com",
        )
        .create();
    user(0xa6, "carol", "Carol", "Member").project_role(id(0xb1), "PROJECT.MEMBER").create();
    user(0xa7, "mallory", "Mallory", "Outsider").create();
}

fn orders(waldur: &FakeWaldur) {
    let order = |offering: u32, name: &str, order: &str, resource: &str, by: u32, state| {
        waldur
            .order(id(offering))
            .create_resource(name)
            .uuid(order.parse::<OrderUuid>().unwrap())
            .resource(|seed| seed.uuid(resource.parse::<ResourceUuid>().unwrap()))
            .project(id(0xb1))
            .attributes(json!({"purpose": "testing"}))
            .limits([("cpu", 10), ("storage", 200)])
            .created_by(id(by))
            .in_state(state)
    };
    let pending = OrderState::PendingProvider;
    order(0xe1, "alloc-pending", "8afdf13a85d64993b4953f3be5c5d148", "8afbde9e3fe84e098d44a692bdf71cca", 0xa4, pending);
    order(0xe1, "alloc-spare-1", "a54b992f57724ecca38b1e786a8ee3c6", "610b2ac5b8bd416e988430c52fb953e7", 0xa4, pending);
    order(0xe1, "alloc-spare-2", "3b41e7fe7ef94b7696fd88b56571cbdb", "9118eaa565a74f99aa91622a24885136", 0xa4, pending);
    let waiting = OrderState::PendingConsumer;
    order(0xe1, "alloc-bob", "bae5d86fd2b64665bbd2b689115af318", "fe39c9729dd5439b8b3cccebaaebe120", 0xa5, waiting);
    order(0xe3, "agent-alloc-1", "1292821b6cc34ecb8e2098056e6c454a", "57fcffe3521e42f69556215f75ed7f71", 0xa4, pending);
    order(0xe3, "agent-alloc-2", "3b565ceb2fcf4a5b971246ae90afc12f", "a2e95c7f3ead43a987e1d2865868ec3f", 0xa4, pending);
}
