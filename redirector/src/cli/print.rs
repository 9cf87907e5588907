//! Standard output and error, whose reader may go away (`redirector flows | head`).

use std::{
    env,
    fmt::Display,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// Ends the command quietly: whoever read the output has enough.
    #[error("standard output is closed")]
    Closed,
    #[error("cannot write to standard output")]
    Io(#[source] io::Error),
}

/// A line on standard error, whether or not anybody reads it any more: what was begun is brought to its end.
pub fn say(line: impl Display) {
    _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes and flushes `text`, which brings its own newline. Unlike `print!` it never panics.
pub fn print(text: impl Display) -> Result<(), PrintError> {
    write(io::stdout().lock(), text)
}

/// Whether the reader is still there, for a command that may have nothing to say for long.
pub fn require_reader() -> Result<(), PrintError> {
    require_reader_of(io::stdout().as_fd())
}

fn require_reader_of(output: BorrowedFd<'_>) -> Result<(), PrintError> {
    let mut output = [PollFd::new(output, PollFlags::empty())];
    // An error of the look itself is no sign that the reader has gone.
    _ = poll(&mut output, PollTimeout::ZERO);
    match output[0].revents() {
        Some(events) if events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) => {
            Err(PrintError::Closed)
        }
        _ => Ok(()),
    }
}

/// A terminal that only prints what it gets, as those in editors and logs of builds.
pub fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}

fn write(output: impl Write, text: impl Display) -> Result<(), PrintError> {
    // Standard output flushes at each newline; a table of ten thousand flows should not.
    let mut output = io::BufWriter::with_capacity(64 * 1024, output);
    write!(output, "{text}")
        .and_then(|()| output.flush())
        .map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => PrintError::Closed,
            _ => PrintError::Io(error),
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_closed_pipe_is_an_error_of_its_own() {
        let (reader, writer) = io::pipe().unwrap();
        require_reader_of(writer.as_fd()).unwrap();
        drop(reader);
        assert!(matches!(
            require_reader_of(writer.as_fd()),
            Err(PrintError::Closed)
        ));
        let (reader, writer) = UnixStream::pair().unwrap();
        require_reader_of(writer.as_fd()).unwrap();
        drop(reader);
        assert!(matches!(
            require_reader_of(writer.as_fd()),
            Err(PrintError::Closed)
        ));
        assert!(matches!(write(writer, "text\n"), Err(PrintError::Closed)));
    }

    #[test]
    fn writes_the_text_as_it_is() {
        let mut output = Vec::new();
        write(&mut output, "80:8000/tcp\n").unwrap();
        assert_eq!(output, b"80:8000/tcp\n");
    }
}
