use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use plenary_stun::{Algorithm, Attribute, Class, Key, Message, Method};

use crate::answer::{Answer, describe};
use crate::draft::Draft;
use crate::link::{Link, Received};
use crate::outcome::{Stop, Verdict};
use crate::want::Want;
use crate::{Target, Transport};

/// How often a request is sent over UDP.
const TRIES: u32 = 3;

/// How many ports are tried.
const PORTS: u32 = 4;

/// What is seen when no data comes.
pub(crate) const NOTHING: &str = "nothing came";

/// A client of the server, and what it has been told.
#[derive(Debug)]
pub(crate) struct Client<'t> {
    pub(crate) target: &'t Target,
    pub(crate) link: Link,
    pub(crate) realm: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    /// PASSWORD-ALGORITHMS, as the server sent it.
    pub(crate) algorithms: Option<Vec<u8>>,
    relayed: Option<SocketAddr>,
    /// What came while an answer was waited for.
    waiting: VecDeque<Vec<u8>>,
}

pub(crate) enum Reply {
    Answer(Answer),
    Nothing,
    Closed,
}

impl<'t> Client<'t> {
    /// One of whom the server knows nothing.
    pub(crate) fn fresh(target: &'t Target) -> Result<Self, Stop> {
        Self::over(target, target.transport)
    }

    pub(crate) fn over(target: &'t Target, transport: Transport) -> Result<Self, Stop> {
        let link = Link::open(target, transport)
            .map_err(|error| Stop::Setup(format!("no connection with {}: {error}", target.server)))?;
        let (realm, nonce) = (Vec::new(), Vec::new());
        Ok(Self { target, link, realm, nonce, algorithms: None, relayed: None, waiting: VecDeque::new() })
    }

    /// One that has realm and nonce.
    pub(crate) fn known(target: &'t Target) -> Result<Self, Stop> {
        Self::on_a_port(target, |_| Ok(()))
    }

    /// One that has an allocation.
    pub(crate) fn allocated(target: &'t Target) -> Result<Self, Stop> {
        Self::on_a_port(target, |client| client.allocate(&Draft::allocate()).map(drop).map_err(Stop::before))
    }

    /// A server may still hold an allocation of whoever had our port before: then it has to be another port.
    fn on_a_port(target: &'t Target, ready: fn(&mut Self) -> Result<(), Stop>) -> Result<Self, Stop> {
        let mut taken = Vec::new();
        for _ in 0..PORTS {
            let mut client = Self::fresh(target)?;
            match client.challenge().and_then(|()| ready(&mut client)) {
                Ok(()) => return Ok(client),
                Err(Stop::Setup(seen)) if seen.starts_with("437") => taken.push(client),
                Err(stop) => return Err(stop),
            }
        }
        Err(Stop::Setup("437 on each port".to_owned()))
    }

    /// One that has a permission for the target's peers.
    pub(crate) fn permitted(target: &'t Target) -> Result<Self, Stop> {
        let mut client = Self::allocated(target)?;
        client.permit(target.peer_bind)?;
        Ok(client)
    }

    /// Asks without credentials. The request is long, as some servers say less than all to a short one, so that
    /// nobody's answers grow large through them.
    pub(crate) fn challenge(&mut self) -> Result<(), Stop> {
        let request = Draft::allocate().with(Attribute::SOFTWARE, &[b'.'; 120]).unsigned();
        let answer = self.answer(&request).map_err(Stop::before)?;
        self.learn(&answer).map_err(Stop::before)
    }

    /// Takes realm and nonce from a 401 or 438.
    pub(crate) fn learn(&mut self, answer: &Answer) -> Result<(), Stop> {
        let (realm, nonce) = (answer.get(Attribute::REALM), answer.get(Attribute::NONCE));
        let (Some(realm), Some(nonce)) = (realm, nonce) else {
            return Err(Stop::Fault(format!("{answer} without realm and nonce")));
        };
        (self.realm, self.nonce) = (realm.to_vec(), nonce.to_vec());
        self.algorithms = answer.get(Attribute::PASSWORD_ALGORITHMS).map(<[u8]>::to_vec);
        Ok(())
    }

    /// Makes an allocation; the client is responsible for it from now on.
    pub(crate) fn allocate(&mut self, draft: &Draft) -> Result<Answer, Stop> {
        let answer = self.succeed(draft)?;
        self.relayed = Some(answer.address(Attribute::XOR_RELAYED_ADDRESS)?);
        Ok(answer)
    }

    /// Is responsible from now on for an allocation that was made otherwise.
    pub(crate) fn adopt(&mut self, relayed: SocketAddr) {
        self.relayed = Some(relayed);
    }

    pub(crate) fn permit(&mut self, ip: IpAddr) -> Result<(), Stop> {
        let answer = self.ask(&Draft::permission(ip)).map_err(Stop::before)?;
        self.prepared(&answer, ip)
    }

    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr) -> Result<(), Stop> {
        let answer = self.ask(&Draft::channel(number, peer)).map_err(Stop::before)?;
        self.prepared(&answer, peer.ip())
    }

    fn prepared(&self, answer: &Answer, ip: IpAddr) -> Result<(), Stop> {
        match answer.code() {
            _ if answer.is_success() => Ok(()),
            403 | 443 => Err(Stop::Skipped(format!("the server denies peers at {ip}: see --peer-bind"))),
            _ => Err(Stop::Setup(format!("a permission for {ip} was answered with {answer}"))),
        }
    }

    pub(crate) fn relayed(&self) -> SocketAddr {
        self.relayed.expect("is asked of an allocated client")
    }

    pub(crate) fn key(&self, algorithm: Algorithm) -> Key<'static> {
        let Target { username, password, .. } = self.target;
        Key::long_term(username.as_bytes(), &self.realm, password.as_bytes(), algorithm)
    }

    /// Names the user, and adds realm and nonce.
    pub(crate) fn named(&self, draft: &Draft) -> Draft {
        let named = draft.clone().with(Attribute::USERNAME, self.target.username.as_bytes());
        named.with(Attribute::REALM, &self.realm).with(Attribute::NONCE, &self.nonce)
    }

    /// The request as RFC 5389 and 8489 alike want it.
    pub(crate) fn sign(&self, draft: &Draft) -> Vec<u8> {
        self.named(draft).signed(&self.key(Algorithm::Sha1), Algorithm::Sha1)
    }

    /// Signs, sends, and has an answer of any kind.
    pub(crate) fn ask(&mut self, draft: &Draft) -> Result<Answer, Stop> {
        let bytes = self.sign(draft);
        self.answer(&bytes)
    }

    /// Signs, sends, and has a success.
    pub(crate) fn succeed(&mut self, draft: &Draft) -> Result<Answer, Stop> {
        let answer = self.ask(draft)?;
        if answer.is_success() { Ok(answer) } else { Err(Stop::Fault(answer.to_string())) }
    }

    pub(crate) fn answer(&mut self, bytes: &[u8]) -> Result<Answer, Stop> {
        match self.exchange(bytes)? {
            Reply::Answer(answer) => Ok(answer),
            Reply::Nothing => Err(Stop::Fault("no answer".to_owned())),
            Reply::Closed => Err(Stop::Fault("the server ended the connection".to_owned())),
        }
    }

    /// Sends a request, more than once over UDP, until it is answered.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> Result<Reply, Stop> {
        let tries = if self.link.is_udp() { TRIES } else { 1 };
        for _ in 0..tries {
            self.link.send(bytes);
            let deadline = Instant::now() + self.target.patience * (TRIES / tries);
            while let Some(left) = deadline.checked_duration_since(Instant::now()) {
                match self.link.receive(left) {
                    Received::Message(message) if message.get(8..20) == bytes.get(8..20) && message[0] < 4 => {
                        return Answer::read(message).map(Reply::Answer);
                    }
                    Received::Message(message) => self.waiting.push_back(message),
                    Received::Nothing => break,
                    Received::Closed => return Ok(Reply::Closed),
                }
            }
        }
        Ok(Reply::Nothing)
    }

    /// Sends a message and holds what comes of it against what is wanted.
    pub(crate) fn judge(&mut self, bytes: &[u8], want: Want) -> Verdict {
        if matches!(want, Want::Silence) {
            return self.stays_silent(bytes);
        }
        match self.exchange(bytes)? {
            Reply::Answer(answer) if want.fits(&answer) => {
                if answer.is_success() && answer.message().method() == Method::ALLOCATE {
                    self.relayed = answer.address(Attribute::XOR_RELAYED_ADDRESS).ok();
                }
                Ok(answer.to_string())
            }
            Reply::Answer(answer) => Err(Stop::Fault(answer.to_string())),
            Reply::Nothing | Reply::Closed if want.fits_silence() => self.is_alive().map(|()| "no answer".to_owned()),
            Reply::Nothing => Err(Stop::Fault("no answer".to_owned())),
            Reply::Closed => Err(Stop::Fault("the server ended the connection".to_owned())),
        }
    }

    /// A request that is sent behind it is answered, and nothing else is.
    fn stays_silent(&mut self, bytes: &[u8]) -> Verdict {
        self.link.send(bytes);
        self.is_alive()?;
        match self.next(self.target.grace()) {
            Some(message) => Err(Stop::Fault(describe(&message))),
            None => Ok("no answer".to_owned()),
        }
    }

    /// The server answers: this client, or after it has ended the connection another.
    pub(crate) fn is_alive(&mut self) -> Result<(), Stop> {
        let binding = Draft::binding().unsigned();
        let answer = match self.exchange(&binding)? {
            Reply::Answer(answer) => answer,
            Reply::Nothing => return Err(Stop::Fault("the server answers nothing any more".to_owned())),
            Reply::Closed => Client::fresh(self.target)?.answer(&binding)?,
        };
        let is_alive = answer.is_success();
        if is_alive { Ok(()) } else { Err(Stop::Fault(format!("a Binding request was answered with {answer}"))) }
    }

    /// What comes next and answers no request.
    pub(crate) fn next(&mut self, within: Duration) -> Option<Vec<u8>> {
        match self.waiting.pop_front() {
            Some(message) => Some(message),
            None => match self.link.receive(within) {
                Received::Message(message) => Some(message),
                Received::Nothing | Received::Closed => None,
            },
        }
    }

    /// From whom a Data indication is, and what is in it; of ChannelData, the number instead of the address.
    pub(crate) fn next_data(&mut self) -> Result<(From, Vec<u8>), Stop> {
        let fault = |seen: String| Err(Stop::Fault(seen));
        let Some(bytes) = self.next(TRIES * self.target.patience) else { return fault(NOTHING.to_owned()) };
        if let Some((&[high, low, first, second], data)) = bytes.split_first_chunk()
            && high >> 6 == 1
        {
            let stated = usize::from(u16::from_be_bytes([first, second]));
            let Some(data) = data.get(..stated) else { return fault(format!("ChannelData that says {stated}")) };
            return Ok((From::Channel(u16::from_be_bytes([high, low])), data.to_vec()));
        }
        let Ok(message) = Message::parse(&bytes) else { return fault(describe(&bytes)) };
        let peer = message.get_xor_address(Attribute::XOR_PEER_ADDRESS).ok().flatten();
        match (message.class(), message.method(), peer, message.get(Attribute::DATA)) {
            (Class::Indication, Method::DATA, Some(peer), Some(data)) => Ok((From::Peer(peer), data.to_vec())),
            _ => fault(describe(&bytes)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Peer(SocketAddr),
    Channel(u16),
}

/// Leaves no allocation behind: others need the ports, and the user's quota.
impl Drop for Client<'_> {
    fn drop(&mut self) {
        if self.relayed.is_some() {
            let _ = self.ask(&Draft::refresh(0));
        }
    }
}
