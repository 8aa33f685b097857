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
    slots: Mutex<Slots>,
    desk: Mutex<Option<Desk>>,
}

/// Where the lines are. A slot is used again, so an event names the line by its number, too: it
/// may be about a line that has gone since.
#[derive(Default)]
struct Slots {
    lines: Vec<Option<Py<Line>>>,
    admitted: u32,
}

/// Which line: its slot, and its number among all that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    slot: u32,
    number: u32,
}

impl Place {
    fn to_event(self) -> epoll::EventData {
        epoll::EventData::new_u64(u64::from(self.number) << 32 | u64::from(self.slot))
    }

    #[allow(clippy::cast_possible_truncation)] // the two halves
    fn of_event(data: epoll::EventData) -> Self {
        Self { slot: data.u64() as u32, number: (data.u64() >> 32) as u32 }
    }
}

impl Slots {
    /// A slot that is free, and a new number.
    fn place(&mut self) -> Result<Place, Refusal> {
        let free = self.lines.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.lines.push(None);
            self.lines.len() - 1
        });
        let slot = u32::try_from(slot).map_err(|_| Refusal::Argument("too many".to_owned()))?;
        self.admitted = self.admitted.wrapping_add(1);
        Ok(Place { slot, number: self.admitted })
    }

    fn slot(&mut self, place: Place) -> Option<&mut Option<Py<Line>>> {
        usize::try_from(place.slot).ok().and_then(|slot| self.lines.get_mut(slot))
    }
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

    /// What a line was working with when it failed is lost: without room for what comes, every
    /// other line would seem to be at its end.
    fn mend(&mut self) {
        self.chunk.resize(CHUNK_BYTES, 0);
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
            slots: Mutex::default(),
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
        let place = lock(&this.slots).place()?;
        let flags = epoll::EventFlags::IN;
        epoll::add(&this.epoll, &socket, place.to_event(), flags).map_err(os_error)?;
        let line = Py::new(slf.py(), Line::new(slf.clone().unbind(), place, socket, owner))?;
        if let Some(slot) = lock(&this.slots).slot(place) {
            *slot = Some(line.clone_ref(slf.py()));
        }
        Ok(line)
    }

    fn serve(&self, py: Python<'_>, now: f64) -> PyResult<(usize, usize)> {
        // Out of its lock, because Python code runs in a turn. Two turns at once there are not.
        let Some(mut desk) = lock(&self.desk).take() else { return Ok((0, 0)) };
        // Whatever happens, the desk goes back: without it nobody would ever be served again.
        let served = guarded(SERVING, || {
            let served = self.turn(py, &mut desk, now).map_err(Refusal::Python);
            desk.announce();
            served
        });
        desk.mend();
        *lock(&self.desk) = Some(desk);
        Ok(served?)
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
            let Some(line) = self.line(py, Place::of_event(data)) else { continue };
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

    fn line(&self, py: Python<'_>, place: Place) -> Option<Py<Line>> {
        let mut slots = lock(&self.slots);
        let line = slots.slot(place)?.as_ref()?;
        (line.get().place() == place).then(|| line.clone_ref(py))
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
    pub(crate) fn watch(&self, place: Place, socket: &OwnedFd, flags: epoll::EventFlags) {
        // It fails for what is gone, which is noticed where it is read.
        let _ = epoll::modify(&self.epoll, socket, place.to_event(), flags);
    }

    pub(crate) fn forget(&self, place: Place, socket: &OwnedFd) -> Option<Py<Line>> {
        let _ = epoll::delete(&self.epoll, socket.as_fd());
        lock(&self.slots).slot(place).and_then(Option::take)
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
        desk.mend();
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
