use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::ioctl::{Opcode, Updater, ioctl};

/// `_IOW('T', 202, int)` of `linux/if_tun.h`. The argument is an `ifreq` all the same.
const TUNSETIFF: Opcode = 0x4004_54ca;
const IFF_TUN: u16 = 0x0001;
/// Packets without a header of the device's own.
const IFF_NO_PI: u16 = 0x1000;

/// `struct ifreq` of `net/if.h`: a name, and a union of which only the flags count here.
#[repr(C, align(8))]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Makes a TUN device in the namespace of the calling thread, and says its name. Reads and writes are of one IP packet
/// each, and do not block. The device is gone when the file is closed.
pub(crate) fn open() -> io::Result<(File, String)> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open("/dev/net/tun")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    // The kernel puts a number in the place of `%d`.
    request.name[..9].copy_from_slice(b"netsim-%d");
    #[expect(unsafe_code, reason = "no library of ours wraps this call")]
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, of 40 bytes on 64-bit Linux and 32 on 32-bit Linux, and
    // `InterfaceRequest` has its layout and 40 bytes.
    unsafe {
        ioctl(&file, Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request))?;
    }
    let length = request.name.iter().position(|byte| *byte == 0).unwrap_or(request.name.len());
    Ok((file, String::from_utf8_lossy(&request.name[..length]).into_owned()))
}
