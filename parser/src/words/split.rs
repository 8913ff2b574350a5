//! Splits a word while it is expanded. Unaware of quotes: the reader says what may split.

/// Collects words.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    word: String,
    words: Vec<String>,
    in_word: bool,
}

impl Splitter {
    /// A character that was not quoted: blanks end words.
    pub(super) fn push(&mut self, ch: char) {
        if !ch.is_whitespace() {
            self.keep_char(ch);
        } else if self.in_word && !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
            self.in_word = false;
        }
    }

    /// Characters that were not quoted: the value of a variable.
    pub(super) fn split(&mut self, text: &str) {
        text.chars().for_each(|ch| self.push(ch));
    }

    /// A quoted or escaped character: blanks belong to the word.
    pub(super) fn keep_char(&mut self, ch: char) {
        self.word.push(ch);
        self.in_word = true;
    }

    /// Quoted text. An empty one does not make a word.
    pub(super) fn keep(&mut self, text: &str) {
        self.word.push_str(text);
        self.in_word = true;
    }

    /// Forgets the word that is not complete yet.
    pub(super) fn drop_current(&mut self) {
        self.word.clear();
    }

    /// The words, with the last one.
    pub(super) fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }
}
