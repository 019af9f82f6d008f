//! The part of libsrtp 2.x that the tests call, declared by hand from `srtp2/srtp.h`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uchar, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::OnceLock;

use plenary_srtp::Profile;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CryptoPolicy {
    cipher_type: u32,
    cipher_key_len: c_int,
    auth_type: u32,
    auth_key_len: c_int,
    auth_tag_len: c_int,
    sec_serv: c_uint,
}

#[repr(C)]
struct Ssrc {
    kind: c_uint,
    value: c_uint,
}

#[repr(C)]
struct Policy {
    ssrc: Ssrc,
    rtp: CryptoPolicy,
    rtcp: CryptoPolicy,
    key: *mut c_uchar,
    keys: *mut c_void,
    num_master_keys: c_ulong,
    deprecated_ekt: *mut c_void,
    window_size: c_ulong,
    allow_repeat_tx: c_int,
    enc_xtn_hdr: *mut c_int,
    enc_xtn_hdr_count: c_int,
    next: *mut Self,
}

#[repr(C)]
struct Context {
    _opaque: [u8; 0],
}

const SSRC_ANY_INBOUND: c_uint = 2;
const SSRC_ANY_OUTBOUND: c_uint = 3;

unsafe extern "C" {
    fn srtp_init() -> c_int;
    fn srtp_create(session: *mut *mut Context, policy: *const Policy) -> c_int;
    fn srtp_dealloc(session: *mut Context) -> c_int;
    fn srtp_protect(session: *mut Context, packet: *mut c_void, len: *mut c_int) -> c_int;
    fn srtp_unprotect(session: *mut Context, packet: *mut c_void, len: *mut c_int) -> c_int;
    fn srtp_protect_rtcp(session: *mut Context, packet: *mut c_void, len: *mut c_int) -> c_int;
    fn srtp_unprotect_rtcp(session: *mut Context, packet: *mut c_void, len: *mut c_int) -> c_int;
    fn srtp_crypto_policy_set_from_profile_for_rtp(policy: *mut CryptoPolicy, profile: c_uint) -> c_int;
    fn srtp_crypto_policy_set_from_profile_for_rtcp(policy: *mut CryptoPolicy, profile: c_uint) -> c_int;
}

/// Whether a session protects or unprotects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It protects.
    Outbound,
    /// It unprotects.
    Inbound,
}

/// libsrtp's status code: 7 is a failed authentication, 9 a replay, 10 one that is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(
    /// The `srtp_err_status_t`.
    pub i32,
);

/// A session of libsrtp that takes any SSRC.
#[derive(Debug)]
pub struct Session {
    context: *mut Context,
    profile: Profile,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

impl Session {
    /// A session under this master key and salt, with a replay window of 1024 packets.
    ///
    /// # Panics
    ///
    /// If libsrtp does not know the profile or the key has not its length.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8], direction: Direction) -> Self {
        static INIT: OnceLock<c_int> = OnceLock::new();
        // SAFETY: called once, before anything else of libsrtp.
        assert_eq!(*INIT.get_or_init(|| unsafe { srtp_init() }), 0, "libsrtp starts");
        assert_eq!((key.len(), salt.len()), (profile.key_len(), profile.salt_len()));
        let mut key_and_salt = [key, salt].concat();
        let (mut rtp, mut rtcp) = (CryptoPolicy::default(), CryptoPolicy::default());
        // SAFETY: both write to the policy that they are given.
        let statuses = unsafe {
            (
                srtp_crypto_policy_set_from_profile_for_rtp(&mut rtp, profile.id().into()),
                srtp_crypto_policy_set_from_profile_for_rtcp(&mut rtcp, profile.id().into()),
            )
        };
        assert_eq!(statuses, (0, 0), "libsrtp knows {profile:?}");
        let policy = Policy {
            ssrc: Ssrc {
                kind: match direction {
                    Direction::Outbound => SSRC_ANY_OUTBOUND,
                    Direction::Inbound => SSRC_ANY_INBOUND,
                },
                value: 0,
            },
            rtp,
            rtcp,
            key: key_and_salt.as_mut_ptr(),
            keys: ptr::null_mut(),
            num_master_keys: 0,
            deprecated_ekt: ptr::null_mut(),
            window_size: 1024,
            allow_repeat_tx: 0,
            enc_xtn_hdr: ptr::null_mut(),
            enc_xtn_hdr_count: 0,
            next: ptr::null_mut(),
        };
        let mut context = ptr::null_mut();
        // SAFETY: the policy and the key that it points to outlive the call, which copies both.
        assert_eq!(unsafe { srtp_create(&mut context, &policy) }, 0, "libsrtp takes {profile:?}");
        Self { context, profile }
    }

    /// Protects the first `len` bytes of `buffer`, which has room for what is added; the length afterwards.
    ///
    /// # Errors
    ///
    /// [`Failed`] with libsrtp's status.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Failed> {
        assert!(buffer.len() >= len + self.profile.rtp_overhead());
        // SAFETY: the buffer holds the packet and, checked above, what is added to it.
        self.call(buffer, len, |context, packet, len| unsafe { srtp_protect(context, packet, len) })
    }

    /// As [`protect_rtp`](Self::protect_rtp), for RTCP.
    ///
    /// # Errors
    ///
    /// [`Failed`] with libsrtp's status.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Failed> {
        assert!(buffer.len() >= len + self.profile.rtcp_overhead());
        // SAFETY: the buffer holds the packet and, checked above, what is added to it.
        self.call(buffer, len, |context, packet, len| unsafe { srtp_protect_rtcp(context, packet, len) })
    }

    /// Unprotects `packet` in place; the length afterwards.
    ///
    /// # Errors
    ///
    /// [`Failed`] with libsrtp's status.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Failed> {
        let len = packet.len();
        // SAFETY: the buffer holds the packet, which only gets shorter.
        self.call(packet, len, |context, packet, len| unsafe { srtp_unprotect(context, packet, len) })
    }

    /// As [`unprotect_rtp`](Self::unprotect_rtp), for RTCP.
    ///
    /// # Errors
    ///
    /// [`Failed`] with libsrtp's status.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Failed> {
        let len = packet.len();
        // SAFETY: the buffer holds the packet, which only gets shorter.
        self.call(packet, len, |context, packet, len| unsafe { srtp_unprotect_rtcp(context, packet, len) })
    }

    fn call(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        function: impl FnOnce(*mut Context, *mut c_void, *mut c_int) -> c_int,
    ) -> Result<usize, Failed> {
        let mut len = c_int::try_from(len).expect("a packet's length");
        match function(self.context, buffer.as_mut_ptr().cast(), &mut len) {
            0 => Ok(usize::try_from(len).expect("libsrtp answers a length")),
            status => Err(Failed(status)),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: made by srtp_create, and not used again.
        unsafe { srtp_dealloc(self.context) };
    }
}
