//! Scripts against the real engine: the shipped ones and their cases, every word, and attempts to break out.

mod cases;
mod hostile;
mod language;
mod question;
mod shipped;
