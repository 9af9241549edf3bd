//! Table-driven tests: one check, many cases, and the failing case by name.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `check` on every `(name, case)` of the table.
///
/// All cases run even when one fails, so that a broken boundary shows its whole pattern at once. Then the test
/// fails with the names of the failing cases and the message of the first.
///
/// ```
/// ocellus_testkit::test_each([("zero", (0, 0)), ("two", (2, 4))], |&(x, square)| assert_eq!(x * x, square));
/// ```
#[track_caller]
pub fn test_each<N, C>(table: impl IntoIterator<Item = (N, C)>, check: impl Fn(&C))
where
    N: AsRef<str>,
    C: Debug,
{
    let mut total = 0;
    let mut failures = Vec::new();
    for (name, case) in table {
        total += 1;
        // The closure sees the case by shared reference and the table is dropped after a failure, so nothing
        // half-changed can be observed.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| check(&case))) {
            let Some(message) = message(payload.as_ref()) else {
                resume_unwind(payload)
            };
            failures.push(format!("case `{}`: {message}\n    given {case:?}", name.as_ref()));
        }
    }
    assert!(total > 0, "the table is empty: nothing was tested");
    assert!(
        failures.is_empty(),
        "{} of {total} cases failed\n  {}",
        failures.len(),
        failures.join("\n  ")
    );
}

/// The text of a panic; `None` for a payload that is not text, which only someone else's machinery throws.
fn message(payload: &(dyn std::any::Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure_of(run: impl FnOnce()) -> String {
        message(
            catch_unwind(AssertUnwindSafe(run))
                .expect_err("should have failed")
                .as_ref(),
        )
        .unwrap()
    }

    #[test]
    fn passes_when_every_case_passes() {
        test_each([("a", 1), ("b", 2)], |&n| assert!(n > 0));
    }

    #[test]
    fn names_every_failing_case_and_runs_the_rest() {
        let seen = std::cell::RefCell::new(Vec::new());
        let text = failure_of(|| {
            test_each([("one", 1), ("two", 2), ("three", 3)], |&n| {
                seen.borrow_mut().push(n);
                assert!(n % 2 == 0, "{n} is odd");
            });
        });
        assert_eq!(*seen.borrow(), [1, 2, 3]);
        assert!(
            text.contains("2 of 3") && text.contains("case `one`: 1 is odd"),
            "{text}"
        );
        assert!(
            text.contains("case `three`") && !text.contains("case `two`"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_table_is_a_failure() {
        assert!(failure_of(|| test_each(Vec::<(&str, u8)>::new(), |_| {})).contains("empty"));
    }
}
