//! A multipart form as it stands in a body: which field is where.
//!
//! Refuses to copy or rebuild: a field is a piece of the body, and leaving fields out keeps the bytes of all others.

use std::ops::Range;

use super::super::responses::RequestError;

/// Fields of one form; real ones have a dozen.
pub const MAX_PARTS: usize = 64;
/// The headers of one field, in bytes.
const MAX_PART_HEADERS: usize = 8 * 1024;
/// The longest boundary that the format allows, in bytes.
const MAX_BOUNDARY: usize = 70;

/// One field.
#[derive(Debug)]
pub struct Part<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it came as a file.
    pub is_file: bool,
    /// Its own type, if it told one.
    pub content_type: Option<&'a str>,
    /// What it holds.
    pub content: &'a [u8],
    /// From its boundary up to the next one.
    whole: Range<usize>,
}

/// A form that was read.
#[derive(Debug)]
pub struct Form<'a> {
    body: &'a [u8],
    boundary: &'a str,
    parts: Vec<Part<'a>>,
}

impl<'a> Form<'a> {
    /// Finds the fields.
    ///
    /// # Errors
    /// The type is not that of a form, or the body is not the form that the type announces.
    pub fn read(content_type: Option<&'a str>, body: &'a [u8]) -> Result<Self, RequestError> {
        let boundary = boundary(content_type.unwrap_or_default())?;
        let mut form = Self { body, boundary, parts: Vec::new() };
        let delimiter = format!("--{boundary}");
        let finder = memchr::memmem::Finder::new(delimiter.as_bytes());
        let mut start = finder.find(body).filter(|at| is_line_start(body, *at)).ok_or_else(torn)?;
        loop {
            let after = start + delimiter.len();
            match body.get(after..) {
                Some([b'-', b'-', ..]) => return Ok(form),
                Some([b'\r', b'\n', ..]) => {}
                _ => return Err(torn()),
            }
            let end = next_delimiter(body, &finder, after).ok_or_else(torn)?;
            if form.parts.len() == MAX_PARTS {
                return Err(RequestError::NotAForm(format!("it has more than {MAX_PARTS} fields")));
            }
            // Between the line break behind this delimiter and the one before the next.
            let inner = body.get(after + 2..end.saturating_sub(2)).ok_or_else(torn)?;
            form.parts.push(part(inner, start..end)?);
            start = end;
        }
    }

    /// The fields in their order.
    #[must_use]
    pub fn parts(&self) -> &[Part<'a>] {
        &self.parts
    }

    /// The only field of a name. One that comes twice is refused: two readers could take different ones.
    ///
    /// # Errors
    /// It comes twice.
    pub fn only(&self, name: &'static str) -> Result<Option<&Part<'a>>, RequestError> {
        let mut named = self.parts.iter().filter(|part| part.name == name);
        let first = named.next();
        match named.next() {
            Some(_) => Err(RequestError::Invalid { member: name, why: "it is given twice".to_owned() }),
            None => Ok(first),
        }
    }

    /// The text of the only field of a name.
    ///
    /// # Errors
    /// It comes twice, or is a file, or is not text.
    pub fn text(&self, name: &'static str) -> Result<Option<&'a str>, RequestError> {
        let Some(part) = self.only(name)? else { return Ok(None) };
        let text = std::str::from_utf8(part.content).ok().filter(|_| !part.is_file);
        text.map(Some).ok_or(RequestError::WrongType { member: name, wanted: "a text", got: "a file" })
    }

    /// The body with another text in the only field of a name; every other byte stays. `None` when the field is not there
    /// once, or when the text holds the form's boundary.
    #[must_use]
    pub fn with_text(&self, name: &'static str, text: &str) -> Option<Vec<u8>> {
        let part = self.only(name).ok()??;
        if text.contains(&format!("--{}", self.boundary)) {
            return None;
        }
        // Its content is a piece of the body, so the difference of the addresses is its place.
        let at = (part.content.as_ptr() as usize).checked_sub(self.body.as_ptr() as usize)?;
        let (before, rest) = self.body.split_at_checked(at)?;
        let after = rest.get(part.content.len()..)?;
        Some([before, text.as_bytes(), after].concat())
    }

    /// The form with the accepted fields only, each byte for byte.
    #[must_use]
    pub fn with_only(&self, keep: impl Fn(&Part<'_>) -> bool) -> Vec<u8> {
        let kept = || self.parts.iter().filter(|part| keep(part)).map(|part| part.whole.clone());
        let size: usize = kept().map(|whole| whole.len()).sum();
        let mut out = Vec::with_capacity(size + self.boundary.len() + 6);
        for whole in kept() {
            out.extend_from_slice(self.body.get(whole).unwrap_or_default());
        }
        out.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        out
    }
}

fn torn() -> RequestError {
    RequestError::NotAForm("it does not hold what its boundary announces".to_owned())
}

fn boundary(content_type: &str) -> Result<&str, RequestError> {
    let no_form = || RequestError::NotAForm("send it with `content-type: multipart/form-data`".to_owned());
    let (kind, parameters) = content_type.split_once(';').ok_or_else(no_form)?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(no_form());
    }
    let named = parameter(parameters, "boundary");
    let fits = |text: &&str| {
        (1..=MAX_BOUNDARY).contains(&text.len()) && text.bytes().all(|b| (32..127).contains(&b))
    };
    named.filter(fits).ok_or_else(|| RequestError::NotAForm("its type names no usable boundary".to_owned()))
}

/// The value of `name=value` or `name="value"` in a list with semicolons.
fn parameter<'t>(list: &'t str, wanted: &str) -> Option<&'t str> {
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (name, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                after.split_at_checked(end)?
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.trim());
        }
        rest = next;
    }
}

fn is_line_start(body: &[u8], at: usize) -> bool {
    at == 0 || body.get(..at).is_some_and(|before| before.ends_with(b"\r\n"))
}

fn next_delimiter(body: &[u8], finder: &memchr::memmem::Finder<'_>, from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let at = from + finder.find(body.get(from..)?)?;
        let after = body.get(at + finder.needle().len()..).unwrap_or_default();
        // The same bytes inside a field, or a longer boundary, are no delimiter.
        if is_line_start(body, at) && (after.starts_with(b"\r\n") || after.starts_with(b"--")) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn part(inner: &[u8], whole: Range<usize>) -> Result<Part<'_>, RequestError> {
    // A field without headers starts with the empty line itself; it has no name, so it is no field either.
    let split =
        memchr::memmem::find(inner, b"\r\n\r\n").filter(|at| *at <= MAX_PART_HEADERS).ok_or_else(torn)?;
    let (head, rest) = inner.split_at_checked(split).ok_or_else(torn)?;
    let head = std::str::from_utf8(head).map_err(|_| torn())?;
    let header = |name: &str| {
        head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let disposition = header("content-disposition").ok_or_else(torn)?;
    let name = parameter(disposition.split_once(';').ok_or_else(torn)?.1, "name");
    Ok(Part {
        name: name.ok_or_else(torn)?,
        is_file: parameter(disposition.split_once(';').map_or("", |(_, list)| list), "filename").is_some(),
        content_type: header("content-type"),
        content: rest.get(4..).unwrap_or_default(),
        whole,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: Option<&str> = Some("multipart/form-data; boundary=\"x-1\"");

    fn body() -> String {
        let field = |name: &str, extra: &str, content: &str| {
            format!("--x-1\r\nContent-Disposition: form-data; name=\"{name}\"{extra}\r\n\r\n{content}\r\n")
        };
        [
            field("model", "", "whisper-1"),
            field(
                "file",
                "; filename=\"a;b.wav\"\r\nContent-Type: audio/wav",
                "RIFF\r\n--x-1 no\r\n\0--x-12",
            ),
            field("prompt", "", ""),
            "--x-1--\r\n".to_owned(),
        ]
        .concat()
    }

    #[test]
    fn a_field_gets_another_text_and_no_other_byte_changes() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na cat\r\n--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"i\"\r\n\r\n\0\u{1}\r\n--b--\r\n";
        let form = Form::read(Some("multipart/form-data; boundary=b"), body.as_bytes()).unwrap();
        let changed = form.with_text("prompt", "a dog, much longer").unwrap();
        assert_eq!(changed, body.replace("a cat", "a dog, much longer").as_bytes());
        assert!(form.with_text("size", "x").is_none() && form.with_text("prompt", "x\r\n--b--").is_none());
    }

    #[test]
    fn fields_are_found_where_they_stand() {
        let body = body();
        let form = Form::read(TYPE, body.as_bytes()).unwrap();
        let names: Vec<_> = form.parts().iter().map(|part| (part.name, part.is_file)).collect();
        assert_eq!(names, [("model", false), ("file", true), ("prompt", false)]);
        assert_eq!(form.text("model").unwrap(), Some("whisper-1"));
        assert_eq!(form.text("prompt").unwrap(), Some(""));
        assert_eq!(form.text("language").unwrap(), None);
        let file = form.only("file").unwrap().unwrap();
        assert_eq!(
            (file.content, file.content_type),
            (b"RIFF\r\n--x-1 no\r\n\0--x-12".as_slice(), Some("audio/wav"))
        );
        assert!(form.text("file").is_err());
    }

    #[test]
    fn leaving_fields_out_keeps_the_others_byte_for_byte() {
        let body = body();
        let form = Form::read(TYPE, body.as_bytes()).unwrap();
        assert_eq!(form.with_only(|_| true), body.as_bytes());
        let fewer = form.with_only(|part| part.name != "model");
        let again = Form::read(TYPE, &fewer).unwrap();
        assert_eq!(again.parts().len(), 2);
        assert_eq!(again.only("file").unwrap().unwrap().content, form.only("file").unwrap().unwrap().content);
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let twice =
            "--x-1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n".repeat(2) + "--x-1--";
        let form = Form::read(TYPE, twice.as_bytes()).unwrap();
        assert!(form.only("model").is_err());
        let many = "--x-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n".repeat(65) + "--x-1--";
        for (kind, body) in [
            (None, "--x-1--"),
            (Some("application/json"), "--x-1--"),
            (Some("multipart/form-data"), "--x-1--"),
            (Some("multipart/form-data; boundary="), "--x-1--"),
            (Some("multipart/mixed; boundary=x-1"), "--x-1--"),
            (TYPE, ""),
            (TYPE, "--x-2--"),
            (TYPE, "--x-1"),
            (TYPE, "--x-1\r\n"),
            (TYPE, "--x-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nno end"),
            (TYPE, "--x-1\r\nContent-Disposition: form-data\r\n\r\na\r\n--x-1--"),
            (TYPE, "--x-1\r\n\r\na\r\n--x-1--"),
            (TYPE, many.as_str()),
        ] {
            assert!(Form::read(kind, body.as_bytes()).is_err(), "{kind:?} {body:.60}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let mut body = body;
            drop(Form::read(TYPE, &body));
            body.splice(0..0, *b"--x-1\r\n");
            body.extend_from_slice(b"\r\n--x-1--");
            drop(Form::read(TYPE, &body));
        }
    }
}
