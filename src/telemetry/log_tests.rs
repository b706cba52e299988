use super::*;
use proptest::prelude::*;

fn parse(line: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

proptest! {
    #[test]
    fn h19_whatever_a_field_holds_the_line_is_json_with_three_strings(
        message in ".*", module in ".*", name in prop::sample::select(vec!["a", "@level", "@message", "request_id"]),
        text in ".*", number in any::<i64>()
    ) {
        let others = vec![(name, Value::Text(text)), ("n", Value::Plain(number.to_string()))];
        let line = json_line(&timestamp(), Level::INFO, &module, &Fields { message, others });
        let object = parse(&line);
        for key in ["@message", "@level", "@timestamp"] {
            prop_assert!(object[key].is_string());
        }
        prop_assert!(!line.chars().any(misleads));
        prop_assert_eq!(object["@level"].as_str(), Some("info"));
    }
}

#[test]
fn h19_the_time_has_six_digits_of_a_second() {
    let now = timestamp();
    let (_, fraction) = now.split_once('.').unwrap();
    assert_eq!(fraction.len(), 7, "{now}");
    assert!(fraction.ends_with('Z'));
}

#[test]
fn lines_end_below_the_hosts_limit() {
    let huge = "x".repeat(1 << 20);
    let others = (0..100).map(|_| ("field", Value::Text(huge.clone()))).collect();
    let line = json_line(&timestamp(), Level::WARN, "m", &Fields { message: huge, others });
    assert!(line.len() < 64 * 1024, "{}", line.len());
    parse(&line);
}

#[test]
fn e2_what_could_steer_a_terminal_is_escaped() {
    let nasty = "a\nb\r\u{1b}[31m\u{202e}\u{0}\"\\";
    let line = json_line("t", Level::INFO, "m", &Fields { message: nasty.into(), others: Vec::new() });
    assert!(!line.contains(['\n', '\r', '\u{1b}', '\u{202e}', '\0']));
    assert_eq!(parse(&line)["@message"], nasty);
    let line = text_line("t", Level::INFO, &Fields { message: nasty.into(), others: Vec::new() });
    assert!(!line.chars().any(misleads));
}

#[test]
fn r17_dependencies_never_log_below_warn() {
    let layer = LineLayer { level: Level::TRACE, format: Format::Json };
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        assert!(tracing::enabled!(target: "latchkey::store", Level::TRACE));
        assert!(tracing::enabled!(target: "h2::proto", Level::WARN));
        assert!(!tracing::enabled!(target: "h2::proto", Level::INFO));
        assert!(!tracing::enabled!(target: "latchkeyx", Level::INFO));
    });
}

#[test]
fn r20_a_panic_line_says_where_and_not_what() {
    let object = parse(&panic_line("src/x.rs:1", "worker"));
    assert_eq!(object["location"], "src/x.rs:1");
    assert_eq!(object["@level"], "error");
}
