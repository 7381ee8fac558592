//! How much a plan allows, relative to `plus`. From the weekly allowances that codex-lb measured: free 1,134, plus and
//! its kin 7,560, prolite 37,800, pro 50,400.

/// The relative size of a plan's allowance; NaN when the plan is not known.
#[must_use]
pub(crate) fn of_plan(plan: &str) -> f64 {
    const KNOWN: [(&str, f64); 8] = [
        ("free", 0.15),
        ("plus", 1.0),
        ("business", 1.0),
        ("team", 1.0),
        ("edu", 1.0),
        ("prolite", 5.0),
        ("pro", 50_400.0 / 7_560.0),
        ("enterprise", 50_400.0 / 7_560.0),
    ];
    KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(plan)).map_or(f64::NAN, |(_, size)| *size)
}

/// What changing from one plan to another means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanChange {
    /// None, or only in spelling.
    Same,
    /// To more, or from nothing known: believed at once.
    Up,
    /// To less, or to something unknown: believed when it is seen again.
    Down,
}

pub(crate) fn change(from: &str, to: &str) -> PlanChange {
    if from.eq_ignore_ascii_case(to) {
        return PlanChange::Same;
    }
    // An unknown plan compares with nothing, which is not "more".
    let more = from.is_empty() || of_plan(to) >= of_plan(from);
    if more { PlanChange::Up } else { PlanChange::Down }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_and_their_changes() {
        assert!(of_plan("mystery").is_nan() && of_plan("").is_nan());
        assert!((of_plan("Pro") - 6.667).abs() < 0.001);
        for (from, to, change_is) in [
            ("", "free", PlanChange::Up),
            ("plus", "Plus", PlanChange::Same),
            ("free", "plus", PlanChange::Up),
            ("plus", "team", PlanChange::Up),
            ("plus", "pro", PlanChange::Up),
            ("pro", "plus", PlanChange::Down),
            ("plus", "free", PlanChange::Down),
            ("plus", "mystery", PlanChange::Down),
            ("mystery", "free", PlanChange::Down),
        ] {
            assert_eq!(change(from, to), change_is, "{from} to {to}");
        }
    }
}
