//! Rules of the matcher.
