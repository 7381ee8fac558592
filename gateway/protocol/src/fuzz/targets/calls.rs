//! Calls that are no turns: JSON, forms, images, their answers, and the lists of models.

use bytes::{Bytes, BytesMut};

use super::super::Target;
use super::super::seeds::Seeds;
use super::{must_be_json, seen, text};
use crate::calls::{
    Form, MAX_PARTS, Needed, files_named, read_call_event, read_form_call, read_json_call, transcript_text,
    transcription_for_codex, uploaded_file, usage_of,
};
use crate::images::{ImageAction, ImageAnswer, ImageCall, MAX_INPUT_IMAGES};
use crate::models::Catalogue;
use crate::sse::SseFramer;

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target { name: "call-json", seeds: Seeds::Texts(CALLS), run: json },
        Target { name: "call-form", seeds: Seeds::Texts(FORMS), run: form },
        Target { name: "call-answer", seeds: Seeds::Texts(ANSWERS), run: answer },
        Target { name: "image-answer", seeds: Seeds::Texts(IMAGES), run: image_answer },
        Target { name: "models", seeds: Seeds::Texts(MODELS), run: models },
    ]
}

const CALLS: &[&str] = &[
    r#"{"model":"m","input":["a","b"],"encoding_format":"float","stream":false}"#,
    r#"{"model":"gpt-image-2","prompt":"a cat","n":1,"size":"1024x1024","stream":true,"partial_images":2,"style":"vivid","response_format":"b64_json"}"#,
    r#"{"prompt":"a hat","image":[{"image_url":"data:image/png;base64,AAAA"},{"file_id":"file-1"}],"mask":{"image_url":"https://x.test/a.png"}}"#,
    r#"{"input":[{"type":"input_file","file_id":"file-abc"},{"type":"input_image","image_url":"sediment://file_1"}]}"#,
];
/// The first line is the content type, the rest the form.
const FORMS: &[&str] = &[
    "multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\n\
     Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\x01\x02\
     \r\n--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nhi\r\n--b--\r\n",
    "multipart/form-data; boundary=\"x y\"\n--x y\r\ncontent-disposition: form-data; name=image; filename=a.png\r\n\r\n\
     PNG\r\n--x y\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n1\r\n--x y--",
];
const ANSWERS: &[&str] = &[
    r#"{"text":"hello","usage":{"type":"tokens","input_tokens":3,"output_tokens":1}}"#,
    r#"{"id":"file-1","object":"file","bytes":3}"#,
    "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"usage\":{\"input_tokens\":1}}",
    "data: {\"error\":{\"message\":\"m\"}}",
    r#"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#,
];
const IMAGES: &[&str] = &[
    "data: {\"type\":\"response.image_generation_call.partial_image\",\"partial_image_index\":0,\"partial_image_b64\":\"AA\"}\n\n\
     data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"image_generation_call\",\"result\":\"AAAA\",\"size\":\"1x1\"}}\n\n\
     data: {\"type\":\"response.completed\",\"response\":{\"output\":[],\"usage\":{\"input_tokens\":1},\"tool_usage\":{\"image_gen\":{\"input_tokens\":2}}}}\n\n",
];
const MODELS: &[&str] = &[
    r#"{"models":[{"slug":"gpt-5.5","visibility":"list","context_window":272000},{"slug":"x","visibility":"hide"}]}"#,
];

fn json(input: &[u8]) {
    for needed in [Needed::Text("prompt"), Needed::TextOrList("input"), Needed::File(&["image", "image[]"])] {
        seen(read_json_call(input, &[needed]));
    }
    assert!(files_named(input, 16).len() <= 16);
    for action in [ImageAction::Generate, ImageAction::Edit] {
        if let Ok(call) = ImageCall::read_json(action, input) {
            must_be_json("the turn", &call.turn());
        }
    }
}

fn form(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let content_type = Some(text(&input[..end]));
    let body = input.get(end + 1..).unwrap_or_default();
    if let Ok(form) = Form::read(content_type, body) {
        assert!(form.parts().len() <= MAX_PARTS);
        // What is kept of it is a form with the same parts.
        let all = form.with_only(|_| true);
        let again = Form::read(content_type, &all).unwrap();
        assert_eq!(again.parts().len(), form.parts().len());
    }
    seen(read_form_call(content_type, body, &[Needed::Text("prompt"), Needed::File(&["file"])]));
    seen(transcription_for_codex(content_type, body));
    if let Ok(call) = ImageCall::read_form(ImageAction::Edit, content_type, body) {
        must_be_json("the turn", &call.turn());
        assert!(call.turn().len() < 4 * body.len() + 4_096 * MAX_INPUT_IMAGES);
    }
}

fn answer(input: &[u8]) {
    seen(usage_of(input));
    seen(read_call_event(input));
    seen(transcript_text(input));
    seen(uploaded_file(input));
}

fn image_answer(input: &[u8]) {
    let mut answer = ImageAnswer::new(ImageAction::Edit, true, 1);
    let mut out = BytesMut::new();
    SseFramer::default().push(Bytes::copy_from_slice(input), |event| answer.take(event, &mut out)).unwrap();
    assert_eq!(answer.has_image(), answer.completed().is_some());
    if let Some(whole) = answer.whole() {
        must_be_json("the image", &whole);
    }
}

fn models(input: &[u8]) {
    let Ok(catalogue) = Catalogue::read(Bytes::copy_from_slice(input)) else { return };
    for list in [catalogue.for_codex(), catalogue.for_openai(), catalogue.for_anthropic()] {
        must_be_json("the list", &list);
    }
    for slug in catalogue.slugs().iter().take(4) {
        for one in [catalogue.one_for_openai(slug), catalogue.one_for_anthropic(slug)].into_iter().flatten() {
            must_be_json("the model", &one);
        }
    }
}
