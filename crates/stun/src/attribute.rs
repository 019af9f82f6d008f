use std::fmt;

/// The type of an attribute (RFC 8489 §18.3, RFC 8656 §18, RFC 8445 §20.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute(pub u16);

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl Attribute {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Its name in the RFCs.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

attributes! {
    /// RFC 8489 §14.1.
    MAPPED_ADDRESS = 0x0001;
    /// RFC 8489 §14.3; up to 508 bytes, read up to 513.
    USERNAME = 0x0006;
    /// RFC 8489 §14.5.
    MESSAGE_INTEGRITY = 0x0008;
    /// RFC 8489 §14.8.
    ERROR_CODE = 0x0009;
    /// RFC 8489 §14.13.
    UNKNOWN_ATTRIBUTES = 0x000a;
    /// RFC 8656 §18.1.
    CHANNEL_NUMBER = 0x000c;
    /// RFC 8656 §18.2.
    LIFETIME = 0x000d;
    /// RFC 8656 §18.3.
    XOR_PEER_ADDRESS = 0x0012;
    /// RFC 8656 §18.4.
    DATA = 0x0013;
    /// RFC 8489 §14.9.
    REALM = 0x0014;
    /// RFC 8489 §14.10.
    NONCE = 0x0015;
    /// RFC 8656 §18.5.
    XOR_RELAYED_ADDRESS = 0x0016;
    /// RFC 8656 §18.6.
    REQUESTED_ADDRESS_FAMILY = 0x0017;
    /// RFC 8656 §18.7.
    EVEN_PORT = 0x0018;
    /// RFC 8656 §18.8.
    REQUESTED_TRANSPORT = 0x0019;
    /// RFC 8656 §18.9.
    DONT_FRAGMENT = 0x001a;
    /// RFC 8489 §14.6.
    MESSAGE_INTEGRITY_SHA256 = 0x001c;
    /// RFC 8489 §14.12.
    PASSWORD_ALGORITHM = 0x001d;
    /// RFC 8489 §14.4.
    USERHASH = 0x001e;
    /// RFC 8489 §14.2.
    XOR_MAPPED_ADDRESS = 0x0020;
    /// RFC 8656 §18.10.
    RESERVATION_TOKEN = 0x0022;
    /// RFC 8445 §7.1.1.
    PRIORITY = 0x0024;
    /// RFC 8445 §7.1.2.
    USE_CANDIDATE = 0x0025;
    /// RFC 6062 §6.2.1.
    CONNECTION_ID = 0x002a;
    /// RFC 8656 §18.11.
    ADDITIONAL_ADDRESS_FAMILY = 0x8000;
    /// RFC 8656 §18.12.
    ADDRESS_ERROR_CODE = 0x8001;
    /// RFC 8489 §14.11.
    PASSWORD_ALGORITHMS = 0x8002;
    /// RFC 8489 §14.16.
    ALTERNATE_DOMAIN = 0x8003;
    /// RFC 8656 §18.13.
    ICMP = 0x8004;
    /// RFC 8489 §14.14.
    SOFTWARE = 0x8022;
    /// RFC 8489 §14.15.
    ALTERNATE_SERVER = 0x8023;
    /// RFC 8489 §14.7.
    FINGERPRINT = 0x8028;
    /// RFC 8445 §7.1.3.
    ICE_CONTROLLED = 0x8029;
    /// RFC 8445 §7.1.3.
    ICE_CONTROLLING = 0x802a;
    /// RFC 8016 §3.3.
    MOBILITY_TICKET = 0x8030;
    /// draft-thatcher-ice-renomination, as clients send it.
    NOMINATION = 0xc001;
    /// Network id and cost, as clients send it.
    NETWORK_COST = 0xc057;
}

impl Attribute {
    /// Who does not know it may not go on: the type is below 0x8000.
    #[must_use]
    pub const fn must_be_understood(self) -> bool {
        self.0 < 0x8000
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

/// The number of an ERROR-CODE, 300 to 699 (RFC 8489 §14.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u16);

impl ErrorCode {
    /// RFC 8489: ask that server.
    pub const TRY_ALTERNATE: Self = Self(300);
    /// RFC 8489.
    pub const BAD_REQUEST: Self = Self(400);
    /// RFC 8489: again, with credentials.
    pub const UNAUTHENTICATED: Self = Self(401);
    /// RFC 8656.
    pub const FORBIDDEN: Self = Self(403);
    /// RFC 8016: mobility is not done here.
    pub const MOBILITY_FORBIDDEN: Self = Self(405);
    /// RFC 8489.
    pub const UNKNOWN_ATTRIBUTE: Self = Self(420);
    /// RFC 8656.
    pub const ALLOCATION_MISMATCH: Self = Self(437);
    /// RFC 8489: again, with this nonce.
    pub const STALE_NONCE: Self = Self(438);
    /// RFC 8656.
    pub const ADDRESS_FAMILY_NOT_SUPPORTED: Self = Self(440);
    /// RFC 8656.
    pub const WRONG_CREDENTIALS: Self = Self(441);
    /// RFC 8656.
    pub const UNSUPPORTED_TRANSPORT: Self = Self(442);
    /// RFC 8656.
    pub const PEER_ADDRESS_FAMILY_MISMATCH: Self = Self(443);
    /// RFC 6062.
    pub const CONNECTION_ALREADY_EXISTS: Self = Self(446);
    /// RFC 6062.
    pub const CONNECTION_TIMEOUT: Self = Self(447);
    /// RFC 8656.
    pub const ALLOCATION_QUOTA_REACHED: Self = Self(486);
    /// RFC 8445.
    pub const ROLE_CONFLICT: Self = Self(487);
    /// RFC 8489.
    pub const SERVER_ERROR: Self = Self(500);
    /// RFC 8656.
    pub const INSUFFICIENT_CAPACITY: Self = Self(508);

    /// The phrase that the RFCs give it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self.0 {
            300 => "Try Alternate",
            400 => "Bad Request",
            401 => "Unauthenticated",
            403 => "Forbidden",
            405 => "Mobility Forbidden",
            420 => "Unknown Attribute",
            437 => "Allocation Mismatch",
            438 => "Stale Nonce",
            440 => "Address Family not Supported",
            441 => "Wrong Credentials",
            442 => "Unsupported Transport Protocol",
            443 => "Peer Address Family Mismatch",
            446 => "Connection Already Exists",
            447 => "Connection Timeout or Failure",
            486 => "Allocation Quota Reached",
            487 => "Role Conflict",
            500 => "Server Error",
            508 => "Insufficient Capacity",
            _ => "",
        }
    }
}
