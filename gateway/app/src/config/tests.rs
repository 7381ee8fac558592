//! What people write, what it means, and what they are told.

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("switchyard.toml");
    std::fs::write(&path, file).unwrap();
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::load(&Overrides { file: Some(path), ..Overrides::default() }, &environment)
}

#[test]
fn nothing_said_means_the_defaults() {
    let settings = load("", &[("HOME", "/home/ann")]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.database, "/home/ann/.switchyard/switchyard.db");
    assert_eq!(settings.shutdown_grace, Duration::from_secs(30));
    assert_eq!(settings.keep_settlements, Some(Duration::from_secs(90 * 24 * 3600)));
}

#[test]
fn settlements_are_kept_for_days_or_for_ever() {
    let keep = |text: &str| {
        let file = format!("[limits]\nkeep_settlements = \"{text}\"\n");
        load(&file, &[("HOME", "/h")]).map(|settings| settings.keep_settlements)
    };
    assert_eq!(keep("7d"), Ok(Some(Duration::from_secs(7 * 24 * 3600))));
    assert_eq!(keep("forever"), Ok(None));
    for wrong in ["0d", "7", "7h", "-1d", "36501d", "d", ""] {
        assert!(keep(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let file = "listen = \"0.0.0.0:1\"\n[log]\nformat = \"pretty\"\n";
    let settings =
        load(file, &[("HOME", "/h"), ("SWITCHYARD_LISTEN", "[::1]:2"), ("SWITCHYARD_LOG__FORMAT", "json")]);
    let settings = settings.unwrap();
    assert_eq!(settings.listen.to_string(), "[::1]:2");
    assert_eq!(settings.log_format, LogFormat::Json);

    let overrides = Overrides { listen: Some("127.0.0.1:3".into()), ..Overrides::default() };
    let environment =
        [("HOME".to_owned(), "/h".to_owned()), ("SWITCHYARD_LISTEN".to_owned(), "[::1]:2".to_owned())];
    assert_eq!(Settings::load(&overrides, &environment).unwrap().listen.port(), 3);
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_place() {
    let file = "listen = \"8080\"\nlisen = \"x\"\n\n[upstream]\nchatgpt_url = \"chatgpt.com\"\n[shutdown]\ngrace = \"2 days\"\n";
    let error = load(
        file,
        &[("HOME", "/h"), ("SWITCHYARD_POLICY", "best"), ("SWITCHYARD_DATABASE", "mysql://u:secret@h/d")],
    )
    .unwrap_err();
    let told = error.to_string();
    for part in [
        "6 mistakes",
        "switchyard.toml:1: `listen`: `8080` is no address",
        "switchyard.toml:2: there is no setting `lisen`; there are: listen,",
        "switchyard.toml:5: `upstream.chatgpt_url`",
        "switchyard.toml:7: `shutdown.grace`",
        "SWITCHYARD_POLICY: `policy`: `best` names no policy",
        "SWITCHYARD_DATABASE: `database`: must be postgres://",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    assert!(!told.contains("secret"));
}

#[test]
fn a_file_that_is_no_toml_or_not_there_says_so() {
    assert!(load("listen = ", &[]).unwrap_err().to_string().contains("not TOML"));
    let missing = Overrides { file: Some("/nowhere/switchyard.toml".into()), ..Overrides::default() };
    assert!(Settings::load(&missing, &[]).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn every_setting_can_be_set_in_the_file_and_in_the_environment() {
    for key in KEYS.iter().filter(|key| key.name != "database") {
        let variable = format!("SWITCHYARD_{}", key.name.to_uppercase().replace('.', "__"));
        load("", &[("HOME", "/h"), (&variable, key.default)])
            .unwrap_or_else(|error| panic!("{variable}: {error}"));
        let line = match key.name.split_once('.') {
            Some((table, name)) => format!("[{table}]\n{name} = \"{}\"", key.default),
            None => format!("{} = \"{}\"", key.name, key.default),
        };
        load(&line, &[("HOME", "/h")]).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}
