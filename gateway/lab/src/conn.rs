//! One accepted connection and the handle by which a handler can break it: cut the next write in half, or reset at once.
//! Refuses to know about HTTP; it is bytes and a socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const NORMAL: u8 = 0;
const CUT_NEXT_WRITE: u8 = 1;
const RESET: u8 = 2;

/// Breaks the connection it belongs to. Travels with each request as an extension.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnControl(Arc<AtomicU8>);

impl ConnControl {
    /// The next write delivers half of its bytes, then the connection is reset.
    pub(crate) fn cut_next_write(&self) {
        self.0.store(CUT_NEXT_WRITE, Ordering::Release);
    }

    /// The connection is reset at its next use.
    pub(crate) fn reset(&self) {
        self.0.store(RESET, Ordering::Release);
    }

    fn mode(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

/// The socket under a connection.
#[derive(Debug)]
pub(crate) struct LabIo {
    stream: TcpStream,
    control: ConnControl,
}

impl LabIo {
    pub(crate) fn new(stream: TcpStream) -> (Self, ConnControl) {
        let control = ConnControl::default();
        (Self { stream, control: control.clone() }, control)
    }

    /// Closing with a zero linger sends RST instead of FIN.
    fn broken(&self) -> io::Error {
        if let Err(error) = self.stream.set_zero_linger() {
            tracing::debug!(%error, "the lab could not reset a connection");
        }
        io::Error::new(io::ErrorKind::ConnectionReset, "the lab was told to break this connection")
    }

    fn cut(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let half = all.get(..all.len() / 2).unwrap_or_default();
        ready!(Pin::new(&mut self.stream).poll_write(cx, half))?;
        self.control.reset();
        Poll::Ready(Err(self.broken()))
    }
}

impl Drop for LabIo {
    fn drop(&mut self) {
        // hyper may give up on the connection before it touches the socket again.
        if self.control.mode() == RESET {
            let _ = self.broken();
        }
    }
}

impl AsyncRead for LabIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.control.mode() == RESET {
            return Poll::Ready(Err(self.broken()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for LabIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.control.mode() {
            NORMAL => Pin::new(&mut self.stream).poll_write(cx, buf),
            RESET => Poll::Ready(Err(self.broken())),
            _ => self.cut(cx, &[IoSlice::new(buf)]),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.control.mode() {
            NORMAL => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
            RESET => Poll::Ready(Err(self.broken())),
            _ => self.cut(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
