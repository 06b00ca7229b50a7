//! Answers every question for a name by the same error; RFC 1035.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use super::counts::Counters;
use crate::ports::DnsMode;

const HEADER_BYTES: usize = 12;

/// The longest question over UDP that is heard, bytes.
const LONGEST: usize = 4096;

/// Ports tried until one is free for UDP and TCP, IPv4 and IPv6.
const ATTEMPTS: u32 = 50;

/// How long a client may take to send its question over TCP.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves in threads of its own; the port that rules are to lead questions to.
pub(super) fn serve(mode: DnsMode, counters: &'static Counters) -> io::Result<u16> {
    let code = match mode {
        DnsMode::Servfail => 2,
        DnsMode::Nxdomain => 3,
        DnsMode::Refused => 5,
        DnsMode::Drop => return Err(io::Error::other("nothing is to be answered")),
    };
    let (port, datagrams, connections) = sockets()?;
    for socket in datagrams {
        thread::spawn(move || {
            let mut question = [0; LONGEST];
            loop {
                // An error concerns an earlier answer, which its asker did not wait for.
                let Ok((length, asker)) = socket.recv_from(&mut question) else {
                    continue;
                };
                counters.connection();
                if let Some(answer) = answer(&question[..length], code) {
                    // Counted first: who has the answer may ask for the count at once.
                    counters.affected();
                    let _ = socket.send_to(&answer, asker);
                }
            }
        });
    }
    for listener in connections {
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let _ = thread::Builder::new().spawn(move || converse(client, code, counters));
            }
        });
    }
    Ok(port)
}

/// Sockets of one port for both protocols on the loopback addresses, where rules lead questions.
fn sockets() -> io::Result<(u16, Vec<UdpSocket>, Vec<TcpListener>)> {
    let on = |address: IpAddr, port| -> io::Result<(UdpSocket, TcpListener)> {
        let datagrams = UdpSocket::bind((address, port))?;
        let port = datagrams.local_addr()?.port();
        Ok((datagrams, TcpListener::bind((address, port))?))
    };
    let mut refusal = io::Error::other("no port was tried");
    for _ in 0..ATTEMPTS {
        let (datagrams, listener) = match on(Ipv4Addr::LOCALHOST.into(), 0) {
            Ok(both) => both,
            Err(error) => {
                refusal = error;
                continue;
            }
        };
        let port = listener.local_addr()?.port();
        match on(Ipv6Addr::LOCALHOST.into(), port) {
            Ok((datagrams6, listener6)) => {
                return Ok((port, vec![datagrams, datagrams6], vec![listener, listener6]));
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => refusal = error,
            // There is no IPv6 on this node, so nobody asks over it.
            Err(_) => return Ok((port, vec![datagrams], vec![listener])),
        }
    }
    Err(refusal)
}

/// Answers the questions of a connection, each with its length before it.
fn converse(mut client: TcpStream, code: u8, counters: &Counters) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    loop {
        let mut length = [0; 2];
        client.read_exact(&mut length)?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        client.read_exact(&mut question)?;
        counters.connection();
        let Some(answer) = answer(&question, code) else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        counters.affected();
        client.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())?;
    }
}

/// The answer to a question: the question itself with an error code; `None` if it is no question.
fn answer(question: &[u8], code: u8) -> Option<Vec<u8>> {
    const IS_ANSWER: u8 = 0x80;
    const RECURSION_AVAILABLE: u8 = 0x80;
    let header = question.get(..HEADER_BYTES)?;
    if header[2] & IS_ANSWER != 0 {
        return None;
    }
    let end = end_of_question(question);
    let mut answer = question[..end.unwrap_or(HEADER_BYTES)].to_vec();
    answer[2] |= IS_ANSWER;
    answer[3] = RECURSION_AVAILABLE | code;
    let questions = u8::from(end.is_some());
    answer[4..HEADER_BYTES].copy_from_slice(&[0, questions, 0, 0, 0, 0, 0, 0]);
    Some(answer)
}

/// Where the first question of a message ends; `None` if there is none.
fn end_of_question(message: &[u8]) -> Option<usize> {
    let mut at = HEADER_BYTES;
    loop {
        match *message.get(at)? {
            0 => break,
            // Names in questions are not abbreviated.
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    // The end of the name, type and class.
    let end = at + 5;
    (end <= message.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for `a.bc`, with a record after the question that is no part of it.
    fn question() -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];
        bytes.extend(b"\x01a\x02bc\0\0\x01\0\x01");
        bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn an_answer_repeats_number_and_question_and_carries_the_code() {
        let answer = answer(&question(), 2).unwrap();
        assert_eq!(answer[..2], [0xab, 0xcd]);
        assert_eq!(answer[2..4], [0x81, 0x82]);
        assert_eq!(answer[4..12], [0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(answer[12..], *b"\x01a\x02bc\0\0\x01\0\x01");
    }

    #[test]
    fn what_is_no_question_gets_no_answer_and_a_broken_one_the_code_alone() {
        let full = question();
        assert_eq!(answer(&full[..11], 2), None);
        let mut said = full.clone();
        said[2] |= 0x80;
        assert_eq!(answer(&said, 2), None, "answers are not answered");
        let broken = answer(&full[..15], 5).unwrap();
        assert_eq!(broken.len(), HEADER_BYTES);
        assert_eq!((broken[3], broken[5]), (0x85, 0));
    }
}
