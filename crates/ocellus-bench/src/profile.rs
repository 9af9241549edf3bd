//! Where the time of the runs goes, operation by operation.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use ocellus_base::clock::Clock;
use ocellus_base::columns::columns;
use ocellus_base::trace::Recorder;
use serde_json::{Value, json};

use crate::flame;

/// Names of spans, each inside the one before it.
type Path = Vec<&'static str>;

/// Measures spans as they come.
#[derive(Clone)]
pub struct Profiler {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    open: HashMap<ThreadId, Vec<Open>>,
    found: BTreeMap<Path, Spent>,
}

/// A span that has not ended.
struct Open {
    name: &'static str,
    started_ns: u64,
    /// What spans inside it took.
    inside_ns: u64,
}

/// All spans of one path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub count: u64,
    /// Without the spans inside.
    pub own_ns: u64,
}

impl Profiler {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Arc::default(),
        }
    }

    /// What was found so far.
    pub fn profile(&self) -> Profile {
        Profile(self.state().found.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked in here leaves numbers that are as good as before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for Profiler {
    fn enter(&self, name: &'static str) {
        let mut state = self.state();
        let open = state.open.entry(std::thread::current().id()).or_default();
        open.push(Open {
            name,
            // The last thing, so that the bookkeeping is not counted here.
            started_ns: self.clock.now_ns(),
            inside_ns: 0,
        });
    }

    fn leave(&self) {
        let now_ns = self.clock.now_ns();
        let mut state = self.state();
        let open = state.open.entry(std::thread::current().id()).or_default();
        let path: Path = open.iter().map(|span| span.name).collect();
        // Nothing is open that was opened before anybody listened.
        let Some(span) = open.pop() else { return };
        let total_ns = now_ns.saturating_sub(span.started_ns);
        if let Some(around) = open.last_mut() {
            around.inside_ns += total_ns;
        }
        let spent = state.found.entry(path).or_default();
        spent.count += 1;
        spent.own_ns += total_ns.saturating_sub(span.inside_ns);
    }
}

/// What paths of spans took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile(BTreeMap<Path, Spent>);

/// An operation in one part of the work.
struct Row {
    part: &'static str,
    operation: &'static str,
    spent: Spent,
}

impl Profile {
    fn total_ns(&self) -> u64 {
        self.0.values().map(|spent| spent.own_ns).sum()
    }

    /// An operation of a part, wherever in it; those that took longest first.
    fn rows(&self) -> Vec<Row> {
        let mut sums: BTreeMap<(&str, &str), Spent> = BTreeMap::new();
        for (path, spent) in &self.0 {
            if let (Some(part), Some(operation)) = (path.first(), path.last()) {
                let sum = sums.entry((part, operation)).or_default();
                sum.count += spent.count;
                sum.own_ns += spent.own_ns;
            }
        }
        let row = |((part, operation), spent)| Row {
            part,
            operation,
            spent,
        };
        let mut rows: Vec<Row> = sums.into_iter().map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.spent.own_ns));
        rows
    }

    /// A row for each operation; what no operation inside a part accounts for stands as the part's own.
    pub fn table(&self) -> String {
        let all = self.total_ns().max(1) as f64;
        let head = ["part", "operation", "times", "ms", "share"]
            .map(str::to_owned)
            .to_vec();
        let rows = self.rows().into_iter().map(|row| {
            let own = if row.part == row.operation {
                "(itself)"
            } else {
                row.operation
            };
            vec![
                row.part.to_owned(),
                own.to_owned(),
                row.spent.count.to_string(),
                format!("{:.1}", row.spent.own_ns as f64 / 1e6),
                format!("{:.1} %", row.spent.own_ns as f64 / all * 100.0),
            ]
        });
        columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
    }

    pub fn json(&self) -> Value {
        let all = self.total_ns().max(1) as f64;
        let row = |row: Row| {
            let share = (row.spent.own_ns as f64 / all * 1e4).round() / 1e4;
            let ms = (row.spent.own_ns as f64 / 1e3).round() / 1e3;
            json!({"part": row.part, "operation": row.operation, "count": row.spent.count, "ms": ms, "share": share})
        };
        self.rows().into_iter().map(row).collect()
    }

    /// A line for each path: names between semicolons, then microseconds of its own.
    pub fn folded(&self) -> String {
        let line = |(path, spent): (&Path, &Spent)| format!("{} {}\n", path.join(";"), spent.own_ns / 1000);
        self.0.iter().map(line).collect()
    }

    /// A flame graph.
    pub fn flames(&self, title: &str) -> String {
        let stacks = self.0.iter().map(|(path, spent)| (&path[..], spent.own_ns));
        flame::graph(title, stacks)
    }
}

#[cfg(test)]
mod tests {
    use ocellus_base::ManualClock;

    use super::*;

    /// Two runs of a tower of two layers and one prompt, under a clock that is moved by hand.
    pub fn profile() -> Profile {
        let clock = Arc::new(ManualClock::new(5));
        let profiler = Profiler::new(clock.clone());
        let within = |name: &'static str, work: &dyn Fn()| {
            profiler.enter(name);
            work();
            profiler.leave();
        };
        for _ in 0..2 {
            within("tower", &|| {
                for _ in 0..2 {
                    within("attention", &|| clock.advance(10));
                    within("mlp", &|| {
                        within("linear", &|| clock.advance(100));
                        clock.advance(20);
                    });
                    within("linear", &|| clock.advance(30));
                }
                clock.advance(1);
            });
        }
        within("prefill", &|| within("linear", &|| clock.advance(358)));
        profiler.profile()
    }

    #[test]
    fn time_inside_is_not_counted_outside() {
        let found = profile();
        let spent = |path: &[&'static str]| found.0[path];
        let of = |count, ms: u64| Spent {
            count,
            own_ns: ms * 1_000_000,
        };
        assert_eq!(spent(&["tower"]), of(2, 2));
        assert_eq!(spent(&["tower", "mlp"]), of(4, 80));
        assert_eq!(spent(&["tower", "mlp", "linear"]), of(4, 400));
        assert_eq!(spent(&["tower", "linear"]), of(4, 120));
        assert_eq!(found.total_ns(), 1_000_000_000);
    }

    #[test]
    fn tables_and_stacks_are_as_recorded() {
        let table = "part     operation  times  ms     share
tower    linear     8      520.0  52.0 %
prefill  linear     1      358.0  35.8 %
tower    mlp        4      80.0   8.0 %
tower    attention  4      40.0   4.0 %
tower    (itself)   2      2.0    0.2 %
prefill  (itself)   1      0.0    0.0 %
";
        assert_eq!(profile().table(), table);
        let folded = "prefill 0\nprefill;linear 358000\ntower 2000\ntower;attention 40000\ntower;linear 120000\n\
                      tower;mlp 80000\ntower;mlp;linear 400000\n";
        assert_eq!(profile().folded(), folded);
        let json = profile().json();
        assert_eq!(
            json[0],
            json!({"part": "tower", "operation": "linear", "count": 8, "ms": 520.0, "share": 0.52})
        );
    }

    #[test]
    fn the_flame_graph_is_as_recorded() {
        let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded/flames.svg");
        let found = profile().flames("model <bf16>");
        if std::env::var_os("OCELLUS_UPDATE").is_some() {
            std::fs::write(recorded, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(recorded).unwrap_or_default());
    }

    #[test]
    fn ends_without_beginnings_and_other_threads_do_no_harm() {
        let profiler = Profiler::new(Arc::new(ManualClock::new(0)));
        profiler.leave();
        profiler.enter("here");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                profiler.enter("there");
                profiler.leave();
            });
        });
        profiler.leave();
        let found = profiler.profile();
        let paths: Vec<&Path> = found.0.keys().collect();
        assert_eq!(paths, [&vec!["here"], &vec!["there"]]);
        assert_eq!(Profile::default().table().lines().count(), 1);
    }
}
