//! The readings of one case side by side, with their ratios to both proxies.

use super::reading::Reading;

pub struct Row {
    pub name: &'static str,
    pub reading: Reading,
}

pub struct Table {
    title: String,
    rows: Vec<Row>,
}

impl Table {
    pub fn new(clip: &str, bytes: usize, connections: usize) -> Table {
        let kb = bytes as f64 / 1e3;
        let title = format!("{clip} clip ({kb:.0} kB), {connections} connections");
        Table { title, rows: Vec::new() }
    }

    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn print(&self) {
        println!("\n{}", self.title);
        println!(
            "{:<9}{:>11}{:>13}{:>9}{:>9}{:>12}{:>12}{:>10}{:>12}",
            "",
            "messages/s",
            "ms CPU each",
            "p50 ms",
            "p99 ms",
            "rate h/a",
            "CPU h/a",
            "calls",
            "commit p50"
        );
        for row in &self.rows {
            let reading = &row.reading;
            let (calls, commit) = reading.numbers.as_ref().map_or_else(Default::default, |own| {
                let calls = own.calls / reading.waits.len() as f64;
                (format!("{calls:.1}"), format!("{:.2} ms", own.commit_ms(0.5)))
            });
            println!(
                "{:<9}{:>11.0}{:>13.3}{:>9.2}{:>9.2}{:>12}{:>12}{calls:>10}{commit:>12}",
                row.name,
                reading.rate(),
                reading.cpu_ms(),
                reading.wait_ms(50),
                reading.wait_ms(99),
                self.ratios(reading, Reading::rate),
                self.ratios(reading, Reading::cpu_ms),
            );
            if !reading.others.is_empty() {
                println!("{:<9}  answers other than 201: {:?}", "", reading.others);
            }
        }
        self.judge_latency();
    }

    /// To the hyper proxy and to the actix-web proxy.
    fn ratios(&self, reading: &Reading, of: impl Fn(&Reading) -> f64) -> String {
        let to = |name| match self.reading(name) {
            Some(proxy) => format!("{:.2}", of(reading) / of(proxy)),
            None => "-".to_owned(),
        };
        format!("{}/{}", to("hyper"), to("actix"))
    }

    fn reading(&self, name: &str) -> Option<&Reading> {
        self.rows.iter().find(|row| row.name == name).map(|row| &row.reading)
    }

    /// What the gateway adds to the actix-web proxy, beside what its three commits took.
    fn judge_latency(&self) {
        let Some(proxy) = self.reading("actix") else { return };
        for name in ["gateway", "2 calls"] {
            let Some(reading) = self.reading(name) else { continue };
            let Some(own) = &reading.numbers else { continue };
            println!(
                "{name}: adds p50 {:.2} ms, p99 {:.2} ms; three commits p50 {:.2} ms",
                reading.wait_ms(50) - proxy.wait_ms(50),
                reading.wait_ms(99) - proxy.wait_ms(99),
                3.0 * own.commit_ms(0.5),
            );
        }
    }
}
