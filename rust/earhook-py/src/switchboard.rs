//! `Switchboard`: the connections of one loop, read together.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use earhook_ring::News;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rustix::event::epoll;
use rustix::event::Timespec;
use rustix::net;

use crate::detach::guarded;
use crate::error::Refusal;
use crate::line::Line;

/// What one connection may bring in a turn; what is left keeps until the next one.
const CHUNK_BYTES: usize = 65_536;
/// How many connections are served in a turn.
const TURN_LINES: usize = 256;
/// How many handshakes are taken a step further in a turn: a step may cost a signature, half a
/// millisecond, and whoever is on the line already waits for the turn's end.
const TURN_GREETINGS: usize = 8;
const SERVING: &str = "serving a connection";

/// The connections of one loop.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct Switchboard {
    epoll: OwnedFd,
    /// Where descriptors come in: the kernel makes them ours, and nobody has to believe a number.
    inlet: OwnedFd,
    outlet: Mutex<Option<OwnedFd>>,
    lines: Mutex<Vec<Option<Py<Line>>>>,
    desk: Mutex<Option<Desk>>,
}

/// What a turn works with, the same for all lines.
pub(crate) struct Desk {
    pub(crate) chunk: Vec<u8>,
    pub(crate) plain: Vec<u8>,
    pub(crate) news: Vec<News>,
}

impl Desk {
    fn new() -> Self {
        Self { chunk: vec![0; CHUNK_BYTES], plain: Vec::new(), news: Vec::new() }
    }

    /// Tells the readers of rings what has been written. Before Python is called, because what
    /// it does may rely on it; and hold no lock.
    pub(crate) fn announce(&mut self) {
        self.news.drain(..).for_each(News::announce);
    }
}

#[pymethods]
impl Switchboard {
    #[new]
    fn new() -> PyResult<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(os_error)?;
        let kind = (net::AddressFamily::UNIX, net::SocketType::SEQPACKET);
        let flags = net::SocketFlags::CLOEXEC;
        let (inlet, outlet) = net::socketpair(kind.0, kind.1, flags, None).map_err(os_error)?;
        Ok(Self {
            epoll,
            inlet,
            outlet: Mutex::new(Some(outlet)),
            lines: Mutex::default(),
            desk: Mutex::new(Some(Desk::new())),
        })
    }

    fn fileno(&self) -> i32 {
        self.epoll.as_raw_fd()
    }

    fn take_outlet(&self) -> PyResult<i32> {
        let outlet = lock(&self.outlet).take();
        let outlet = outlet.ok_or_else(|| Refusal::Argument("it has been taken".to_owned()))?;
        Ok(outlet.into_raw_fd())
    }

    fn admit(slf: &Bound<'_, Self>, owner: Py<PyAny>) -> PyResult<Py<Line>> {
        let this = slf.get();
        let socket = this.receive_descriptor()?;
        let slot = lock(&this.lines).iter().position(Option::is_none);
        let slot = slot.unwrap_or_else(|| {
            let mut lines = lock(&this.lines);
            lines.push(None);
            lines.len() - 1
        });
        let data = epoll::EventData::new_u64(slot as u64);
        epoll::add(&this.epoll, &socket, data, epoll::EventFlags::IN).map_err(os_error)?;
        let line = Py::new(slf.py(), Line::new(slf.clone().unbind(), slot, socket, owner))?;
        lock(&this.lines)[slot] = Some(line.clone_ref(slf.py()));
        Ok(line)
    }

    fn serve(&self, py: Python<'_>, now: f64) -> PyResult<(usize, usize)> {
        // Out of its lock, because Python code runs in a turn. Two turns at once there are not.
        let Some(mut desk) = lock(&self.desk).take() else { return Ok((0, 0)) };
        let served = self.turn(py, &mut desk, now);
        desk.announce();
        *lock(&self.desk) = Some(desk);
        served
    }
}

impl Switchboard {
    /// Serves who is on the line, and then some of those who are still being greeted; the others
    /// stay ready, and are told of again in the order in which they came.
    fn turn(&self, py: Python<'_>, desk: &mut Desk, now: f64) -> PyResult<(usize, usize)> {
        let mut room = [MaybeUninit::uninit(); TURN_LINES];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let events = match epoll::wait(&self.epoll, &mut room, Some(&at_once)) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return Ok((0, 0)),
            Err(error) => return Err(os_error(error)),
        };
        let mut greetings = Vec::new();
        for event in &*events {
            let (data, flags) = (event.data, event.flags);
            let Some(line) = self.line(py, data.u64()) else { continue };
            if line.get().is_greeting() {
                greetings.push((line, flags));
            } else {
                serve_line(line.bind(py), desk, flags, now);
            }
        }
        for (line, flags) in greetings.iter().take(TURN_GREETINGS) {
            serve_line(line.bind(py), desk, *flags, now);
        }
        Ok((events.len(), greetings.len()))
    }

    fn line(&self, py: Python<'_>, number: u64) -> Option<Py<Line>> {
        let slot = usize::try_from(number).ok()?;
        lock(&self.lines).get(slot)?.as_ref().map(|line| line.clone_ref(py))
    }

    fn receive_descriptor(&self) -> PyResult<OwnedFd> {
        let mut byte = [0_u8; 1];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = net::RecvAncillaryBuffer::new(&mut room);
        let parts = &mut [std::io::IoSliceMut::new(&mut byte)];
        let flags = net::RecvFlags::DONTWAIT | net::RecvFlags::CMSG_CLOEXEC;
        net::recvmsg(&self.inlet, parts, &mut ancillary, flags).map_err(os_error)?;
        for message in ancillary.drain() {
            if let net::RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                if let Some(descriptor) = descriptors.next() {
                    return Ok(descriptor);
                }
            }
        }
        // The kernel delivers the message and leaves the descriptor out.
        Err(os_error(rustix::io::Errno::MFILE))
    }

    /// Asks to be told when a line can take more, or no longer.
    pub(crate) fn watch(&self, slot: usize, socket: &OwnedFd, flags: epoll::EventFlags) {
        let data = epoll::EventData::new_u64(slot as u64);
        // It fails for what is gone, which is noticed where it is read.
        let _ = epoll::modify(&self.epoll, socket, data, flags);
    }

    pub(crate) fn forget(&self, slot: usize, socket: &OwnedFd) -> Option<Py<Line>> {
        let _ = epoll::delete(&self.epoll, socket.as_fd());
        lock(&self.lines).get_mut(slot).and_then(Option::take)
    }
}

/// A defect in it ends this line, and no other.
fn serve_line(line: &Bound<'_, Line>, desk: &mut Desk, flags: epoll::EventFlags, now: f64) {
    let (py, line) = (line.py(), line.get());
    let served = guarded(SERVING, || {
        line.serve(py, desk, flags, now);
        Ok(())
    });
    if let Err(refusal) = served {
        desk.announce();
        line.fail(py, refusal);
    }
}

fn os_error(error: rustix::io::Errno) -> PyErr {
    PyOSError::new_err((error.raw_os_error(), std::io::Error::from(error).to_string()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
