//! Work that may take its time: on a thread of its own, behind everything else that wants to run.

use std::future::Future;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// As far behind as the system lets a thread be.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;
/// A thread that rests looks up so often.
const NAP: Duration = Duration::from_millis(50);

/// Runs a future on a thread of its own, on Linux with the lowest priority; `None` when it panicked or no
/// thread could be had. What it awaits is driven by the runtime that this is called on, and it ends where
/// it waits when nobody waits for it any more.
pub async fn background<T, F>(
    name: &'static str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (mut done, outcome) = oneshot::channel();
    let runtime = Handle::current();
    let run = move || {
        // There the priority is the thread's own. Without it the work goes on all the same.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "a thread keeps its priority");
        }
        let made = runtime.block_on(async {
            tokio::select! {
                // Looked at first: a runtime that ends drops who waits, and its timers are no more.
                biased;
                () = done.closed() => None,
                made = work() => Some(made),
            }
        });
        if let Some(made) = made {
            done.send(made).ok();
        }
    };
    match thread::Builder::new().name(name.to_owned()).spawn(run) {
        Ok(_) => outcome.await.ok(),
        Err(error) => {
            tracing::warn!(%error, name, "no thread could be had");
            None
        }
    }
}

/// Has such a thread rest. It sleeps itself, in short naps: the timers of a runtime that ends would have it
/// panic, and it is to see that nobody waits for it any more.
pub async fn pause(time: Duration) {
    let until = Instant::now() + time;
    loop {
        tokio::task::yield_now().await;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(NAP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_waits_for_what_the_runtime_drives_and_a_panic_is_nothing() {
        let slept = background("sleeps", || async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            thread::current().name().map(ToOwned::to_owned)
        });
        assert_eq!(slept.await, Some(Some("sleeps".to_owned())));
        let dies = background("dies", || async {
            if thread::current().name() == Some("dies") {
                panic!("as the test wants");
            }
        });
        assert_eq!(dies.await, None);
    }

    #[test]
    fn it_ends_with_the_runtime_that_drives_it() {
        struct Ends(std::sync::mpsc::Sender<bool>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.send(thread::panicking()).ok();
            }
        }
        let (ends, ended) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (says, said) = oneshot::channel();
            tokio::spawn(background("long", || async move {
                let _ends = Ends(ends);
                says.send(()).ok();
                pause(Duration::from_secs(3_600)).await;
            }));
            said.await.unwrap();
        });
        drop(runtime);
        assert!(!ended.recv().unwrap(), "without a panic");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_stands_behind_all_others() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        assert_eq!(background("behind", move || async move { own() }).await, Some(NICE));
        assert_eq!(own(), before, "nobody else does");
    }
}
