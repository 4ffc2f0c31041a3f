//! One at a time for each key, whoever is polled and whoever goes away.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{join_all, pending},
};
use tokio::time::{Instant, sleep, timeout};
use waldur_sdk::rest::Serial;

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// An operation of one second that logs its begin and its end.
    fn operation(&self, name: &'static str) -> impl Future<Output = &'static str> + Send + 'static {
        let log = self.clone();
        async move {
            log.add(format!("+{name}"));
            sleep(SECOND).await;
            log.add(format!("-{name}"));
            name
        }
    }
}

#[tokio::test(start_paused = true)]
async fn operations_on_one_key_run_in_order_and_answer_their_own_callers() {
    let (serial, log) = (Serial::new(), Log::default());
    let begin = Instant::now();
    let answers = join_all(["a", "b", "c"].map(|name| serial.run("user", log.operation(name)))).await;
    assert_eq!(answers, ["a", "b", "c"]);
    assert_eq!(
        (log.lines(), begin.elapsed()),
        (["+a", "-a", "+b", "-b", "+c", "-c"].map(String::from).to_vec(), 3 * SECOND)
    );
    assert_eq!(serial.busy(), 0);
}

#[tokio::test(start_paused = true)]
async fn operations_on_different_keys_run_side_by_side() {
    let (serial, log) = (Serial::new(), Log::default());
    let begin = Instant::now();
    join_all((0..100).map(|key| serial.run(key % 50, log.operation("x")))).await;
    assert_eq!(begin.elapsed(), 2 * SECOND);
    assert_eq!(serial.busy(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_not_polled_blocks_nobody() {
    let (serial, log) = (Serial::new(), Log::default());
    // Futurelock: the first is begun, then never polled again by the very task that waits for the second.
    let mut first = Box::pin(serial.run((), log.operation("a")));
    assert!((&mut first).now_or_never().is_none());
    let second = timeout(60 * SECOND, serial.run((), log.operation("b"))).await;
    assert_eq!(second.unwrap(), "b");
    assert_eq!(log.lines(), ["+a", "-a", "+b", "-b"]);
    assert_eq!(first.now_or_never(), Some("a"), "its result waited for it");
    assert_eq!(serial.busy(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_with_an_async_mutex_hangs() {
    let (mutex, log) = (tokio::sync::Mutex::new(()), Log::default());
    let run = |operation| async {
        let _guard = mutex.lock().await;
        operation.await
    };
    let mut first = Box::pin(run(log.operation("a").boxed()));
    assert!((&mut first).now_or_never().is_none());
    assert!(timeout(60 * SECOND, run(log.operation("b").boxed())).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_began_is_finished_by_those_who_wait_behind_it() {
    let (serial, log) = (Serial::new(), Log::default());
    let mut first = Box::pin(serial.run((), log.operation("a")));
    let mut second = Box::pin(serial.run((), log.operation("b")));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    assert_eq!(second.await, "b");
    assert_eq!(log.lines(), ["+a", "-a", "+b", "-b"]);
    // Nor is it lost on those who have not seen it begin.
    let mut callers = ["c", "d", "e"].map(|name| Box::pin(serial.run((), log.operation(name))));
    for caller in &mut callers {
        assert!((caller).now_or_never().is_none());
    }
    let [first, mut second, third] = callers;
    sleep(SECOND).await;
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(log.lines().split_off(4), ["+c", "-c", "+d"]);
    drop(second);
    futures_util::future::join(first, third).await;
    assert_eq!(log.lines().split_off(6), ["+d", "-d", "+e", "-e"]);
    assert_eq!(serial.busy(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_had_not_begun_goes_with_its_caller() {
    let (serial, log) = (Serial::new(), Log::default());
    let mut callers = ["a", "b", "c"].map(|name| Some(Box::pin(serial.run((), log.operation(name)))));
    for caller in callers.iter_mut().flatten() {
        assert!((caller).now_or_never().is_none());
    }
    callers[1] = None;
    join_all(callers.into_iter().flatten()).await;
    assert_eq!(log.lines(), ["+a", "-a", "+c", "-c"]);
    // And one that comes after a vanished waiter still waits for who came before it.
    let mut early = Box::pin(serial.run((), log.operation("d")));
    assert!((&mut early).now_or_never().is_none());
    assert!(timeout(SECOND / 2, serial.run((), log.operation("e"))).await.is_err());
    let late = serial.run((), log.operation("f"));
    futures_util::future::join(early, late).await;
    assert_eq!(log.lines().split_off(4), ["+d", "-d", "+f", "-f"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_when_everybody_has_gone() {
    let serial = Serial::new();
    let held = Arc::new(());
    for _ in 0..10 {
        let mut callers: Vec<_> = (0..10)
            .map(|key| {
                let held = held.clone();
                let operation = async move {
                    pending::<()>().await;
                    drop(held);
                };
                Box::pin(serial.run(key % 3, operation))
            })
            .collect();
        for caller in &mut callers {
            assert!((caller).now_or_never().is_none());
        }
        assert_eq!(serial.busy(), 3);
        // The first of each key, which has begun, goes before those behind it.
        callers.drain(..3);
        assert_eq!((serial.busy(), Arc::strong_count(&held)), (3, 11), "begun operations wait for their followers");
    }
    assert_eq!((serial.busy(), Arc::strong_count(&held)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_its_own_callers() {
    let (serial, log) = (Serial::new(), Log::default());
    let bug = async {
        sleep(SECOND).await;
        std::panic::resume_unwind(Box::new("bug"));
    };
    let first = std::panic::AssertUnwindSafe(serial.run((), bug)).catch_unwind();
    let (first, second) = futures_util::future::join(first, serial.run((), log.operation("b"))).await;
    assert_eq!(first.unwrap_err().downcast_ref(), Some(&"bug"));
    assert_eq!((second, serial.busy()), ("b", 0));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_on_one_key_are_no_burden() {
    let serial = Serial::new();
    let running = Arc::new(Mutex::new(0));
    let operations = (0..1000).map(|number| {
        let running = running.clone();
        serial.run("user", async move {
            *running.lock().unwrap() += 1;
            tokio::task::yield_now().await;
            assert_eq!(*running.lock().unwrap(), 1, "never two at once");
            *running.lock().unwrap() -= 1;
            number
        })
    });
    assert_eq!(join_all(operations).await, (0..1000).collect::<Vec<_>>());
    assert_eq!(serial.busy(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_on_several_threads_are_served_one_at_a_time() {
    let serial = Serial::new();
    let running = Arc::new(Mutex::new(0_u32));
    let tasks = (0..200_u32).map(|number| {
        let (serial, running) = (serial.clone(), running.clone());
        tokio::spawn(async move {
            let operation = async move {
                *running.lock().unwrap() += 1;
                tokio::task::yield_now().await;
                std::mem::take(&mut *running.lock().unwrap())
            };
            let run = serial.run(number % 2, operation);
            // Some go away after a few polls.
            if number % 5 == 0 { timeout(Duration::ZERO, run).await.ok() } else { Some(run.await) }
        })
    });
    let counts: Vec<u32> = join_all(tasks).await.into_iter().filter_map(Result::unwrap).collect();
    assert!(counts.len() >= 160 && counts.iter().all(|count| *count <= 2), "two keys, so two at the most: {counts:?}");
    assert_eq!(serial.busy(), 0);
}
