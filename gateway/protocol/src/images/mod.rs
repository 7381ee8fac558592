//! Images at the Codex backend, which makes them with a tool of its turns: a call of the Images API becomes a turn that
//! must use the tool, and the turn's events become what the Images API answers.
//!
//! | Images API | the turn |
//! |---|---|
//! | `prompt`, `style` | the user's text; the tool knows no style, so it is said in words |
//! | `image`, `image[]`, `images`, `mask` | `input_image` parts, `input_image_mask` of the tool |
//! | `model`, `size`, `quality`, `background`, `output_format`, `output_compression`, `moderation`, `partial_images`, `input_fidelity` | the same members of the tool |
//! | `n` above 1, `response_format: "url"`, uploaded files as images | refused: the tool makes one image and hands it over |

mod answer;
mod request;

pub use answer::ImageAnswer;
pub use request::{HOST_MODEL, ImageAction, ImageCall, MAX_INPUT_IMAGES};
