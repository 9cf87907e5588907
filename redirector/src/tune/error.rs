use std::{io, path::PathBuf};

use crate::{
    check,
    config::{Key, Misfit},
    kernel,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot set {key} as wanted: it {misfit}")]
    Misfit { key: Key, misfit: Misfit },
    #[error("{0:?} is no name of a service; they are written as myapp.service is")]
    Unit(String),
    #[error("cannot {what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{path} is not redirector's; move it away, or use `redirector tune export`")]
    Foreign { path: PathBuf },
    #[error(
        "the journal {path} cannot be understood ({reason}), so there would be no way back; move it away to begin anew"
    )]
    Journal { path: PathBuf, reason: String },
    #[error(transparent)]
    Sockets(#[from] check::Error),
    #[error(transparent)]
    Namespace(#[from] kernel::Error),
}

impl Error {
    /// Whether what was asked for is wrong in itself.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Misfit { .. } | Self::Unit(_))
    }

    pub fn is_permission(&self) -> bool {
        let source = match self {
            Self::Io { source, .. } => source,
            Self::Namespace(error) => return error.is_permission(),
            _ => return false,
        };
        source.kind() == io::ErrorKind::PermissionDenied
    }

    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
