//! How long packets take at half of the load that the server carries.

use super::relaying::numbers;
use super::{Kind, Place, ROUNDS, Server, Verdict};
use crate::child::middle;

/// How many times what the plainest relay adds the server may add, at the 99th percentile.
const TIMES_RELAY: f64 = 2.0;

struct Run {
    percentiles: [f64; 3],
    busy: f64,
    lost: f64,
}

pub(super) fn run(place: &Place) -> Result<Vec<Verdict>, String> {
    let servers = Kind::ALL.into_iter().map(|kind| place.start(kind)).collect::<Result<Vec<_>, _>>()?;
    let most = servers[0].measure("relay --bytes 200 --millis 1000")?;
    let [received, seconds] = numbers(&most, ["received", "seconds"])?;
    let rate = (received / seconds / 2.0).round();
    println!(
        "\nmicroseconds from one end to the other, 200 B at {rate:.0} packets/s (half of what the closed loop reached):\n"
    );
    println!("{:10}{:>9}{:>9}{:>9}{:>11}{:>7}{:>6}", "", "50 %", "99 %", "99.9 %", "added 99 %", "busy", "lost");
    let mut rows: Vec<_> = (0..=servers.len()).map(|_| Vec::new()).collect();
    let load = format!("latency --bytes 200 --millis 1000 --rate {rate}");
    for _ in 0..ROUNDS {
        rows[0].push(measure(&servers[0], &format!("{load} --direct"))?);
        for (server, row) in servers.iter().zip(&mut rows[1..]) {
            row.push(measure(server, &load)?);
        }
    }
    let names = ["direct"].into_iter().chain(servers.iter().map(|it| it.kind.name()));
    let mut added = Vec::new();
    let direct = middle(rows[0].iter().map(|run| run.percentiles[1]));
    for (name, runs) in names.zip(&rows) {
        let [p50, p99, p999] = [0, 1, 2].map(|index| middle(runs.iter().map(|run| run.percentiles[index])));
        let (busy, lost) = (middle(runs.iter().map(|run| run.busy)), runs.iter().map(|run| run.lost).sum::<f64>());
        println!("{name:10}{p50:9.1}{p99:9.1}{p999:9.1}{:11.1}{:6.0} %{lost:6.0}", p99 - direct, busy * 100.0);
        added.push(p99 - direct);
    }
    let [_, plenary, _, call, ..] = added[..] else { return Err("servers are missing".to_owned()) };
    let what = "latency: what is added at the 99th percentile, beside a relay without TURN";
    // Where others were so busy that the relay seems to add nothing, nothing is said of how much more that is.
    let times = if call > 0.0 { plenary / call } else { f64::NAN };
    Ok(vec![Verdict::at_most(what, times, TIMES_RELAY)])
}

fn measure(server: &Server, load: &str) -> Result<Run, String> {
    let told = server.measure(load)?;
    let [p50, p99, p999, busy, lost] = numbers(&told, ["p50_us", "p99_us", "p999_us", "busy", "lost"])?;
    Ok(Run { percentiles: [p50, p99, p999], busy, lost })
}
