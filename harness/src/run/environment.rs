//! Facts about the control machine.

/// Facts about the control machine, for people.
pub(super) fn environment() -> Vec<(String, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let memory_kib: u64 = read("/proc/meminfo")
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    vec![
        (
            "kernel".to_owned(),
            read("/proc/sys/kernel/osrelease").trim().to_owned(),
        ),
        ("processors".to_owned(), cpus.to_string()),
        ("memory".to_owned(), format!("{} MiB", memory_kib / 1024)),
    ]
}
