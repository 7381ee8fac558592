//! The shipped component: admitted, and the same ranking as the built-in.
