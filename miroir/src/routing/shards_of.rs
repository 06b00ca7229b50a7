//! `miroir shards-of`: the shard of each primary key on standard input, without a cluster.

use std::io::{BufRead, Write};

use serde_json::json;

use super::shard_of;

/// Options of `miroir shards-of`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShardsOfArgs {
    /// Number of shards
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    shards: u32,
}

/// Reads a key a line and prints `{"id": KEY, "group": "SHARD"}` for each.
pub(crate) fn run(args: &ShardsOfArgs) -> anyhow::Result<()> {
    let out = std::io::BufWriter::new(std::io::stdout().lock());
    print(std::io::stdin().lock(), out, args.shards)
}

fn print(ids: impl BufRead, mut out: impl Write, shards: u32) -> anyhow::Result<()> {
    for id in ids.lines() {
        let id = id?;
        let group = shard_of(&id, shards).to_string();
        writeln!(out, "{}", json!({ "id": id, "group": group }))?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_printed_with_the_shard_that_routing_gives_it() {
        let mut out = Vec::new();
        print("0\ndoc-1\n".as_bytes(), &mut out, 64).unwrap();
        let printed = String::from_utf8(out).unwrap();
        assert_eq!(
            printed,
            "{\"group\":\"21\",\"id\":\"0\"}\n{\"group\":\"1\",\"id\":\"doc-1\"}\n"
        );
    }
}
