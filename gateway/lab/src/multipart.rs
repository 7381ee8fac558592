//! Multipart forms, as far as the lab has to look into them.
//! Refuses files of more than one line of headers that it does not know; tests send what clients send.

/// One field: its name, whether it is a file, and its bytes.
pub(crate) struct Field<'a> {
    pub(crate) name: String,
    pub(crate) is_file: bool,
    pub(crate) content: &'a [u8],
}

/// The fields of a body; `None` when it is no form.
pub(crate) fn fields<'a>(content_type: Option<&str>, body: &'a [u8]) -> Option<Vec<Field<'a>>> {
    let boundary = content_type?.strip_prefix("multipart/form-data;")?.trim().strip_prefix("boundary=")?;
    let delimiter = format!("--{}", boundary.trim_matches('"'));
    let starts: Vec<usize> = memchr::memmem::find_iter(body, &delimiter).collect();
    let mut fields = Vec::new();
    for pair in starts.windows(2) {
        let [from, to] = pair else { continue };
        let part = body.get(from + delimiter.len() + 2..to.checked_sub(2)?)?;
        let head_end = memchr::memmem::find(part, b"\r\n\r\n")?;
        let (head, rest) = part.split_at_checked(head_end)?;
        let head = std::str::from_utf8(head).ok()?;
        let (_, name) = head.split_once(" name=\"")?;
        fields.push(Field {
            name: name.split_once('"')?.0.to_owned(),
            is_file: head.contains("filename="),
            content: rest.get(4..)?,
        });
    }
    Some(fields)
}

/// The text of a field.
pub(crate) fn text<'a>(fields: &'a [Field<'_>], name: &str) -> Option<&'a str> {
    let field = fields.iter().find(|field| field.name == name && !field.is_file)?;
    std::str::from_utf8(field.content).ok()
}
