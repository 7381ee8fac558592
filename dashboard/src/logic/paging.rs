//! Long lists in pages, so that the browser never holds more rows than somebody reads.

use super::number::count;

/// Rows on one page.
pub(crate) const SIZE: usize = 100;

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// Which, from 0; never beyond the last.
    pub(crate) number: usize,
    /// How many pages there are, at least one.
    pub(crate) pages: usize,
    /// How many rows there are.
    pub(crate) total: usize,
}

impl Page {
    /// The page asked for, or the last one where the list became shorter.
    pub(crate) fn of(asked: usize, total: usize) -> Self {
        let pages = total.div_ceil(SIZE).max(1);
        Self { number: asked.min(pages - 1), pages, total }
    }

    /// Its first row.
    pub(crate) fn start(self) -> usize {
        self.number * SIZE
    }

    /// Its rows.
    pub(crate) fn slice<T>(self, rows: &[T]) -> &[T] {
        let end = rows.len().min(self.start() + SIZE);
        rows.get(self.start()..end).unwrap_or_default()
    }

    /// `101 to 200 of 9,431`.
    pub(crate) fn words(self) -> String {
        if self.total == 0 {
            return "0".to_owned();
        }
        let end = self.total.min(self.start() + SIZE);
        let number = |value: usize| count(value as u64);
        format!("{} to {} of {}", number(self.start() + 1), number(end), number(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_every_row_once() {
        for total in [0, 1, 99, 100, 101, 10_000] {
            let rows: Vec<usize> = (0..total).collect();
            let pages = Page::of(0, total).pages;
            let read: Vec<usize> =
                (0..pages).flat_map(|number| Page::of(number, total).slice(&rows).to_vec()).collect();
            assert_eq!(read, rows, "{total}");
        }
    }

    #[test]
    fn a_page_that_is_gone_is_the_last_one() {
        assert_eq!(Page::of(7, 250).number, 2);
        assert_eq!(Page::of(7, 250).words(), "201 to 250 of 250");
        assert_eq!(Page::of(1, 10_000).words(), "101 to 200 of 10,000");
        assert_eq!(Page::of(3, 0).words(), "0");
        assert!(Page::of(2, 250).slice(&[1, 2, 3]).is_empty());
    }
}
