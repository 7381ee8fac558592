//! Forms that no sound and no image can be read from: broken boundaries, fields that are missing, doubled or wrong,
//! names that would like to be headers or paths.

/// One form: its content type, its bytes, and what its refusal names; empty where there is nothing to name.
pub(super) struct Form {
    pub(super) content_type: &'static str,
    pub(super) body: String,
    pub(super) names: &'static str,
}

const GOOD_TYPE: &str = "multipart/form-data; boundary=b";

/// The routes that take forms.
pub(super) const PATHS: [&str; 3] =
    ["/v1/audio/transcriptions", "/backend-api/transcribe", "/v1/images/edits"];

fn part(name: &str, value: &str) -> String {
    format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(name: &str, filename: &str, content: &str) -> String {
    format!(
        "--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\n\r\n{content}\r\n"
    )
}

fn form(names: &'static str, parts: &[String]) -> Form {
    Form { content_type: GOOD_TYPE, body: format!("{}--b--\r\n", parts.concat()), names }
}

fn broken(content_type: &'static str, body: &str) -> Form {
    Form { content_type, body: body.to_owned(), names: "" }
}

/// What every route that takes forms refuses.
fn no_forms() -> Vec<Form> {
    let open = part("model", "m");
    vec![
        broken("multipart/form-data", "--b--\r\n"),
        broken("multipart/form-data; boundary=", "--b--\r\n"),
        broken("multipart/form-data; boundary=\"\"", "--\r\n----\r\n"),
        broken("multipart/form-data; boundary=other", &format!("{open}--b--\r\n")),
        broken(GOOD_TYPE, ""),
        broken(GOOD_TYPE, "--b"),
        broken(GOOD_TYPE, "hello"),
        broken(GOOD_TYPE, &open),
        broken(GOOD_TYPE, "--b\r\n\r\nno disposition\r\n--b--\r\n"),
        broken(GOOD_TYPE, "--b\r\ncontent-disposition: form-data\r\n\r\nno name\r\n--b--\r\n"),
        broken(
            GOOD_TYPE,
            "--b\r\ncontent-disposition: form-data; name=\"model\r\n\r\nopen quote\r\n--b--\r\n",
        ),
        broken(GOOD_TYPE, &format!("{}--b--\r\n", part("x", "y").repeat(2_000))),
        broken(GOOD_TYPE, "{\"model\":\"m\",\"prompt\":\"p\"}"),
    ]
}

/// The forms that a route refuses.
pub(super) fn of(path: &str) -> Vec<Form> {
    let mut forms = no_forms();
    let (model, sound) = (part("model", "gpt-4o-transcribe"), file("file", "a.wav", "RIFF"));
    let (prompt, image) = (part("prompt", "a hat"), file("image", "a.png", "PNG"));
    forms.extend(match path {
        "/v1/audio/transcriptions" => vec![
            form("file", std::slice::from_ref(&model)),
            form("model", std::slice::from_ref(&sound)),
            form("file", &[model.clone(), file("file", "a.wav", "")]),
            form("model", &[part("model", ""), sound.clone()]),
            form("model", &[part("model", "m\r\nx-evil: 1"), sound.clone()]),
            form("model", &[part("model", &"m".repeat(300)), sound.clone()]),
            form("model", &[model.clone(), model.clone(), sound.clone()]),
            form("stream", &[model, sound, part("stream", "yes")]),
        ],
        "/backend-api/transcribe" => vec![
            form("file", &[part("prompt", "hi")]),
            form("file", &[file("file", "../../etc/passwd", "")]),
            form("model", &[part("model", "m\r\nx-evil: 1"), sound]),
        ],
        _ => vec![
            form("prompt", std::slice::from_ref(&image)),
            form("prompt", &[part("prompt", ""), image.clone()]),
            form("image", std::slice::from_ref(&prompt)),
            form("image", &[prompt.clone(), file("image", "a.png", "")]),
            form("prompt", &[prompt.clone(), prompt.clone(), image.clone()]),
            form("stream", &[prompt.clone(), image.clone(), part("stream", "1")]),
            form("model", &[prompt, image, part("model", "m\u{0}")]),
        ],
    });
    forms
}
