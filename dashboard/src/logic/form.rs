//! What people type into forms, read: lists, numbers, and the mistakes in them.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

/// A mistake and the field it is in, by its name on the wire; none when it concerns the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where.
    pub(crate) field: Option<String>,
    /// What is wrong and what would do.
    pub(crate) message: String,
}

impl Mistake {
    /// In one field.
    pub(crate) fn at(field: &str, message: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), message: message.into() }
    }
}

/// Words between commas or line breaks.
pub(crate) fn list_of(text: &str) -> BTreeSet<String> {
    text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The same, as a form shows it.
pub(crate) fn list_text<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    words.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A number, as JSON writes it: that reader is in the module anyway, the standard library's tables are not.
pub(crate) fn number_of<T: DeserializeOwned>(text: &str, field: &str, hint: &str) -> Result<T, Mistake> {
    serde_json::from_str(text.trim()).map_err(|_| Mistake::at(field, hint))
}

/// Text that says something.
pub(crate) fn some(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_survive_the_way_through_a_form() {
        let words = list_of(" eu, us ,\n eu\n\n,two words ");
        assert_eq!(words.iter().map(String::as_str).collect::<Vec<_>>(), ["eu", "two words", "us"]);
        assert_eq!(list_of(&list_text(&words)), words);
        assert!(list_of(" , \n").is_empty());
    }

    #[test]
    fn numbers_name_their_field() {
        assert_eq!(number_of::<f64>(" 2.5 ", "weight", "a number"), Ok(2.5));
        assert_eq!(number_of::<f64>("NaN", "weight", "a number"), Err(Mistake::at("weight", "a number")));
        assert_eq!(number_of::<u32>("-1", "most", "a number"), Err(Mistake::at("most", "a number")));
        assert_eq!(some("  "), None);
        assert_eq!(some(" x "), Some("x".to_owned()));
    }
}
