//! Sleep, until a datagram, a command or an instant comes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

const SOCKET: u64 = 0;
const WAKER: u64 = 1;

/// A media thread's epoll. Its timers are as fine as the kernel's: 50 µs of slack, where a runtime's wheel has 1 ms.
#[derive(Debug)]
pub(super) struct Sleeper {
    epoll: OwnedFd,
    waker: Waker,
    /// Whether room to send wakes it, too.
    watches_room: bool,
}

/// Wakes a media thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Sleeper {
    pub(super) fn new(socket: impl AsFd) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = Waker(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?));
        epoll::add(&epoll, socket, epoll::EventData::new_u64(SOCKET), epoll::EventFlags::IN)?;
        epoll::add(&epoll, &waker.0, epoll::EventData::new_u64(WAKER), epoll::EventFlags::IN)?;
        Ok(Self { epoll, waker, watches_room: false })
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Sleeps until there is something to do. `until` is `None` if no timer runs; with `for_room`, room in the socket is
    /// something too.
    pub(super) fn sleep(&mut self, socket: impl AsFd, until: Option<Instant>, for_room: bool) -> io::Result<()> {
        if self.watches_room != for_room {
            let room = if for_room { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
            let flags = epoll::EventFlags::IN | room;
            epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(SOCKET), flags)?;
            self.watches_room = for_room;
        }
        let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); 2];
        match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => {
                if events.iter().any(|event| event.data.u64() == WAKER) {
                    let _ = rustix::io::read(&self.waker.0, &mut [0; 8]);
                }
                Ok(())
            }
            // A signal, or a debugger: what is to be done is looked for anyway.
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Waker {
    /// It does not sleep, or its sleep ends at once.
    pub(crate) fn wake(&self) {
        // It fails if 2^64 - 1 wakes were not heard yet.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().min(3600).cast_signed(), tv_nsec: time.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn sleep(sleeper: &mut Sleeper, socket: impl AsFd, time: Duration, for_room: bool) -> Duration {
        let start = Instant::now();
        sleeper.sleep(socket, Some(start + time), for_room).unwrap();
        start.elapsed()
    }

    #[test]
    fn each_of_what_it_waits_for_ends_it() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sleeper = Sleeper::new(&socket).unwrap();
        let slept = sleep(&mut sleeper, &socket, Duration::from_millis(3), false);
        assert!((Duration::from_millis(3)..LONG).contains(&slept), "a timer: {slept:?}");
        assert!(sleep(&mut sleeper, &socket, LONG, true) < LONG, "room in the socket");
        let slept = sleep(&mut sleeper, &socket, Duration::from_millis(3), false);
        assert!(slept >= Duration::from_millis(3), "which is not waited for any more: {slept:?}");

        sleeper.waker().wake();
        sleeper.waker().wake();
        assert!(sleep(&mut sleeper, &socket, LONG, false) < LONG, "a command");
        let slept = sleep(&mut sleeper, &socket, Duration::from_millis(3), false);
        assert!(slept >= Duration::from_millis(3), "both wakes were heard: {slept:?}");

        socket.send_to(&[0], socket.local_addr().unwrap()).unwrap();
        assert!(sleep(&mut sleeper, &socket, LONG, false) < LONG, "a datagram");
    }

    /// Over loopback a UDP socket is never full: what is sent has arrived.
    #[test]
    fn room_that_comes_ends_it() {
        let (one, other) = UnixDatagram::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        let mut sleeper = Sleeper::new(&one).unwrap();
        while one.send(&[0; 1000]).is_ok() {}
        let slept = sleep(&mut sleeper, &one, Duration::from_millis(3), true);
        assert!(slept >= Duration::from_millis(3), "there is none: {slept:?}");
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(3));
            other.set_nonblocking(true).unwrap();
            while other.recv(&mut [0; 1000]).is_ok() {}
            other
        });
        assert!(sleep(&mut sleeper, &one, LONG, true) < LONG);
        assert_eq!(one.send(&[0; 1000]).unwrap(), 1000);
        drop(reader.join().unwrap());
    }
}
