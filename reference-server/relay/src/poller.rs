//! Sleep, until a socket, a command or an instant comes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use plenary_wire::FlowId;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

/// Sockets of one turn; the others have theirs in the next.
pub(crate) const READY_MAX: usize = 128;

const WAKER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    waker: Waker,
}

/// Wakes a thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<OwnedFd>);

/// What a socket is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) flow: FlowId,
    /// There is something to read, or the end.
    pub(crate) reads: bool,
    /// There is room to write, or it failed.
    pub(crate) writes: bool,
    /// Something went wrong: of a UDP socket its error queue says what.
    pub(crate) failed: bool,
    /// Of a connection: neither side can write any more.
    pub(crate) is_closed: bool,
}

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) reads: bool,
    pub(crate) writes: bool,
}

impl Interest {
    pub(crate) const READS: Self = Self { reads: true, writes: false };
    pub(crate) const WRITES: Self = Self { reads: false, writes: true };
    pub(crate) const NONE: Self = Self { reads: false, writes: false };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.reads);
        flags.set(EventFlags::OUT, self.writes);
        // The end is told all the same: once, or nobody would sleep until it is looked at.
        flags.set(EventFlags::ET, self == Self::NONE);
        flags
    }
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = Waker(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?));
        epoll::add(&epoll, &waker.0, EventData::new_u64(WAKER), EventFlags::IN)?;
        Ok(Self { epoll, waker })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches a socket. One that is closed is not watched any more.
    pub(crate) fn add(&self, socket: impl AsFd, flow: FlowId, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(flow.0.into()), interest.flags())?)
    }

    pub(crate) fn modify(&self, socket: impl AsFd, flow: FlowId, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(flow.0.into()), interest.flags())?)
    }

    /// Sleeps until there is something to do, or for so long.
    pub(crate) fn wait(&self, timeout: Option<Duration>, ready: &mut ArrayVec<Ready, READY_MAX>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().min(3600).cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); READY_MAX];
        ready.clear();
        let events = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => events,
            // A signal, or a debugger: what is to be done is looked for anyway.
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in events {
            let (data, flags) = (event.data.u64(), event.flags);
            if data == WAKER {
                let _ = rustix::io::read(&self.waker.0, &mut [0; 8]);
                continue;
            }
            let failed = flags.intersects(EventFlags::ERR);
            let is_closed = flags.intersects(EventFlags::HUP);
            let ended = failed || is_closed;
            ready.push(Ready {
                flow: FlowId(data as u32),
                reads: ended || flags.intersects(EventFlags::IN),
                writes: ended || flags.intersects(EventFlags::OUT),
                failed,
                is_closed,
            });
        }
        Ok(())
    }
}

impl Waker {
    /// It does not sleep, or its sleep ends at once.
    pub(crate) fn wake(&self) {
        // It fails if 2^64 - 1 wakes were not heard yet.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}
