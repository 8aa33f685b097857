//! `Line`: one connection of a switchboard.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use earhook_line::{Event, FrameLimits, FrameReader, Rule};
use earhook_ring::News;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net;

use crate::cipher::{wants_more, Cipher, Step, Then};
use crate::detach::guarded;
use crate::error::Refusal;
use crate::pipeline::Pipeline;
use crate::switchboard::{Desk, Place, Switchboard};
use crate::word::Word;

/// The most that a TLS record holds (RFC 8446 §5.1).
const RECORD_BYTES: usize = 1 << 14;
/// One connection: what comes is decrypted, taken apart, and told to its owner.
#[pyclass(frozen, module = "earhook._core")]
pub(crate) struct Line {
    board: Py<Switchboard>,
    place: Place,
    state: Mutex<State>,
}

struct State {
    /// None when the connection is no more.
    socket: Option<OwnedFd>,
    owner: Option<Py<PyAny>>,
    cipher: Option<Cipher>,
    stage: Stage,
    lane: Option<Lane>,
    kept: Kept,
    unsent: Vec<u8>,
    hears: bool,
}

/// What is done with what comes.
enum Stage {
    /// TLS is being agreed: the owner does it.
    Greeting,
    /// Plain bytes go to the owner.
    Bytes,
    /// Frames go to a listener, and audio into a pipeline while the lane is open.
    Frames(Box<Frames>),
    /// Nothing counts any more: it is taken off the kernel, so much of it at most.
    Soaking(usize),
}

struct Frames {
    reader: FrameReader,
    listener: Py<PyAny>,
}

/// Where binary messages go while they are audio that is to be kept.
struct Lane {
    pipeline: Py<Pipeline>,
    group_bytes: usize,
}

/// What went through the lane and has not been asked for.
#[derive(Default, Clone, Copy)]
struct Kept {
    samples: u64,
    heard_at: f64,
}

#[pymethods]
impl Line {
    fn secure(&self, write: Py<PyAny>, read: Py<PyAny>) {
        let cipher = Some(Cipher::new(write, read));
        let cipher = std::mem::replace(&mut self.state().cipher, cipher);
        drop(cipher);
        self.enter(Stage::Greeting);
    }

    fn pass_bytes(&self) {
        self.enter(Stage::Bytes);
    }

    fn pass_frames(&self, listener: Py<PyAny>, limits: (usize, usize, usize, usize)) {
        let (message_bytes, fragments, frames_per_second, control_frames_per_second) = limits;
        let reader = FrameReader::new(FrameLimits {
            message_bytes,
            fragments,
            frames_per_second,
            control_frames_per_second,
        });
        if let Some(cipher) = &mut self.state().cipher {
            cipher.expect_frames(frames_per_second);
        }
        self.enter(Stage::Frames(Box::new(Frames { reader, listener })));
    }

    fn open_lane(&self, pipeline: Py<Pipeline>, group_bytes: usize) -> Result<(), Refusal> {
        if group_bytes == 0 {
            return Err(Refusal::Argument("a sample group has at least a byte".to_owned()));
        }
        let lane = Some(Lane { pipeline, group_bytes });
        let lane = std::mem::replace(&mut self.state().lane, lane);
        drop(lane);
        Ok(())
    }

    fn close_lane(&self) {
        let lane = self.state().lane.take();
        drop(lane);
    }

    fn take_kept(&self) -> (u64, f64) {
        let kept = std::mem::take(&mut self.state().kept);
        (kept.samples, kept.heard_at)
    }

    /// Bytes that came otherwise, as if they had come now.
    fn feed(slf: &Bound<'_, Self>, early: &[u8], now: f64) {
        let mut bytes = early.to_vec();
        let mut news = Vec::new();
        slf.get().pass_on(slf.py(), &mut bytes, &mut news, now);
        news.into_iter().for_each(News::announce);
    }

    fn send(&self, py: Python<'_>, ready: &[u8]) -> usize {
        self.state().send(ready, self.board.bind(py).get(), self.place)
    }

    #[getter]
    fn unsent_bytes(&self) -> usize {
        self.state().unsent.len()
    }

    fn soak(&self, most_bytes: usize) {
        self.enter(Stage::Soaking(most_bytes));
        self.close_lane();
    }

    fn finish(&self) {
        if let Some(socket) = &self.state().socket {
            let _ = net::shutdown(socket, net::Shutdown::Write);
        }
    }

    fn hang_up(&self, py: Python<'_>) {
        let gone = {
            let mut state = self.state();
            let stage = std::mem::replace(&mut state.stage, Stage::Soaking(0));
            let held = (state.owner.take(), state.cipher.take(), state.lane.take(), stage);
            state.unsent = Vec::new();
            (state.socket.take(), held)
        };
        if let Some(socket) = &gone.0 {
            drop(self.board.bind(py).get().forget(self.place, socket));
        }
    }
}

impl Line {
    pub(crate) fn new(
        board: Py<Switchboard>,
        place: Place,
        socket: OwnedFd,
        owner: Py<PyAny>,
    ) -> Self {
        let state = State {
            socket: Some(socket),
            owner: Some(owner),
            cipher: None,
            stage: Stage::Bytes,
            lane: None,
            kept: Kept::default(),
            unsent: Vec::new(),
            hears: true,
        };
        Self { board, place, state: Mutex::new(state) }
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// What is let go is let go with no lock held: Python code may run then.
    fn enter(&self, stage: Stage) {
        let stage = std::mem::replace(&mut self.state().stage, stage);
        drop(stage);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether TLS is still being agreed.
    pub(crate) fn is_greeting(&self) -> bool {
        matches!(self.state().stage, Stage::Greeting)
    }

    /// The connection has something for us, or room again.
    pub(crate) fn serve(&self, py: Python<'_>, desk: &mut Desk, flags: EventFlags, now: f64) {
        if flags.contains(EventFlags::OUT) {
            self.send_rest(py, desk);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            let mut chunk = std::mem::take(&mut desk.chunk);
            let received = self.state().receive(&mut chunk);
            match received {
                Ok(0) => self.end(py, desk),
                Ok(bytes) => self.take(py, desk, &mut chunk[..bytes], now),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => self.end(py, desk),
            }
            desk.chunk = chunk;
        }
    }

    /// A defect of ours: this connection ends, and no other.
    pub(crate) fn fail(&self, py: Python<'_>, refusal: Refusal) {
        PyErr::from(refusal).write_unraisable(py, None);
        let ended = guarded("ending a connection", || {
            self.tell_owner(py, |owner| owner.call_method0(intern!(py, "abort")));
            Ok(())
        });
        if let Err(refusal) = ended {
            PyErr::from(refusal).write_unraisable(py, None);
            self.hang_up(py);
        }
    }

    fn take(&self, py: Python<'_>, desk: &mut Desk, chunk: &mut [u8], now: f64) {
        let route = self.state().route(py, chunk);
        match route {
            Route::Nowhere => {}
            Route::TooMuch => {
                desk.announce();
                self.tell_owner(py, |owner| owner.call_method0(intern!(py, "abort")));
            }
            Route::Plain => self.pass_on(py, chunk, &mut desk.news, now),
            Route::Cipher { write, read, greets } => {
                self.decrypt(py, desk, chunk, (&write, &read), now);
                if greets {
                    // Only now, and not if it failed: a greeting that goes wrong is not answered.
                    desk.announce();
                    self.tell_owner(py, |owner| owner.call_method0(intern!(py, "flush")));
                }
            }
        }
    }

    /// Gives TLS one record at a time, so that nobody can buy much work with one chunk.
    fn decrypt(
        &self,
        py: Python<'_>,
        desk: &mut Desk,
        mut chunk: &[u8],
        (write, read): (&Py<PyAny>, &Py<PyAny>),
        now: f64,
    ) {
        while !chunk.is_empty() {
            let Some(step) = self.state().step(chunk, now) else { return };
            let (record, behind) = chunk.split_at(step.bytes);
            chunk = behind;
            if matches!(step.then, Then::Cut) {
                return self.cut(py, desk);
            }
            if write.call1(py, (PyBytes::new(py, record),)).is_err() {
                return self.end(py, desk);
            }
            match step.then {
                Then::Wait | Then::Cut => {}
                Then::Greet => {
                    desk.announce();
                    self.tell_owner(py, |owner| owner.call_method0(intern!(py, "hear_greeting")));
                }
                Then::Read => self.read_record(py, desk, read, now),
            }
            if step.is_last {
                return self.end(py, desk);
            }
        }
    }

    /// Reads what a record holds: a read gives all of it, since none is longer than the room.
    fn read_record(&self, py: Python<'_>, desk: &mut Desk, read: &Py<PyAny>, now: f64) {
        let decrypted = read.call1(py, (RECORD_BYTES,));
        match decrypted.as_ref().map(|bytes| bytes.bind(py).cast::<PyBytes>()) {
            Ok(Ok(bytes)) if !bytes.as_bytes().is_empty() => {
                let mut plain = std::mem::take(&mut desk.plain);
                plain.clear();
                plain.extend_from_slice(bytes.as_bytes());
                self.pass_on(py, &mut plain, &mut desk.news, now);
                desk.plain = plain;
            }
            Ok(_) => self.end(py, desk),
            Err(error) => self.stumble(py, desk, error, now),
        }
    }

    /// TLS gave no bytes: it waits for more, or it is over. It may have something to say itself.
    fn stumble(&self, py: Python<'_>, desk: &mut Desk, error: &PyErr, now: f64) {
        desk.announce();
        self.tell_owner(py, |owner| owner.call_method0(intern!(py, "flush")));
        if !wants_more(py, error) {
            return self.end(py, desk);
        }
        let is_flooded = self.state().cipher.as_mut().is_some_and(|it| it.is_flooded(now));
        if is_flooded {
            self.cut(py, desk);
        }
    }

    /// The peer floods us below its frames.
    fn cut(&self, py: Python<'_>, desk: &mut Desk) {
        desk.announce();
        let listener = match &self.state().stage {
            Stage::Frames(frames) => Some(frames.listener.clone_ref(py)),
            _ => None,
        };
        match listener {
            Some(listener) => {
                self.tell_listener(&listener.into_bound(py), Word::Broken(Rule::FrameRate))
            }
            None => self.tell_owner(py, |owner| owner.call_method0(intern!(py, "abort"))),
        }
    }

    /// Plain bytes go where the stage says.
    fn pass_on(&self, py: Python<'_>, bytes: &mut [u8], news: &mut Vec<News>, now: f64) {
        let mut at = 0;
        while at < bytes.len() {
            let mut guard = self.state();
            let state = &mut *guard;
            let Stage::Frames(frames) = &mut state.stage else {
                let hears = matches!(state.stage, Stage::Bytes);
                drop(guard);
                if hears {
                    news.drain(..).for_each(News::announce);
                    let rest = PyBytes::new(py, &bytes[at..]);
                    let hear = intern!(py, "hear_bytes");
                    self.tell_owner(py, |owner| owner.call_method1(hear, (rest,)));
                }
                return;
            };
            let (taken, event) = frames.reader.next(&mut bytes[at..], now);
            at += taken;
            let word = match (event, &state.lane) {
                (None, _) => None,
                (Some(Event::Binary(audio)), Some(lane)) if lane.fits(audio) => {
                    lane.keep(py, audio, &mut state.kept, news, now)
                }
                (Some(event), _) => Some(Word::from(event)),
            };
            let Some(word) = word else { continue };
            let listener = frames.listener.clone_ref(py);
            drop(guard);
            news.drain(..).for_each(News::announce);
            self.tell_listener(listener.bind(py), word);
        }
    }

    fn tell_listener(&self, listener: &Bound<'_, PyAny>, word: Word) {
        let py = listener.py();
        if let Err(error) = word.tell(listener) {
            error.write_unraisable(py, None);
            self.tell_owner(py, |owner| owner.call_method0(intern!(py, "abort")));
        }
    }

    /// Nothing more will come.
    fn end(&self, py: Python<'_>, desk: &mut Desk) {
        {
            let mut state = self.state();
            state.hears = false;
            state.watch(self.board.bind(py).get(), self.place);
        }
        desk.announce();
        self.tell_owner(py, |owner| owner.call_method0(intern!(py, "hear_end")));
    }

    fn send_rest(&self, py: Python<'_>, desk: &mut Desk) {
        let unsent_bytes = {
            let mut state = self.state();
            state.send_rest();
            state.watch(self.board.bind(py).get(), self.place);
            state.unsent.len()
        };
        desk.announce();
        let hear = intern!(py, "hear_room");
        self.tell_owner(py, |owner| owner.call_method1(hear, (unsent_bytes,)));
    }

    /// Calls the owner, if there still is one, with no lock held. An exception of it is a defect of
    /// ours, and ends the line.
    fn tell_owner<'py, T>(
        &self,
        py: Python<'py>,
        tell: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
    ) {
        let owner = self.state().owner.as_ref().map(|owner| owner.clone_ref(py));
        let Some(owner) = owner else { return };
        let owner = owner.bind(py);
        let Err(error) = tell(owner) else { return };
        error.write_unraisable(py, Some(owner));
        if let Err(error) = owner.call_method0(intern!(py, "abort")) {
            error.write_unraisable(py, Some(owner));
            self.hang_up(py);
        }
    }
}

/// Where a chunk goes.
enum Route {
    Nowhere,
    TooMuch,
    Plain,
    Cipher { write: Py<PyAny>, read: Py<PyAny>, greets: bool },
}

impl Stage {
    fn listens(&self) -> bool {
        matches!(self, Self::Bytes | Self::Frames(_))
    }
}

impl State {
    fn receive(&self, chunk: &mut [u8]) -> Result<usize, Errno> {
        let socket = self.socket.as_ref().ok_or(Errno::AGAIN)?;
        net::recv(socket, chunk, net::RecvFlags::DONTWAIT).map(|(_, bytes)| bytes)
    }

    fn route(&mut self, py: Python<'_>, chunk: &[u8]) -> Route {
        match (&mut self.stage, &mut self.cipher) {
            (Stage::Soaking(left), _) => match left.checked_sub(chunk.len()) {
                Some(rest) => {
                    *left = rest;
                    Route::Nowhere
                }
                None => Route::TooMuch,
            },
            (stage, Some(cipher)) => Route::Cipher {
                write: cipher.write.clone_ref(py),
                read: cipher.read.clone_ref(py),
                greets: matches!(stage, Stage::Greeting),
            },
            (_, None) => Route::Plain,
        }
    }

    /// What TLS gets next; nothing, if nobody would hear what it says.
    fn step(&mut self, bytes: &[u8], now: f64) -> Option<Step> {
        let greets = matches!(self.stage, Stage::Greeting);
        let is_heard = self.hears && (greets || self.stage.listens());
        let cipher = self.cipher.as_mut().filter(|_| is_heard)?;
        Some(cipher.step(bytes, greets, now))
    }

    fn send(&mut self, bytes: &[u8], board: &Switchboard, place: Place) -> usize {
        let waits = !self.unsent.is_empty();
        let sent = if waits { 0 } else { self.send_now(bytes) };
        if sent < bytes.len() {
            self.unsent.extend_from_slice(&bytes[sent..]);
            if !waits {
                self.watch(board, place);
            }
        }
        self.unsent.len()
    }

    fn send_rest(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        let sent = self.send_now(&unsent);
        self.unsent = unsent[sent..].to_vec();
    }

    /// Gives how many bytes need not be sent any more. What nobody will ever take counts as sent:
    /// that the connection is gone is noticed where it is read.
    fn send_now(&self, bytes: &[u8]) -> usize {
        let Some(socket) = &self.socket else { return bytes.len() };
        match net::send(socket, bytes, net::SendFlags::NOSIGNAL | net::SendFlags::DONTWAIT) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => bytes.len(),
        }
    }

    fn watch(&self, board: &Switchboard, place: Place) {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.hears);
        flags.set(EventFlags::OUT, !self.unsent.is_empty());
        if let Some(socket) = &self.socket {
            board.watch(place, socket, flags);
        }
    }
}

impl Lane {
    fn fits(&self, audio: &[u8]) -> bool {
        audio.len().is_multiple_of(self.group_bytes)
    }

    /// Counts first, so that whatever happens then, the books know of it.
    fn keep(
        &self,
        py: Python<'_>,
        audio: &[u8],
        kept: &mut Kept,
        news: &mut Vec<News>,
        now: f64,
    ) -> Option<Word> {
        kept.samples += (audio.len() / self.group_bytes) as u64;
        kept.heard_at = now;
        match self.pipeline.get().take_frame(audio) {
            Ok(fresh) => {
                news.push(fresh);
                None
            }
            Err(refusal) => Some(Word::Fault(refusal, self.pipeline.clone_ref(py))),
        }
    }
}
