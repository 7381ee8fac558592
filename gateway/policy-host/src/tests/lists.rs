//! The words for groups, tags, chance, several columns and everything else that orders lists.

use super::language::{assert_order, assert_value, decide};

#[test]
fn lists_know_what_the_operator_calls_accounts() {
    assert_order("all.group(\"team\")", "a");
    assert_order("all.tag(\"eu\")", "ac");
    assert_order("all.labelled(\"b\")", "b");
    assert_order("all.keep(all.has_tag(\"eu\") & !all.in_group(\"team\"))", "c");
    assert_order("all.prefer(all.is_labelled(\"d\"))", "dabc");
    assert_order("all.keep(all.pinned)", "c");
    assert_value("all[0].tags.len", "2");
    assert_value("all[0].groups[0]", "team");
    assert_value("all[2].has_tag(\"eu\") && !all[2].in_group(\"team\")", "true");
    assert_value("all[0].id", "acc_a");
}

#[test]
fn lists_have_the_new_numbers() {
    assert_value("all[1].preference", "-1");
    assert_value("all[1].priority", "-1.5");
    assert_value("all[2].health_score", "60.0");
    assert_value("all[3].capacity", "6.7");
    assert_value("all[0].cost", "2.0");
    assert_value("all[0].move_price", "0.5");
    assert_value("all[2].pinned", "true");
    assert_order("all.max_by(\"preference\")", "dacb");
    assert_order("all.min_by(all.capacity)", "adbc"); // unknown comes last
}

#[test]
fn lists_split_join_and_shrink() {
    assert_order("all.available()", "a");
    assert_order("all.top(2)", "ab");
    assert_order("all.top(-1).or_else(all.top(1))", "a");
    assert_order("all.top(9)", "abcd");
    assert_order("all.reversed()", "dcba");
    assert_order("all.reversed().then(all)", "dcba");
    assert_order("all.near_best(all.in_flight, 1.0)", "ac");
    assert_order("all.prefer(all.in_flight > 1 & all.in_flight < 4)", "abcd");
    assert_order("all.prefer(all.is_account(all[2]))", "cabd");
    assert_order("all.prefer(all.is_account(()))", "abcd");
    assert_order("all.keep(all.place >= 2)", "cd");
    assert_value("all.is_account(request.active).sum", "1.0");
    assert_value("request.active.label", "d");
}

#[test]
fn lists_sort_by_several_columns() {
    assert_order("all.sorted_by([all.unproven, all.in_flight])", "cabd");
    assert_order("all.sorted_by([all.in_flight >= 0, -all.place])", "abcd");
    assert_order("all.sorted_by([all.short_window_used, all.place])", "abd"); // an unknown first number drops out
    for wrong in ["[all.in_flight, 1.0]", "[all.in_flight, all.top(1).in_flight]"] {
        let source = format!("fn rank(request) {{ let all = request.candidates; all.sorted_by({wrong}) }}");
        assert!(crate::RhaiHost::new().load("wrong", &source).is_err(), "{wrong}");
    }
}

#[test]
fn lists_keep_the_scores_they_were_sorted_by() {
    assert_value("all.sorted_by(all.in_flight).top(2).score.sum", "7.0");
    assert_value(
        "all.sorted_by(all.in_flight).keep(all.sorted_by(all.in_flight).score < 4).score.highest",
        "3.0",
    );
    assert_value("is_known(all.score.highest)", "false");
}

#[test]
fn chance_comes_from_the_seed_alone() {
    let order =
        |seed: i64| decide(&format!("fn rank(request) {{ request.candidates.shuffled({seed}) }}")).action;
    assert_eq!(order(1), order(1));
    assert!((1..20).any(|seed| order(seed) != order(0)), "the seed makes no difference");
}

/// How often each of the four accounts is first in 2 000 draws.
fn firsts(list: &str) -> [f64; 4] {
    let source = format!(
        "fn rank(request) {{ let all = request.candidates; if all.len != 4 {{ return all; }}\n let count = [0, 0, 0, 0];\n \
         for seed in 0..500 {{ let first = {list}.first.label; for at in 0..4 {{ if all[at].label == first {{ count[at] += 1; }} }} }}\n \
         delegate().because(`${{count[0]}} ${{count[1]}} ${{count[2]}} ${{count[3]}}`) }}"
    );
    let reason = decide(&source).reason;
    let mut counts = reason.split(' ').map(|count| count.parse::<f64>().unwrap() / 500.0);
    std::array::from_fn(|_| counts.next().unwrap())
}

#[test]
fn a_lottery_follows_its_weights() {
    let [a, b, c, d] = firsts("all.weighted(all.place * all.place, seed)"); // 0, 1, 4, 9 of 14
    assert!(a == 0.0 && (b - 1.0 / 14.0).abs() < 0.06, "{a} {b}");
    assert!((c - 4.0 / 14.0).abs() < 0.08 && (d - 9.0 / 14.0).abs() < 0.08, "{c} {d}");
    let even = firsts("all.shuffled(seed)");
    assert!(even.iter().all(|share| (share - 0.25).abs() < 0.08), "{even:?}");
    let sticky = firsts("all.sticky(`${seed}`, all.place)"); // 0, 1, 2, 3 of 6
    assert!(sticky[0] == 0.0 && (sticky[3] - 0.5).abs() < 0.08, "{sticky:?}");
}

#[test]
fn the_better_of_two_is_never_the_worst() {
    let [a, _, _, d] = firsts("all.two_choices(all.place, seed)");
    assert!(a == 0.0 && (d - 0.5).abs() < 0.08, "{a} {d}");
}

#[test]
fn columns_are_read_as_numbers() {
    assert_value("all.in_flight.highest", "4.0");
    assert_value("all.in_flight.lowest", "0.0");
    assert_value("all.in_flight.mean", "2.0");
    assert_value("all.in_flight.sum", "8.0");
    assert_value("(all.in_flight > 0).count", "3");
    assert_value("(all.in_flight > 3).any && !(all.in_flight > 3).all", "true");
    assert_value("all.in_flight.first", "3.0");
    assert_value("all.ttft_ewma_ms.mean", "800.0"); // only what is known
    assert_value("is_known(all.top(0).in_flight.highest)", "false");
}

#[test]
fn columns_have_the_usual_functions() {
    assert_value("choose(all.in_flight > 2, all.in_flight, -1).sum", "5.0");
    assert_value("(all.in_flight == 4).sum + (all.in_flight != 4).sum", "4.0");
    assert_value("(all.short_window_used == all.short_window_used).sum", "3.0"); // unknown equals nothing
    assert_value("is_known(all.short_window_used).sum", "3.0");
    assert_value("(all.in_flight ** 2).sum", "26.0");
    assert_value("(floor(all.short_window_used * 2) + 0).first", "1.0");
    assert_value("abs(all.priority).sum", "1.5");
    assert_value("round(exp(ln(all.in_flight + 1))).sum", "12.0");
    assert_value("fixed(all.headroom(0.5).sum, 2)", "1.10");
    assert_value("fixed(all[0].headroom(0.5), 2)", "0.10");
    assert_value(
        "fraction(\"a\") > 0.0 && fraction(\"a\") < 1.0 && fraction(\"a\") != fraction(\"b\")",
        "true",
    );
    assert_value("request.chance > 0.0 && request.chance < 1.0", "true");
    assert_value("request.surface", "api");
}
