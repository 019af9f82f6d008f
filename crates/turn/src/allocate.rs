use std::time::Instant;

use plenary_stun::{Attribute, ErrorCode, Message, Unknown};

use crate::allocation::{Allocation, Answered, Binding, Bucket};
use crate::answer::{Refusal, Request};
use crate::authenticate::{Session, Whose};
use crate::bind::{Family, PortWish};
use crate::event::Event;
use crate::mobility::Mobility;
use crate::quota::Exhausted;
use crate::server::{Server, Timer};
use crate::settings::Settings;

/// REQUESTED-TRANSPORT: UDP.
const UDP: u8 = 17;
/// RFC 6062 §4.1: TCP.
const TCP: u8 = 6;

/// What an Allocate asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    lifetime: Option<u32>,
    families: [bool; 2],
    port: PortWish,
    token: Option<[u8; 8]>,
    tcp: bool,
}

impl Wish {
    /// The checks of RFC 8656 §7.2 that are about the request alone, in their order.
    fn read(request: &Request<'_>, settings: &Settings) -> Result<Self, Refusal> {
        let message = &request.message;
        let bad = Refusal::from(ErrorCode::BAD_REQUEST);
        let [protocol, ..] = message.get_array::<4>(Attribute::REQUESTED_TRANSPORT)?.ok_or(bad)?;
        let tcp = protocol == TCP && settings.tcp;
        if protocol != UDP && !tcp {
            return Err(ErrorCode::UNSUPPORTED_TRANSPORT.into());
        }
        let has = |attribute| message.get(attribute).is_some();
        let not_with_tcp = [Attribute::DONT_FRAGMENT, Attribute::EVEN_PORT, Attribute::RESERVATION_TOKEN];
        // RFC 6062 §5.1.
        if tcp && (!request.is_stream() || not_with_tcp.into_iter().any(has)) {
            return Err(bad);
        }
        if has(Attribute::DONT_FRAGMENT) && !settings.dont_fragment {
            return Err(Refusal::Unknown(Unknown::of(Attribute::DONT_FRAGMENT)));
        }
        message.get_array::<0>(Attribute::DONT_FRAGMENT)?;
        let even = message.get(Attribute::EVEN_PORT);
        let (requested, additional) =
            (has(Attribute::REQUESTED_ADDRESS_FAMILY), has(Attribute::ADDITIONAL_ADDRESS_FAMILY));
        let token = message.get_array::<8>(Attribute::RESERVATION_TOKEN)?;
        if token.is_some() && (even.is_some() || requested || additional) || requested && additional {
            return Err(bad);
        }
        let families = match (family(message, Attribute::REQUESTED_ADDRESS_FAMILY)?, additional) {
            (Some(family), _) => Family::ALL.map(|it| it == family),
            (None, true) => [true, true],
            (None, false) => [true, false],
        };
        let port = match even {
            None => PortWish::Any,
            Some(&[reserve]) if reserve & 0x80 == 0 => PortWish::Even,
            Some(&[_]) if !additional => PortWish::EvenAndNext,
            Some(_) => return Err(bad),
        };
        // Two families are IPv4 and, besides, IPv6: nothing else can be asked for.
        if additional && family(message, Attribute::ADDITIONAL_ADDRESS_FAMILY)? != Some(Family::V6) {
            return Err(bad);
        }
        Ok(Self { lifetime: message.get_u32(Attribute::LIFETIME)?, families, port, token, tcp })
    }
}

/// A family, of which there are two: any other is 440.
fn family(message: &Message<'_>, attribute: Attribute) -> Result<Option<Family>, Refusal> {
    let Some([number, ..]) = message.get_array::<4>(attribute)? else { return Ok(None) };
    Family::from_number(number).map(Some).ok_or_else(|| ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED.into())
}

/// REQUESTED-ADDRESS-FAMILY of a Refresh.
pub(crate) fn requested_family(message: &Message<'_>) -> Result<Option<Family>, Refusal> {
    family(message, Attribute::REQUESTED_ADDRESS_FAMILY)
}

/// An allocation that may be.
struct Start {
    wish: Wish,
    families: [bool; 2],
    failed: Option<(Family, ErrorCode)>,
    mobility: Option<Mobility>,
}

impl Server {
    /// RFC 8656 §7.2.
    pub(crate) fn allocate(&mut self, request: &Request<'_>, session: Session, now: Instant) -> Result<(), Refusal> {
        if let Some(key) = self.allocations.of_client(&request.from) {
            let allocation = &self.allocations[key];
            let is_same = allocation.answered.transaction == request.message.transaction();
            if !is_same || !matches!(session.user, Whose::Allocations) {
                return Err(ErrorCode::ALLOCATION_MISMATCH.into());
            }
            if allocation.binding.is_none() {
                // That there is no room for the answer is counted when the next is asked for.
                self.answer_allocated(&request.reply(), &session.signer, key).ok();
            }
            return Ok(());
        }
        let wish = Wish::read(request, &self.config)?;
        let mobility = (self.wants_ticket(&request.message)? && !wish.tcp).then(Default::default);
        let Whose::Own(owner) = &session.user else { return Err(ErrorCode::ALLOCATION_MISMATCH.into()) };
        let reserved = wish.token.map(|token| self.reservations.find(&token, owner.account())).transpose()?;
        let families = match reserved {
            Some(family) => Family::ALL.map(|it| it == family),
            None => wish.families,
        };
        let mut failed = None;
        let supported = [self.config.ipv4, self.config.ipv6];
        let bound = Family::ALL.map(|family| families[family as usize] && supported[family as usize]);
        if bound == [false; 2] {
            return Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED.into());
        }
        if let Some(family) =
            Family::ALL.into_iter().find(|family| families[*family as usize] != bound[*family as usize])
        {
            failed = Some((family, ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED));
        }
        self.check_admission(request.from.remote)?;
        self.quota.check(owner.account(), request.from.remote).map_err(|exhausted| match exhausted {
            Exhausted::Quota => ErrorCode::ALLOCATION_QUOTA_REACHED,
            Exhausted::Capacity => ErrorCode::INSUFFICIENT_CAPACITY,
        })?;
        if wish.port == PortWish::EvenAndNext && self.reservations.len() >= self.config.reservations_max as usize {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
        }
        let start = Start { wish, families: bound, failed, mobility };
        self.start_allocate(request, session, start, now);
        Ok(())
    }

    fn start_allocate(&mut self, request: &Request<'_>, session: Session, start: Start, now: Instant) {
        let Start { wish, families, failed, mobility } = start;
        let Whose::Own(owner) = session.user else { unreachable!("who has an allocation gets no other") };
        self.quota.take(owner.account(), request.from.remote);
        // Of a listener on all addresses this is how they are learnt.
        self.peers.add_own(request.from.local.ip());
        let awaits = families.map(|wanted| (wanted && wish.token.is_none()).then(|| self.next_request()));
        let deadline = now + self.config.answer_within;
        let binding = Binding {
            awaits,
            reserves: wish.port == PortWish::EvenAndNext,
            even: wish.port != PortWish::Any,
            key: session.signer.key,
            mac: session.signer.mac,
        };
        let transaction = request.message.transaction();
        let lifetime = self.config.granted(wish.lifetime);
        let key = self.allocations.insert(Allocation {
            tuple: request.from,
            is_stream: request.is_stream(),
            is_away: false,
            is_tcp: wish.tcp,
            owner,
            answered: Answered { transaction, lifetime, token: None, failed },
            binding: Some(Box::new(binding)),
            relays: [None; 2],
            expires: deadline,
            timer: deadline,
            permissions: Default::default(),
            channels: Default::default(),
            connections: Vec::new(),
            mobility,
            usage: Default::default(),
            to_peers: Bucket::new(now),
            to_client: Bucket::new(now),
        });
        self.timers.add(deadline, Timer::Allocation(key));
        for (family, request) in Family::ALL.into_iter().zip(awaits) {
            if let Some(request) = request {
                self.binds.insert(request, key);
                self.events.push_back(Event::Bind { request, family, port: wish.port, tcp: wish.tcp });
            }
        }
        if let Some(token) = wish.token
            && let Some((family, relayed)) = self.take_reservation(&token)
        {
            self.add_relay(key, family, relayed);
            self.finish_allocate(key, now).ok();
        }
    }
}
