//! Which fields an update names: those that were typed.

use prost_types::FieldMask;

use crate::cli::context::Failure;

#[derive(Default)]
pub(super) struct Mask(Vec<String>);

impl Mask {
    /// The value, and its field's name, if it was typed.
    pub(super) fn take<T: Default>(&mut self, field: &str, value: Option<T>) -> T {
        if value.is_some() {
            self.0.push(field.to_owned());
        }
        value.unwrap_or_default()
    }

    /// Names a field whatever its value.
    pub(super) fn name(&mut self, field: &str) {
        self.0.push(field.to_owned());
    }

    /// Whether none was typed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields, of which there must be one.
    pub(super) fn done(self) -> Result<Option<FieldMask>, Failure> {
        if self.0.is_empty() {
            return Err(Failure::usage("nothing is to be changed: name what, --help shows all"));
        }
        Ok(Some(FieldMask { paths: self.0 }))
    }
}
