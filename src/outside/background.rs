//! Work that may take its time: on a thread of its own, behind everything else that wants to run.

use std::future::Future;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// As far behind as the system lets a thread be.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Runs a future on a thread of its own, on Linux with the lowest priority; `None` when it panicked or no
/// thread could be had. What it awaits is driven by the runtime that this is called on.
pub async fn background<T, F>(
    name: &'static str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (done, outcome) = oneshot::channel();
    let runtime = Handle::current();
    let run = move || {
        // There the priority is the thread's own. Without it the work goes on all the same.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "a thread keeps its priority");
        }
        done.send(runtime.block_on(work())).ok();
    };
    match thread::Builder::new().name(name.to_owned()).spawn(run) {
        Ok(_) => outcome.await.ok(),
        Err(error) => {
            tracing::warn!(%error, name, "no thread could be had");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_stands_behind_all_others() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        assert_eq!(background("behind", move || async move { own() }).await, Some(NICE));
        assert_eq!(own(), before, "nobody else does");
    }
}
