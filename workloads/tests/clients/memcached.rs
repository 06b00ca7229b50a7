//! As much of memcached as the example client needs, for tests on machines that have none.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Debug, Default)]
struct Items {
    /// Value and the number of its last write.
    values: HashMap<String, (String, u64)>,
    writes: u64,
}

/// Starts a server; its threads end with the test.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let items = Arc::new(Mutex::new(Items::default()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let items = items.clone();
            std::thread::spawn(move || serve(&stream, &items));
        }
    });
    address
}

/// Until the connection ends. A command whose line or data is not whole is not carried out.
fn serve(stream: &TcpStream, items: &Mutex<Items>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let line = line(&mut reader)?;
        let words: Vec<&str> = line.split(' ').collect();
        let data = match words[0] {
            "set" | "add" | "cas" => Some(self::line(&mut reader)?),
            _ => None,
        };
        let answer = items.lock().unwrap().carry_out(&words, data);
        writer.write_all(answer.as_bytes()).ok()?;
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    Some(line.strip_suffix("\r\n")?.to_owned())
}

impl Items {
    fn carry_out(&mut self, words: &[&str], data: Option<String>) -> String {
        let key = words[1];
        let there = self.values.get(key).cloned();
        match (words[0], there) {
            ("gets", None) => "END\r\n".to_owned(),
            ("gets", Some((value, unique))) => {
                let length = value.len();
                format!("VALUE {key} 0 {length} {unique}\r\n{value}\r\nEND\r\n")
            }
            ("add", Some(_)) => "NOT_STORED\r\n".to_owned(),
            ("cas", None) | ("incr", None) => "NOT_FOUND\r\n".to_owned(),
            ("cas", Some((_, unique))) if words[5] != unique.to_string() => "EXISTS\r\n".to_owned(),
            ("set" | "add" | "cas", _) => {
                self.write(key, data.unwrap());
                "STORED\r\n".to_owned()
            }
            ("incr", Some((value, _))) => {
                let sum = value.parse::<u64>().unwrap() + words[2].parse::<u64>().unwrap();
                self.write(key, sum.to_string());
                format!("{sum}\r\n")
            }
            other => format!("ERROR {other:?}\r\n"),
        }
    }

    fn write(&mut self, key: &str, value: String) {
        self.writes += 1;
        self.values.insert(key.to_owned(), (value, self.writes));
    }
}
