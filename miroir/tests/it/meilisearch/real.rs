//! The same with a real Meilisearch, where the environment variable `MIROIR_TEST_MEILISEARCH` names its binary.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::suite::{self, Server};

const VARIABLE: &str = "MIROIR_TEST_MEILISEARCH";

/// Generous, for busy machines.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running binary; it ends with this.
struct Running {
    child: Child,
    server: Server,
    _data: tempfile::TempDir,
}

impl Running {
    async fn start(binary: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let key = "a-master-key-for-tests-only";
        let child = Command::new(binary)
            .args([
                "--no-analytics",
                "--http-addr",
                &address,
                "--master-key",
                key,
            ])
            .arg("--db-path")
            .arg(data.path().join("data.ms"))
            .current_dir(data.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Running {
            child,
            server: Server::new(&address, key),
            _data: data,
        };
        let deadline = Instant::now() + PATIENCE;
        while reqwest::get(format!("http://{address}/health"))
            .await
            .is_err()
        {
            assert!(Instant::now() < deadline, "{binary} does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_meilisearch_passes_the_same_suite_if_there_is_one() {
    let Ok(binary) = std::env::var(VARIABLE) else {
        eprintln!("NOT RUN: {VARIABLE} does not name a Meilisearch binary");
        return;
    };
    let with = async || Running::start(&binary).await;
    suite::answers_clients_like_any_node(&with().await.server).await;
    suite::copies_neither_resurrect_nor_take_back(&with().await.server).await;
    suite::is_repaired_and_repairs_others(&with().await.server).await;
    suite::is_swept(&with().await.server).await;
    suite::owns_everything_and_hands_it_all_back(&with().await.server).await;
    suite::takes_shards_and_gives_them_back(&with().await.server).await;
}
