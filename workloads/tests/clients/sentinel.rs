//! The client of Redis, and a Sentinel that makes another server the primary.
//!
//! Run like the tests in `real.rs`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use shakedown_workloads::objects::clients::redis::{RedisClient, RedisConfig, Sentinel};
use shakedown_workloads::objects::{Answer, Client, Effect, Invocation, Spec};

use crate::real::{Server, free_port, start_redis};

const NAME: &str = "shaken";

fn client(server: SocketAddr, sentinel: Option<(SocketAddr, &str)>) -> RedisClient {
    let config = RedisConfig {
        address: server.to_string(),
        sentinel: sentinel.map(|(address, name)| Sentinel {
            address: address.to_string(),
            name: name.to_owned(),
        }),
        timeout: Duration::from_secs(1),
    };
    RedisClient::new(config, &Spec::of_kind("set").unwrap())
}

fn asked(f: &'static str, value: Value) -> Invocation {
    Invocation {
        f: f.into(),
        key: None,
        value,
    }
}

/// The first line that a server answers to a command.
fn command(server: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(250)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_client_follows_the_primary_that_its_sentinel_names() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (_first, first) = start_redis(dirs[0].path());
    let (_second, second) = start_redis(dirs[1].path());
    command(second, &format!("REPLICAOF 127.0.0.1 {}", first.port()));
    let port = free_port();
    let config = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {} 1\n",
        first.port()
    );
    std::fs::write(dirs[2].path().join("sentinel.conf"), config).unwrap();
    let words = ["redis-server", "sentinel.conf", "--sentinel"];
    let _sentinel = Server::start(dirs[2].path(), port, &words);
    let sentinel = SocketAddr::from(([127, 0, 0, 1], port));

    // A replica takes no writes, and says so for certain.
    match client(second, None).invoke(&asked("add", 1.into())).await {
        Answer::Error(error, _) => {
            assert_eq!((&*error.name, error.effect), ("read-only", Effect::None));
        }
        other => panic!("{other:?}"),
    }
    // Nobody knows this name.
    let mut lost = client(first, Some((sentinel, "other")));
    match lost.invoke(&asked("add", 1.into())).await {
        Answer::Error(error, _) => assert_eq!(error.name, "no-primary"),
        other => panic!("{other:?}"),
    }

    // The address it is given is nobody's: it goes by what the Sentinel says.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut following = client(nobody, Some((sentinel, NAME)));
    let add = |value: i64| asked("add", value.into());
    assert_eq!(following.invoke(&add(1)).await, Answer::Ok(Value::Null));
    for attempt in 0.. {
        assert!(attempt < 200, "the Sentinel finds no replica");
        if command(sentinel, &format!("SENTINEL FAILOVER {NAME}")).starts_with("+OK") {
            break;
        }
        pause().await;
    }
    let mut second = client(second, None);
    for value in 2..200 {
        let added = following.invoke(&add(value)).await == Answer::Ok(Value::Null);
        let there = second.invoke(&asked("read", Value::Null)).await;
        let promoted = second.invoke(&add(1000)).await == Answer::Ok(Value::Null);
        if let Answer::Ok(Value::Array(elements)) = there
            && added
            && promoted
            && elements.contains(&value.into())
        {
            return;
        }
        pause().await;
    }
    panic!("the client did not follow");
}
